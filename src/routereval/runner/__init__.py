"""Running: what there is to do (``plan``), and doing it (``execute``)."""

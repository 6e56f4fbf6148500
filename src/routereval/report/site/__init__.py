"""The page: a static site of a results file, which opens from disk and asks nobody for anything (``building``)."""

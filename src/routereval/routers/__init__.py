"""Routers: what they promise (``contract``), and one file per family."""

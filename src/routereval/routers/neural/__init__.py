"""Routers that need PyTorch: the extra ``neural``. Nothing here imports it before a router is fitted or asked."""

"""Metrics: what one is (``definition``), and one file per family."""

from routereval.metrics import quality, spread
from routereval.metrics.definition import METRICS, Metric

__all__ = ["METRICS", "Metric", "quality", "spread"]

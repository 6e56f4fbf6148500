"""Statistics: bootstrap intervals, paired tests, corrections for many tests, what a benchmark can tell apart at all."""

from routereval.stats.bootstrap import (
    DRAWS,
    LEVEL,
    Interval,
    interval,
    intervals,
    resample_counts,
    resampled_means,
    resampled_metrics,
)

__all__ = [
    "DRAWS",
    "LEVEL",
    "Interval",
    "interval",
    "intervals",
    "resample_counts",
    "resampled_means",
    "resampled_metrics",
]

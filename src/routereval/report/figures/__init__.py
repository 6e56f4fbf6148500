"""Figures by name, each drawn from a view of the results; ``writing.draw_all`` draws them into files."""

from __future__ import annotations

from routereval.report.figures import (
    calibration,
    coverage,
    entropy,
    gap,
    learning,
    pool_size,
    ranks,
    scaling,
    shares,
    strategies,
)
from routereval.report.figures.spec import Drawn, FigureSpec, Missing

__all__ = ["FIGURES", "Drawn", "FigureSpec", "Missing"]

_SPECS = (
    *(scaling.SPEC, pool_size.SPEC, strategies.SPEC, gap.SPEC, shares.SPEC),
    *(entropy.SPEC, coverage.SPEC, ranks.SPEC, learning.SPEC, calibration.SPEC),
)
FIGURES = {spec.name: spec for spec in _SPECS}
"""Every figure by name, in the order they are drawn and shown."""

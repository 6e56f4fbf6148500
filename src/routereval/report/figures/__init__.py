"""Figures by name, each drawn from a view of the results; ``writing.draw_all`` draws them into files."""

from __future__ import annotations

from routereval.report.figures import entropy, gap, pool_size, ranks, scaling, strategies
from routereval.report.figures.spec import Drawn, FigureSpec, Missing

__all__ = ["FIGURES", "Drawn", "FigureSpec", "Missing"]

FIGURES = {
    spec.name: spec for spec in (scaling.SPEC, pool_size.SPEC, strategies.SPEC, gap.SPEC, entropy.SPEC, ranks.SPEC)
}
"""Every figure by name, in the order they are drawn and shown."""

"""Figures by name, each drawn from a view of the results; ``writing.draw_all`` draws them into files."""

from __future__ import annotations

from routereval.report.figures import gap, strategies
from routereval.report.figures.spec import Drawn, FigureSpec, Missing

__all__ = ["FIGURES", "Drawn", "FigureSpec", "Missing"]

FIGURES = {spec.name: spec for spec in (strategies.SPEC, gap.SPEC)}
"""Every figure by name, in the order they are drawn and shown."""

"""Drawing the points of a plan that are not stored yet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from routereval.results import ResultStore
from routereval.results.curves import CurvePoint
from routereval.scaling.plan import ScalingPlan
from routereval.scaling.values import values_of

BATCH = 16
"""Sizes computed between two writes."""


@dataclass(frozen=True)
class Cost:
    """What is left to do: points, fits of routers on single pools, and steps of a progress bar."""

    points: int = 0
    fits: int = 0
    steps: int = 0

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.points + other.points, self.fits + other.fits, self.steps + other.steps)


def cost(plan: ScalingPlan, store: ResultStore) -> Cost:
    """What of a plan is not stored yet."""
    total = Cost()
    for curve in plan.curves:
        points = len(set(curve.sizes) - store.points(curve.spec).keys())
        fits = 0 if curve.sliced else points * curve.spec.draws
        total += Cost(points, fits, points if curve.sliced else fits)
    return total


def scale(plan: ScalingPlan, store: ResultStore, advance: Callable[[], None] = lambda: None) -> list[CurvePoint]:
    """The points of every curve of a plan, drawn where they are not stored yet; stored as they come.

    Parameters
    ----------
    advance : called for each step of :func:`cost`: a size of a curve, or a fit where each pool is one.

    Raises
    ------
    RouterError : a router failed; what was drawn before is stored.
    """
    curves = plan.curves
    left = {curve: set(curve.sizes) - store.points(curve.spec).keys() for curve in curves}
    # What makes a curve's values is made only where a value is missing: a router is fitted there.
    values = {curve: values_of(plan, curve, advance) for curve in curves if left[curve]}
    together = [curve for curve in values if curve.sliced]
    sizes = sorted(set().union(*(left[curve] for curve in together)))
    for start in range(0, len(sizes), BATCH):
        points = []
        for m in sizes[start : start + BATCH]:
            pools = plan.pools(m)
            for curve in together:
                if m in left[curve]:
                    means, expected = values[curve]
                    points.append(CurvePoint(curve.spec, m, means(pools), expected(m)))
                    advance()
        store.put_points(points)
    for curve in values:
        for m in sorted(left[curve]) if not curve.sliced else ():
            means, _ = values[curve]
            store.put_points([CurvePoint(curve.spec, m, means(plan.pools(m)[: curve.spec.draws]))])
    drawn = {curve: store.points(curve.spec) for curve in curves}
    return [drawn[curve][m] for curve in curves for m in curve.sizes]

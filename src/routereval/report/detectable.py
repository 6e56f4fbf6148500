"""The smallest difference between two routers that each benchmark's test prompts can show."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from routereval.report.pair_differences import CellDraws
from routereval.report.prompt_sets import PromptSet
from routereval.stats.clustered import difference_errors
from routereval.stats.power import detectable, prompts_for

POINTS = 0.03
"""The difference that the sentence is about: much of what is published differs by less."""


@dataclass(frozen=True)
class Detectable:
    """What one benchmark can tell apart with 80 % power at 5 %, two-sided.

    Parameters
    ----------
    prompts, clusters : what its standard errors come from.
    pairs : of routers that differ on any prompt, over its scenarios.
    difference : for the median of these pairs; low, high : for the pair that is told apart most and least easily.
    """

    benchmark: str
    prompts: int
    clusters: int
    pairs: int
    difference: float
    low: float
    high: float

    @property
    def sentence(self) -> str:
        """The same in words."""
        if math.isnan(self.difference):
            why = "no two routers differ on any prompt" if not self.pairs else "one cluster has no spread"
            return f"{self.benchmark}: {self.prompts} prompts; {why}"
        points, asked = f"{100 * self.difference:.1f}", f"{100 * POINTS:.0f}"
        if self.difference > POINTS:
            needed = prompts_for(POINTS, self.prompts, self.difference)
            return (
                f"{self.benchmark}: {self.prompts} prompts cannot tell {asked} points apart; it takes a difference of "
                f"{points} points, or about {_round(needed)} prompts"
            )
        return f"{self.benchmark}: {self.prompts} prompts tell {points} points apart"


def detectable_of(prompts: PromptSet, parts: Sequence[CellDraws], routers: Collection[str]) -> Detectable:
    """From the observed spread of the paired differences of all pairs in all scenarios on these prompts.

    Parameters
    ----------
    routers : whose; a scenario that has fewer than two of them is measured with all that it has.
    """
    errors: list[float] = []
    for one in parts:
        among = [label for label in one.labels if label in routers]
        at = one.columns(list(combinations(among if len(among) > 1 else one.labels, 2)))
        if len(at):
            own = difference_errors(one.sums, one.sizes)[at[:, 0], at[:, 1]]
            errors += own[(own > 0) | np.isnan(own)].tolist()
    known = np.array([error for error in errors if not math.isnan(error)])
    if len(known):
        low, middle, high = (detectable(float(one), prompts.drawn) for one in np.quantile(known, [0, 0.5, 1]))
    else:
        low = middle = high = math.nan
    return Detectable(prompts.benchmark, prompts.prompts, prompts.drawn, len(errors), middle, low, high)


def _round(count: int) -> str:
    """Two digits: more would be a promise."""
    digits = max(0, len(str(count)) - 2)
    return f"{round(count, -digits):,}"

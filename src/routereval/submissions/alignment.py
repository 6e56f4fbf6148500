"""Whether choices follow the answers more closely than a router can that does not know them.

Only prompts that some models of the pool get right and others do not tell routers apart: the contested ones. Which of
them the choices hit is held against the router's own mix of models, dealt out at random within each subset of the
benchmark: what it would hit if it knew nothing of a prompt but its subset. The share of the way from there to hitting
all is the *alignment*: 0 for a router that always takes one model, p for r_o(p), the oracle with probability p, 1 for
the oracle. (It is Cohen's kappa of choices and answers, J. Cohen 1960, with the chance agreement of each prompt.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from routereval.data.scenario import Partition

LIMIT = 0.4
"""Alignment from which it is asked where it comes from. Of 7,722 runs of 34 routers on eleven real benchmarks none
is above it with p < 0.05; of those with at least 60 contested prompts none is above 0.34 at all
(benchmarks/alignment.py)."""

SIGNIFICANCE = 0.001
"""How unlikely the hits must be for a router at the limit, to rule a submission out."""

DOUBT = 0.05
"""The same, to warn."""

FEW_MODELS = 0.25
"""Hard prompts are solved by at most this share of the pool's models (and by one model at least)."""

_SMALL = 10
"""Subsets with fewer test prompts are one subset here: a mix of models of three prompts is what was chosen on them."""


@dataclass(frozen=True)
class Hits:
    """How often choices hit one of the best models, on the prompts where that is a question.

    Parameters
    ----------
    contested : how many prompts are.
    hits : on how many of them a best model was chosen.
    expected : how many that would be if the choices were dealt out anew within each subset.
    variance : of that number.
    hard, hard_hits, hard_expected : the same on those that at most a quarter of the models solve.
    prompts : how many different prompts there are; fewer than ``contested`` where several pools share them.
    """

    contested: int
    hits: int
    expected: float
    variance: float
    hard: int
    hard_hits: int
    hard_expected: float
    prompts: int

    @property
    def alignment(self) -> float:
        """(hits - expected) / (contested - expected); 0 where nothing is left to hit."""
        room = self.contested - self.expected
        return (self.hits - self.expected) / room if room > 1e-9 else 0.0

    @property
    def z(self) -> float:
        """Standard deviations between the hits and those expected; 0 where the mix says all."""
        return (self.hits - self.expected) / self.variance**0.5 if self.variance > 1e-9 else 0.0

    def p_at(self, limit: float) -> float:
        """How likely so many hits are, or more, for a router of this mix whose alignment is ``limit``.

        The tail of a binomial distribution with the mean chance of a hit, which is at least that of the sum of unequal
        chances (Hoeffding 1956). Prompts that several pools share count once, as if what they have in common were all.
        """
        from scipy.stats import binom  # type: ignore[attr-defined]

        if self.contested == 0:
            return 1.0
        chance = (self.expected + limit * (self.contested - self.expected)) / self.contested
        hits = int(np.floor(self.hits / self.contested * self.prompts + 1e-9))
        return float(binom.sf(hits - 1, self.prompts, min(1.0, chance)))


def together(hits: Sequence[Hits], *, same_prompts: bool) -> Hits:
    """Several hits as one: of pools that share their prompts, or of benchmarks that do not."""
    names = ("contested", "hits", "expected", "variance", "hard", "hard_hits", "hard_expected")
    sums = {name: sum(getattr(one, name) for one in hits) for name in names}
    prompts = [one.prompts for one in hits]
    return Hits(**sums, prompts=max(prompts) if same_prompts else sum(prompts))


def hits_of(choices: NDArray[np.int32], test: Partition) -> Hits:
    """Count the hits of choices on the test prompts of a scenario.

    Parameters
    ----------
    choices : (n,) column of the chosen model, -1 where none was observed.
    test : n prompts x m models. A graded score counts as right where no model of the pool has a higher one.
    """
    dense = test.scores.dense()
    seen = ~np.isnan(dense)
    values = np.where(seen, dense, -1.0)
    best = values.max(axis=1, keepdims=True)
    solves = seen & (values == best) & (best > 0)
    count, observed = solves.sum(axis=1), seen.sum(axis=1)
    chosen = choices >= 0
    contested = (count > 0) & (count < observed) & chosen
    hard = contested & (count <= max(1.0, FEW_MODELS * dense.shape[1]))
    hit = solves[np.arange(len(choices)), np.maximum(choices, 0)]
    chance = _chance(choices, chosen, solves, seen, _parts(test.queries.subsets, len(choices)))
    return Hits(
        contested=int(contested.sum()),
        hits=int(hit[contested].sum()),
        expected=float(chance[contested].sum()),
        variance=float((chance * (1 - chance))[contested].sum()),
        hard=int(hard.sum()),
        hard_hits=int(hit[hard].sum()),
        hard_expected=float(chance[hard].sum()),
        prompts=int(contested.sum()),
    )


def _chance(
    choices: NDArray[np.int32],
    chosen: NDArray[np.bool_],
    solves: NDArray[np.bool_],
    seen: NDArray[np.bool_],
    parts: NDArray[np.intp],
) -> NDArray[np.float64]:
    """For each prompt how likely the mix of models of its part is to hit, (n,)."""
    chance = np.zeros(len(choices))
    for part in np.unique(parts):
        here = (parts == part) & chosen
        mix = np.bincount(choices[here], minlength=solves.shape[1]).astype(np.float64)
        total = seen[here] @ mix
        chance[here] = np.divide(solves[here] @ mix, total, out=np.zeros(len(total)), where=total > 0)
    return chance


def _parts(subsets: tuple[str, ...] | None, n: int) -> NDArray[np.intp]:
    """Which part each prompt belongs to, (n,); small subsets together are one."""
    if subsets is None:
        return np.zeros(n, dtype=np.intp)
    _, part, sizes = np.unique(np.asarray(subsets), return_inverse=True, return_counts=True)
    return np.where(sizes[part] < _SMALL, -1, part).astype(np.intp)

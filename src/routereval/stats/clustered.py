"""The bootstrap over clusters of prompts: whole clusters are drawn, means are ratios of sums."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from routereval.stats.bootstrap import DRAWS

Floats = NDArray[np.float64]

FEW = 10
"""Below this many clusters an interval or a test that resamples them says little."""

_BLOCK = 2_000_000
"""How many counts are held at once: 16 MB of them."""


@dataclass(frozen=True, eq=False)
class Clusters:
    """Which cluster each of n prompts belongs to; one prompt each is the plain bootstrap.

    Parameters
    ----------
    labels : (n,) 0 .. count - 1.
    """

    labels: NDArray[np.intp]

    @classmethod
    def of(cls, names: ArrayLike) -> Clusters:
        """Clusters by name, a name per prompt."""
        _, labels = np.unique(np.asarray(names), return_inverse=True)
        return cls(labels.astype(np.intp))

    @classmethod
    def singletons(cls, n: int) -> Clusters:
        """A cluster for each of n prompts."""
        return cls(np.arange(n, dtype=np.intp))

    def __len__(self) -> int:
        return int(self.labels.max(initial=-1)) + 1

    def sums(self, values: Floats) -> Floats:
        """Sums of the rows of (n, k) or (n,) by cluster, (clusters, k) or (clusters,)."""
        order, starts = self._sorted
        if len(starts) == len(order):
            return values[order]
        added: Floats = np.add.reduceat(values[order], starts, axis=0)
        return added

    @cached_property
    def _sorted(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Prompts by cluster, and where each cluster begins."""
        order = np.argsort(self.labels, kind="stable")
        _, starts = np.unique(self.labels[order], return_index=True)
        return order, starts


def drawn_counts(clusters: int, rng: np.random.Generator, draws: int = DRAWS) -> Iterator[Floats]:
    """How often each cluster occurs in each resample, (some of the draws, clusters) at a time.

    As many clusters as there are, with replacement: multinomial counts. Counting drawn indices takes a tenth of the
    time of drawing the counts. The array is filled anew each time.
    """
    size = min(draws, max(1, _BLOCK // max(1, clusters)))
    counts = np.empty((size, clusters))
    for start in range(0, draws, size):
        drawn = rng.integers(0, clusters, size=(min(size, draws - start), clusters))
        for row, one in enumerate(drawn):
            counts[row] = np.bincount(one, minlength=clusters)
        yield counts[: len(drawn)]


def resampled_ratios(
    sums: Floats, sizes: Floats, rng: np.random.Generator, draws: int = DRAWS, of: NDArray[np.intp] | None = None
) -> Floats:
    """Mean of each column in every resample of the clusters, (draws, k); nan where a resample has no prompt of it.

    A cluster's prompts come together, so a resample has more prompts or fewer; its mean is the ratio of the sum of the
    scores to the number of prompts (Cochran 1977, ch. 6; Field and Welsh 2007, the cluster bootstrap).

    Parameters
    ----------
    sums : (clusters, k) of the scores; the same resamples for every column, so differences of columns are paired.
    sizes : (clusters, c) how many prompts count.
    of : (k,) which column of ``sizes`` belongs to each column of ``sums``; None where there is one for all.
    """
    k = sums.shape[1]
    which = np.zeros(k, dtype=np.intp) if of is None else of
    stacked = np.concatenate([sums, sizes], axis=1)
    found = np.empty((draws, k))
    start = 0
    for counts in drawn_counts(len(sums), rng, draws):
        total = counts @ stacked
        below = total[:, k + which]
        rows = found[start : start + len(counts)]
        rows[:] = np.nan
        np.divide(total[:, :k], below, out=rows, where=below > 0)
        start += len(counts)
    return found


def difference_errors(sums: Floats, sizes: Floats) -> Floats:
    """Standard error of the difference of every two columns' means, (k, k), clusters being what is drawn.

    The linearised variance of a ratio: with D_g the summed differences of cluster g, n_g its prompts and d the mean
    difference, sqrt(G / (G - 1) sum_g (D_g - d n_g)^2) / n (Cochran 1977, ch. 6). With one prompt in each cluster
    that is the paired standard error, s / sqrt(n). nan where there are fewer than two clusters.
    """
    clusters, n = int((sizes > 0).sum()), sizes.sum()
    if clusters < 2 or n == 0:
        return np.full((sums.shape[1], sums.shape[1]), np.nan)
    residuals = sums - sizes[:, None] * (sums.sum(axis=0) / n)
    gram = residuals.T @ residuals
    own = np.diag(gram)
    squares = own[:, None] + own[None, :] - 2 * gram
    # What is left of the difference of two equal columns is rounding.
    squares = np.where(squares > 1e-12 * (own[:, None] + own[None, :]), squares, 0.0)
    errors: Floats = np.sqrt(clusters / (clusters - 1) * squares) / n
    return errors

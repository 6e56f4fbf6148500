"""SATzilla: each pair of models has a classifier that minds what a wrong answer costs, and the votes are counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from routereval.data.scenario import Partition
from routereval.routers.pairs import PairForests, balance, check_pairs

_MARGIN = 0.2
"""What the mean margin counts beside a vote: it decides between equal votes and nothing else."""


@dataclass
class SATzilla(PairForests):
    """Pairwise cost-sensitive classification and a vote (SATzilla, Xu, Hutter, Hoos and Leyton-Brown 2012).

        P_ij(x) = (1 - shrinkage) forest_ij(x) + shrinkage usual_ij
        score_i(x) = mean over j of [P_ij(x) > 1/2], equal votes by the mean of 2 P_ij(x) - 1

    Each forest learns from the prompts on which its two models differ, weighted by how much; usual_ij is the weighted
    share of them on which i was better. The ``top`` models best on train vote, the rest stand below, by their means.

    Parameters
    ----------
    top : how many models meet; top (top - 1) / 2 forests are grown.
    trees : of each forest.
    min_leaf : fewest training prompts in a leaf.
    components : of the embeddings, at most; fewer where the embeddings have fewer.
    shrinkage : share of the usual winner in a pair's probability, 0 to 1. At 1 every prompt's votes are the same.
    """

    search_space: ClassVar[Mapping[str, Sequence[Any]]] = {
        "top": (10, 5),
        "min_leaf": (5, 2, 15),
        "shrinkage": (0.3, 0.0, 0.6),
    }
    top: int = 10
    trees: int = 50
    min_leaf: int = 5
    components: int = 16
    shrinkage: float = 0.3
    seed: int = 0

    def _grown(self, train: Partition, features: NDArray[np.float32]) -> tuple[NDArray[np.float64], list[Any]]:
        targets = train.targets[:, self.top_].astype(np.float64)
        gains = np.nan_to_num(targets[:, self.pairs_[:, 0]] - targets[:, self.pairs_[:, 1]])
        # One more win for either side: a pair that never differed is even.
        won, lost = np.maximum(gains, 0).sum(axis=0) + 0.5, np.maximum(-gains, 0).sum(axis=0) + 0.5
        return won / (won + lost), [self._grow(features, gain) for gain in gains.T]

    def _decided(self, expected: NDArray[np.float64]) -> NDArray[np.float64]:
        margins, k = 2 * expected - 1, len(self.top_)
        votes = (1 + balance(np.sign(margins), self.pairs_, k)) / 2
        return votes + _MARGIN / max(1, k - 1) * balance(margins, self.pairs_, k)

    @staticmethod
    def _at_node(values: NDArray[np.float64], forest: Any) -> NDArray[np.float64]:
        """P(the first is better)."""
        share: NDArray[np.float64] = values[:, forest.classes_].sum(axis=1) / values.sum(axis=1)
        return share

    def check(self) -> None:
        """Refuse parameters outside their ranges.

        Raises
        ------
        ParameterError : says which.
        """
        counts = {what: getattr(self, what) for what in ("trees", "min_leaf", "components")}
        check_pairs("satzilla", top=self.top, shrinkage=self.shrinkage, **counts)

    def _grow(self, features: NDArray[np.float32], gains: NDArray[np.float64]) -> Any:
        """The forest of one pair, from how much better its first model was (n,), where they differ."""
        from sklearn.ensemble import RandomForestClassifier

        forest = RandomForestClassifier(self.trees, min_samples_leaf=self.min_leaf, random_state=self.seed, n_jobs=-1)
        differ = gains != 0
        if not differ.any():
            # Nothing to learn: two equal prompts, one for either side, stand for that.
            return forest.set_params(bootstrap=False).fit(features[[0, 0]], [False, True])
        return forest.fit(features[differ], gains[differ] > 0, sample_weight=np.abs(gains[differ]))

"""RoRF: for each pair of models a random forest says who of the two will be right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from routereval.data.labels import pool_labels
from routereval.data.scenario import Partition
from routereval.errors import ParameterError
from routereval.routers.pairs import PairForests, balance, check_pairs

_FIRST, _SECOND = 2, 1
"""The classes in which only the first, only the second of a pair is right; 0 is neither, 3 both."""


@dataclass
class RoRF(PairForests):
    """Random forests of four classes: who of two models is right (RoRF, Not Diamond 2024: 100 trees of depth 20).

        a_ij(x) = (1 - shrinkage) (P(only i right | x) - P(only j right | x)) + shrinkage (share_i - share_j)
        score_i(x) = mean over j of a_ij(x)

    where share_i is how often i alone was right in training. The published router is for two models. Here more than two
    play a tournament: each of the ``top`` best on train against each other; the rest stand below, by their means.
    Graded scores are right from 0.95 of the best in the pool on. Trees grow on principal components, not on the
    embedding itself.

    Parameters
    ----------
    top : how many models meet; top (top - 1) / 2 forests are grown.
    trees, max_depth, max_features : of each forest.
    min_leaf : fewest training prompts in a leaf (1 as published).
    components : of the embeddings, at most; fewer where the embeddings have fewer.
    shrinkage : share of what the train scores say of a pair whatever the prompt, 0 to 1.
    """

    search_space: ClassVar[Mapping[str, Sequence[Any]]] = {
        "top": (6, 3),
        "min_leaf": (5, 1, 20),
        "shrinkage": (0.3, 0.0, 0.6),
    }
    top: int = 6
    trees: int = 100
    max_depth: int = 20
    max_features: float = 1.0
    min_leaf: int = 5
    components: int = 16
    shrinkage: float = 0.3
    seed: int = 0

    def check(self) -> None:
        """Refuse parameters outside their ranges.

        Raises
        ------
        ParameterError : says which.
        """
        counts = {what: getattr(self, what) for what in ("trees", "max_depth", "min_leaf", "components")}
        check_pairs("rorf", top=self.top, shrinkage=self.shrinkage, **counts)
        if not 0 < self.max_features <= 1:
            raise ParameterError(f"rorf has max_features = {self.max_features}; it must be above 0 and at most 1")

    def _grown(self, train: Partition, features: NDArray[np.float32]) -> tuple[NDArray[np.float64], list[Any]]:
        right = _right(train)[:, self.top_]
        usual = np.array([_usual(right[:, pair]) for pair in self.pairs_])
        return usual, [self._grow(features, right[:, pair]) for pair in self.pairs_]

    def _decided(self, expected: NDArray[np.float64]) -> NDArray[np.float64]:
        return balance(expected, self.pairs_, len(self.top_))

    @staticmethod
    def _at_node(values: NDArray[np.float64], forest: Any) -> NDArray[np.float64]:
        """P(only the first is right) - P(only the second is)."""
        worth = np.select([forest.classes_ == _FIRST, forest.classes_ == _SECOND], [1.0, -1.0])
        advantage: NDArray[np.float64] = values @ worth / values.sum(axis=1)
        return advantage

    def _grow(self, features: NDArray[np.float32], right: NDArray[np.float32]) -> Any:
        """The forest of one pair, from whether its two models were right (n, 2), where both were observed."""
        from sklearn.ensemble import RandomForestClassifier

        both = ~np.isnan(right).any(axis=1)
        # Its own threads: forests grown beside each other in ours would lose each other's filters of warnings.
        forest = RandomForestClassifier(
            self.trees,
            max_depth=self.max_depth,
            max_features=self.max_features,
            min_samples_leaf=self.min_leaf,
            random_state=self.seed,
            n_jobs=-1,
        )
        if not both.any():
            # Nothing to learn: one prompt on which neither is right stands for that.
            return forest.fit(features[:1], [0])
        return forest.fit(features[both], (right[both] @ [_FIRST, _SECOND]).astype(np.int8))


def _right(train: Partition) -> NDArray[np.float32]:
    """Whether each model was right on each prompt, nan where not observed."""
    return train.targets if train.scores.binary or train.labels is not None else pool_labels(train.targets)


def _usual(right: NDArray[np.float32]) -> float:
    """How much more often the first of two was right alone than the second; 0 where nothing says so."""
    differences = right[:, 0] - right[:, 1]
    seen = ~np.isnan(differences)
    return float(differences[seen].mean()) if seen.any() else 0.0

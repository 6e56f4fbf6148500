"""Random forest: a model is as good on a prompt as it was on the training prompts that share its leaves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from routereval.data.prediction import Prediction, softmax
from routereval.data.queries import Queries
from routereval.data.scenario import Partition
from routereval.errors import ParameterError
from routereval.routers.components import principal_components, projected
from routereval.routers.forests import Forests, as_arrays, ends, joined, means_of

_OUTPUTS = 16


@dataclass
class Forest:
    """One random forest for all models (Breiman 2001); leaf means are drawn towards each model's train mean.

        score_m(x) = mean_m + mean over trees of [ sum of (y_jm - mean_m) over j in leaf(x) / (|leaf(x)| + shrinkage) ]

    over the prompts j of a leaf that m was observed on: a missing cell counts as the model's mean. A multi-output
    regression forest finds the leaves: its splits lower the squared error summed over the models or, where there are
    more than 16, over the 16 principal components of their scores, which is what makes 1,000 models affordable. Splits
    depend on all models, so the router is not columnwise.

    With ``per_model`` each model has a forest of its own, grown on the prompts that it was observed on, and |leaf(x)|
    counts only those. What it says of a model is what it would say in a pool of that model alone (with ``relative``,
    splits still see the others).

    Parameters
    ----------
    trees : how many.
    min_leaf : fewest training prompts in a leaf; with fewer than twice that many there is one leaf for all.
    max_features : share of the components tried at each split.
    components : of the embeddings, at most; fewer where the embeddings have fewer.
    relative : whether splits look at scores less the prompt's mean over the models: at how models compare, not at
        how hard a prompt is.
    shrinkage : how many observations each model's train mean counts for in a leaf.
    per_model : whether each model has a forest of its own; costs m forests in time and in memory.
    """

    columnwise: ClassVar[bool] = False
    search_space: ClassVar[Mapping[str, Sequence[Any]]] = {
        "min_leaf": (5, 2, 20),
        "shrinkage": (5.0, 0.0, 20.0),
        "relative": (False, True),
        "components": (16, 48),
    }
    trees: int = 100
    min_leaf: int = 5
    max_features: float = 0.3
    components: int = 16
    relative: bool = False
    shrinkage: float = 5.0
    per_model: bool = False
    seed: int = 0

    @property
    def incidental(self) -> frozenset[str]:
        """``per_model`` where it is off: a run without it is the run that it was before there was such a parameter."""
        return frozenset() if self.per_model else frozenset({"per_model"})

    def fit(self, train: Partition, val: Partition | None = None) -> Self:
        """Grow the trees and remember who was right in which leaf.

        Raises
        ------
        ParameterError : a parameter outside its range.
        """
        self._check()
        embeddings = train.queries.require_embeddings()
        self.components_ = principal_components(embeddings, self.components)
        features = projected(embeddings, self.components_)
        self.means_ = np.nan_to_num(train.target_means)
        targets = train.targets
        deviations = np.nan_to_num(targets - self.means_).astype(np.float32)
        if self.per_model:
            outputs = _centred(deviations, relative=self.relative)
            seen = ~np.isnan(targets)
            own = (self._own(features, outputs[:, j], deviations[:, j], seen[:, j]) for j in range(seen.shape[1]))
            self.forest_ = joined(list(own))
            return self
        self.forest_ = self._grown(features, _outputs(deviations, relative=self.relative))
        self.leaves_ = ends(self.forest_, features)
        self.deviations_ = deviations
        return self

    def predict(self, queries: Queries) -> Prediction:
        """Shrunken leaf means, (n, m)."""
        features = projected(queries.require_embeddings(), self.components_)
        if self.per_model:
            scores = self.means_ + means_of(self.forest_, features)
        else:
            weights = self._weights(ends(self.forest_, features))
            scores = self.means_ + np.asarray(weights @ self.deviations_, dtype=np.float64)
        return Prediction(scores, softmax(scores))

    def _grown(self, features: NDArray[np.float32], outputs: NDArray[np.float64]) -> Forests:
        """scikit-learn's trees for these outputs, (n,) or (n, outputs); their nodes are worth nothing yet."""
        from sklearn.ensemble import RandomForestRegressor

        forest = RandomForestRegressor(
            self.trees,
            min_samples_leaf=self.min_leaf,
            max_features=self.max_features,
            random_state=self.seed,
            n_jobs=-1,
        )
        forest.fit(features, outputs)
        return as_arrays([forest], lambda values, _: np.zeros(len(values)))

    def _own(
        self,
        features: NDArray[np.float32],
        outputs: NDArray[np.float64],
        deviations: NDArray[np.float32],
        seen: NDArray[np.bool_],
    ) -> Forests:
        """The forest of one model, its leaves worth the shrunken mean deviation of the prompts it was observed on."""
        if not seen.any():
            # Nothing is known: all deviations are 0, so are all leaves, and the model keeps its mean.
            seen = np.ones_like(seen)
        grown = self._grown(features[seen], outputs[seen])
        in_leaf = ends(grown, features[seen])
        nodes = len(grown["left"])
        counts = np.bincount(in_leaf.ravel(), minlength=nodes)
        sums = np.bincount(in_leaf.ravel(), np.repeat(deviations[seen], in_leaf.shape[1]), nodes)
        return grown | {"value": (sums / (np.maximum(counts, 1) + self.shrinkage)).astype(np.float32)}

    def _weights(self, asked: NDArray[np.int32]) -> Any:
        """What each training prompt says in each query's means, (n queries, n training prompts), sparse."""
        nodes = len(self.forest_["left"])
        sizes = np.bincount(self.leaves_.ravel(), minlength=nodes)
        share = 1 / (np.maximum(sizes, 1) + self.shrinkage) / self.leaves_.shape[1]
        learned = _membership(self.leaves_, np.ones(nodes), nodes)
        return _membership(asked, share, nodes) @ learned.T

    def _check(self) -> None:
        for what in ("trees", "min_leaf", "components"):
            if getattr(self, what) < 1:
                raise ParameterError(f"forest has {what} = {getattr(self, what)}; it must be at least 1")
        if not 0 < self.max_features <= 1:
            raise ParameterError(f"forest has max_features = {self.max_features}; it must be above 0 and at most 1")
        if not self.shrinkage >= 0:
            raise ParameterError(f"forest has shrinkage = {self.shrinkage}; it must be 0 or more")


def _centred(deviations: NDArray[np.float32], *, relative: bool) -> NDArray[np.float64]:
    """Deviations (n, m) from each model's mean or, relative, from each prompt's mean over the models, too."""
    outputs = deviations.astype(np.float64)
    if relative:
        outputs -= outputs.mean(axis=1, keepdims=True)
    return outputs


def _outputs(deviations: NDArray[np.float32], *, relative: bool) -> NDArray[np.float64]:
    """What the splits of one forest for all look at, (n, at most 16), or (n,) for one model."""
    outputs = _centred(deviations, relative=relative)
    if outputs.shape[1] <= _OUTPUTS:
        return outputs[:, 0] if outputs.shape[1] == 1 else outputs
    # The trees' criterion adds up squares, which a rotation leaves as they are: only small components are lost.
    directions = principal_components(outputs.astype(np.float32), _OUTPUTS)["directions"]
    return outputs @ directions.T.astype(np.float64)


def _membership(ends_in: NDArray[np.int32], worth: NDArray[np.float64], nodes: int) -> Any:
    """(n, nodes), sparse: a leaf's worth where the row ends in it."""
    from scipy.sparse import csr_array

    n, trees = ends_in.shape
    pointers = np.arange(0, n * trees + 1, trees)
    cells = worth[ends_in.ravel()], ends_in.ravel(), pointers
    return csr_array(cells, shape=(n, nodes))  # type: ignore[no-untyped-call]

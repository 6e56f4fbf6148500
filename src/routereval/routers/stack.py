"""A stacked ensemble: several routers, weighted by how well they predict prompts they were not fitted on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from routereval.data.outcome import standing
from routereval.data.prediction import Prediction, softmax
from routereval.data.queries import Queries
from routereval.data.scenario import Partition
from routereval.errors import ParameterError
from routereval.routers.blending import on_score_scale, rescaled, weights_of
from routereval.routers.naming import fresh_copy, label_of, router_named, split_names
from routereval.routers.out_of_fold import folds_of, out_of_fold, out_of_fold_means, predicted


@dataclass
class Stack:
    """Weighted sum of several routers' predictions and of the train means (stacking: Wolpert 1992, Breiman 1996).

    Each router predicts every training prompt from a fit on the other folds; its predictions are brought to the scale
    of scores; non-negative least squares then finds the weights, the train means being a member like the others. The
    routers are fitted again on all training prompts. Where no router tells prompts apart, all weight is on the train
    means, and the choice is that of ``best_single``.

    Parameters
    ----------
    routers : names with parameters, ``"knn:k=40+ridge"``; or a tuple of names and routers.
    folds : how many parts the training prompts are cut into.
    seed : of the folds, and of the routers.
    """

    columnwise: ClassVar[bool] = False
    search_space: ClassVar[Mapping[str, Sequence[Any]]] = {
        "routers": ("knn+ridge+kmeans", "ridge+logistic", "knn+ridge+gmm", "ridge+logistic+kmeans"),
    }
    routers: Any = "knn+ridge+kmeans"
    folds: int = 5
    seed: int = 0

    def fit(self, train: Partition, val: Partition | None = None) -> Self:
        """Find the weights on folds of the training prompts, then fit every router on all of them.

        Raises
        ------
        ParameterError : no routers, or fewer than two folds; or a router cannot be fitted on so few prompts.
        """
        names = self.members()
        if self.folds < 2:
            raise ParameterError(f"stack has folds = {self.folds}; it must be at least 2")
        fold = folds_of(train.queries, self.folds, self.seed)
        if fold.max() == 0:
            # One prompt, or one text: nothing can be held out, so nobody is trusted but the means.
            return self.weigh(train, fold, [], [])
        predictions = [out_of_fold(name, train, fold, self.seed) for name in names]
        fitted = [fresh_copy(router_named(name), self.seed).fit(train, val) for name in names]
        return self.weigh(train, fold, predictions, fitted)

    def weigh(
        self, train: Partition, fold: NDArray[np.intp], predictions: Sequence[NDArray[np.float32]], fitted: list[Any]
    ) -> Self:
        """Become the ensemble of routers fitted on ``train``, weighted by their out-of-fold predictions (n, m) each."""
        targets = train.targets
        self.scales_ = [on_score_scale(one, targets) for one in predictions]
        members = [rescaled(one, scale) for one, scale in zip(predictions, self.scales_, strict=True)]
        if predictions:
            self.weights_ = weights_of([out_of_fold_means(train, fold), *members], targets)
        else:
            self.weights_ = np.ones(1)
        self.fitted_ = fitted
        self.means_ = np.nan_to_num(train.target_means)
        self.handicap_ = handicap(train)
        return self

    def predict(self, queries: Queries) -> Prediction:
        """The weighted sum, (n, m)."""
        scores = np.tile(self.weights_[0] * self.means_ + self.handicap_, (len(queries), 1))
        for name, router, scale, weight in zip(
            self.members(), self.fitted_, self.scales_, self.weights_[1:], strict=False
        ):
            if weight > 0:
                scores += weight * rescaled(predicted(router, queries, name), scale)
        return Prediction(scores, softmax(scores))

    def members(self) -> list[Any]:
        """The routers as they were asked for.

        Raises
        ------
        ParameterError : there are none.
        """
        names = split_names(self.routers) if isinstance(self.routers, str) else list(self.routers)
        if not names:
            raise ParameterError("stack has no routers; write routers=knn+ridge, or give a tuple of routers")
        return names

    def describe(self) -> str:
        """The members with their weights, ``0.62 train means + 0.38 knn``; those without any are left out."""
        labels = ["train means", *(label_of(name) for name in self.members())]
        parts = [f"{w:.2f} {label}" for w, label in zip(self.weights_, labels, strict=False) if w > 0]
        return " + ".join(parts)


def handicap(train: Partition) -> NDArray[np.float64]:
    """What models lose that were observed on less than half of the prompts, (m,): they stand behind the others.

    As ``best_single`` has it, whose choice a stack without any signal has to make.
    """
    scores = train.scores
    standings = standing(scores.model_means, scores.counts, len(train))
    return standings - np.nan_to_num(scores.model_means)

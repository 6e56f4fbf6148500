"""No routing: one model for every prompt, the best on the training prompts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from routereval.data.outcome import standing
from routereval.data.prediction import Prediction, choose
from routereval.data.queries import Queries
from routereval.data.scenario import Partition
from routereval.routers.contract import ColumnwiseRouter


@dataclass
class BestSingle(ColumnwiseRouter):
    """The model with the highest mean score on the training prompts; what any router has to beat."""

    needs_embeddings: ClassVar[bool] = False

    def fit(self, train: Partition, val: Partition | None = None) -> Self:
        """Average each model's scores; models observed on less than half of the prompts stand behind the others."""
        self.means_ = standing(train.scores.model_means, train.scores.counts, len(train))
        return self

    def predict_scores(self, queries: Queries) -> NDArray[np.float64]:
        """The same train means for every query, (n, m)."""
        return np.tile(self.means_, (len(queries), 1))

    def predict(self, queries: Queries) -> Prediction:
        """The train means, and all probability on the best."""
        return self.predict_slices(queries, [np.arange(len(self.means_))])[0]

    def predict_slices(self, queries: Queries, slices: Sequence[NDArray[np.intp]]) -> list[Prediction]:
        """The same for each slice."""
        predictions = []
        for columns in slices:
            scores = np.tile(self.means_[columns], (len(queries), 1))
            probs = np.zeros_like(scores)
            probs[np.arange(len(scores)), choose(scores)] = 1.0
            predictions.append(Prediction(scores, probs))
        return predictions

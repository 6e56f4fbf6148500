"""Any scikit-learn regressor or classifier as a router."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from routereval.data.labels import pool_labels
from routereval.data.prediction import Prediction, softmax
from routereval.data.queries import Queries
from routereval.data.scenario import Partition
from routereval.errors import ParameterError
from routereval.routers.contract import Ties


@dataclass
class SklearnRouter:
    """Predicts each model's score from the embedding with a scikit-learn estimator.

    A regressor learns the scores. A classifier learns whether a model is right (graded scores: whether it reaches 0.95
    of the best in the pool) and its probability is the score. Estimators that take several outputs are fitted once,
    others once per model; where scores are missing, once per model on the prompts it was observed on.

    Parameters
    ----------
    estimator : what to fit, itself never changed; a ``random_state`` that is None becomes ``seed``.

    Examples
    --------
    >>> from sklearn.linear_model import Ridge
    >>> SklearnRouter(Ridge(alpha=1.0))
    SklearnRouter(estimator=Ridge(), ties='protocol', seed=0)
    """

    columnwise: ClassVar[bool] = False
    estimator: Any
    ties: Ties = "protocol"
    seed: int = 0

    def fit(self, train: Partition, val: Partition | None = None) -> Self:
        """Fit a clone of the estimator, or one per model."""
        from sklearn.base import is_classifier, is_regressor
        from sklearn.utils import get_tags

        features = train.queries.require_embeddings()
        targets = train.targets
        self.means_ = np.nan_to_num(train.target_means)
        self.classifies_ = is_classifier(self.estimator)
        if not self.classifies_ and not is_regressor(self.estimator):
            raise ParameterError(
                f"{type(self.estimator).__name__} is neither a regressor nor a classifier, so it predicts no scores"
            )
        if self.classifies_ and not train.scores.binary and train.labels is None:
            targets = pool_labels(targets)
        if get_tags(self.estimator).target_tags.multi_output and not np.isnan(targets).any():
            self.fitted_ = [self._clone().fit(features, targets.astype(np.int8) if self.classifies_ else targets)]
        else:
            self.fitted_ = [self._fit_column(features, column) for column in targets.T]
        return self

    def predict(self, queries: Queries) -> Prediction:
        """Predicted scores, or probabilities of being right, (n, m)."""
        features = queries.require_embeddings()
        if len(self.fitted_) == 1:
            scores = self._joint_scores(self.fitted_[0], features)
        else:
            columns = [
                self._column_scores(one, features, mean) for one, mean in zip(self.fitted_, self.means_, strict=True)
            ]
            scores = np.stack(columns, axis=1)
        return Prediction(scores, softmax(scores))

    def _clone(self) -> Any:
        from sklearn.base import clone

        fresh = clone(self.estimator)
        if fresh.get_params().get("random_state", 0) is None:
            fresh.set_params(random_state=self.seed)
        return fresh

    def _fit_column(self, features: NDArray[np.float32], column: NDArray[np.float32]) -> Any:
        """A clone fitted to one model; None where there is nothing to learn and its mean says it all."""
        seen = ~np.isnan(column)
        values = column[seen]
        if len(values) == 0 or (values == values[0]).all():
            return None
        return self._clone().fit(features[seen], values.astype(np.int8) if self.classifies_ else values)

    def _column_scores(self, fitted: Any, features: NDArray[np.float32], mean: float) -> NDArray[np.float64]:
        if fitted is None:
            return np.full(len(features), mean)
        if not self.classifies_:
            return np.asarray(fitted.predict(features), dtype=np.float64)
        return _probability_of_one(fitted, features)

    def _joint_scores(self, fitted: Any, features: NDArray[np.float32]) -> NDArray[np.float64]:
        if not self.classifies_:
            return np.asarray(fitted.predict(features), dtype=np.float64)
        probabilities = fitted.predict_proba(features)
        if isinstance(probabilities, np.ndarray) and probabilities.ndim == 2:
            return probabilities.astype(np.float64)
        pairs = zip(probabilities, fitted.classes_, strict=True)
        return np.stack([_column_of_one(values, classes) for values, classes in pairs], axis=1)


def _probability_of_one(fitted: Any, features: NDArray[np.float32]) -> NDArray[np.float64]:
    """P(right) where the classifier has probabilities, else the logistic of its decision function, (n,)."""
    if hasattr(fitted, "predict_proba"):
        return _column_of_one(fitted.predict_proba(features), fitted.classes_)
    if hasattr(fitted, "decision_function"):
        # On one scale with probabilities: a model that needs no classifier is ranked by its mean.
        margins = np.clip(np.asarray(fitted.decision_function(features), dtype=np.float64), -500, 500)
        return 1 / (1 + np.exp(-margins))
    return np.asarray(fitted.predict(features), dtype=np.float64)


def _column_of_one(values: NDArray[np.float64], classes: NDArray[np.int8]) -> NDArray[np.float64]:
    """The probability of class 1; 0 where training never saw it."""
    at = np.flatnonzero(np.asarray(classes) == 1)
    return np.asarray(values[:, at[0]], dtype=np.float64) if len(at) else np.zeros(len(values))

"""Orderings learned instead of scores: which model should stand before which on a prompt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self, get_args

import numpy as np
from numpy.typing import NDArray

from routereval.data.prediction import Prediction, softmax
from routereval.data.queries import Queries
from routereval.data.scenario import Partition
from routereval.errors import ParameterError
from routereval.kernels.training import adam_schedule
from routereval.routers.training import NEVER, Adam, Floats, log_odds, shuffled, standard, standardised
from routereval.seeding import generator

Loss = Literal["listwise", "expected_score", "pairwise"]
"""What is lowered; see :class:`Ranking`."""

_BATCH = 256
"""Prompts in a step."""
_LEAST_STEPS = 100
"""So that a small problem is trained to the end too."""


@dataclass
class Ranking:
    """Linear in the embedding, trained on the order of the models rather than on their scores.

    ::

        f(x) = log odds of the train means + W z        z: the standardised embedding

        listwise        -sum_j t_j log softmax(f)_j,    t_j = s_j / sum of s (ListNet, Cao et al. 2007)
        expected_score  -sum_j softmax(f)_j s_j         minus the score of a choice drawn from softmax(f)
        pairwise        mean over pairs of |s_j - s_k| log(1 + exp(f_k - f_j)), s_j > s_k (RankNet, Burges et al. 2005)

    plus ``penalty`` / 2 times the sum of W's squares. A prompt on which all models do alike says nothing about their
    order and is left out; predicting scores would spend most of its effort on how hard prompts are. The levels stay at
    the log odds of the means, as each loss has its own idea of the best order without embeddings; so where the
    embedding says nothing and W is small, the order is that of the train means.

    With more than 256 prompts in training, a step of Adam sees 256 of them; pairwise compares each model with another
    one, drawn anew for each prompt's batch, not with all.

    Parameters
    ----------
    loss : ``listwise``, ``expected_score`` or ``pairwise``.
    penalty : on W's squares, against the loss averaged over prompts.
    learning_rate : of Adam, cosine-decayed to 0.
    epochs : passes over the training prompts, at least as many as make 100 steps.
    seed : of the order of the prompts and of the pairs.
    """

    columnwise: ClassVar[bool] = False
    search_space: ClassVar[Mapping[str, Sequence[Any]]] = {
        "loss": ("listwise", "expected_score", "pairwise"),
        "penalty": (0.003, 0.001, 0.01, 0.0003),
    }
    loss: Loss = "listwise"
    penalty: float = 0.003
    learning_rate: float = 0.03
    epochs: int = 10
    seed: int = 0

    def fit(self, train: Partition, val: Partition | None = None) -> Self:
        """Train on the pool of this partition.

        Raises
        ------
        ParameterError : an unknown loss, a learning rate or number of epochs that is not positive, a penalty below 0.
        """
        self._check()
        embeddings, targets = train.queries.require_embeddings(), train.targets
        self.centre_, self.factor_ = standard(embeddings)
        means = train.target_means
        self.levels_ = np.where(np.isnan(means), NEVER, log_odds(means, len(train)))
        self.weights_ = np.zeros((len(means), embeddings.shape[1]), dtype=np.float32)
        told = np.flatnonzero(np.nan_to_num(np.ptp(_filled(targets), axis=1)) > 0)
        if len(told) and self.factor_:
            x = standardised(embeddings[told], self.centre_, self.factor_).astype(np.float32)
            self._train(x, targets[told])
        self.weights_[np.isnan(means)] = 0
        return self

    def predict(self, queries: Queries) -> Prediction:
        """f (n, m) and its softmax."""
        x = standardised(queries.require_embeddings(), self.centre_, self.factor_)
        scores = x @ self.weights_.T.astype(np.float64) + self.levels_
        return Prediction(scores, softmax(scores))

    def _check(self) -> None:
        if self.loss not in get_args(Loss):
            raise ParameterError(f"ranking has loss = {self.loss!r}; expected {', '.join(get_args(Loss))}")
        if not 0 <= self.penalty < np.inf:
            raise ParameterError(f"ranking has penalty = {self.penalty}; it must be at least 0")
        if not 0 < self.learning_rate < np.inf:
            raise ParameterError(f"ranking has learning_rate = {self.learning_rate}; it must be positive")
        if self.epochs < 1:
            raise ParameterError(f"ranking has epochs = {self.epochs}; it must be at least 1")

    def _train(self, x: Floats, targets: Floats) -> None:
        n = len(x)
        batch = min(_BATCH, n)
        per_epoch = -(-n // batch)
        epochs = max(self.epochs, -(-_LEAST_STEPS // per_epoch))
        order = shuffled(n, epochs, "ranking", self.seed).reshape(epochs, n)
        batches = [row[start : start + batch] for row in order for start in range(0, n, batch)]
        rng = generator("ranking", self.seed, "pairs")
        adam = Adam([self.weights_])
        levels = self.levels_.astype(np.float32)
        for index, *step in zip(batches, *adam_schedule(len(batches), self.learning_rate), strict=True):
            rows = x[index]
            slope = _slopes(self.loss, rows @ self.weights_.T + levels, targets[index], rng)
            gradient: Floats = slope.T @ rows / np.float32(len(index)) + np.float32(self.penalty) * self.weights_
            adam.step([gradient], *step)


def _slopes(loss: Loss, logits: Floats, targets: Floats, rng: np.random.Generator) -> Floats:
    """Derivative of each prompt's loss by its logits, (n, m); 0 where not observed."""
    seen = np.isfinite(targets)
    scores = np.where(seen, targets, np.float32(0))
    if loss == "pairwise":
        return _pairwise_slopes(logits, scores, seen, rng)
    logits = np.where(seen, logits, -np.inf)
    share = np.exp(logits - logits.max(axis=1, keepdims=True))
    share /= share.sum(axis=1, keepdims=True)
    if loss == "listwise":
        apart: Floats = share - scores / scores.sum(axis=1, keepdims=True)
        return apart
    expected = np.einsum("ij,ij->i", share, scores)
    worse: Floats = share * (expected[:, None] - scores)
    return worse


def _pairwise_slopes(logits: Floats, scores: Floats, seen: NDArray[np.bool_], rng: np.random.Generator) -> Floats:
    """Each model against one other, the same for all prompts of the batch."""
    m = logits.shape[1]
    one = rng.permutation(m)
    other = np.roll(one, 1)
    margin = scores[:, one] - scores[:, other]
    margin[~(seen[:, one] & seen[:, other])] = 0
    wrong = 1 / (1 + np.exp(np.clip(np.sign(margin) * (logits[:, one] - logits[:, other]), -60, 60)))
    pull = -margin * wrong / np.float32(m)
    slopes = np.zeros_like(logits)
    slopes[:, one] += pull
    slopes[:, other] -= pull
    return slopes


def _filled(targets: Floats) -> Floats:
    """Targets with what was not observed replaced by another score of the same prompt; nan where there is none."""
    with np.errstate(invalid="ignore"):
        lowest = np.fmin.reduce(targets, axis=1)
    filled: Floats = np.where(np.isnan(targets), lowest[:, None], targets)
    return filled

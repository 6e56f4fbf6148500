"""Matrix factorisation: a vector per model, a linear map of the embedding, and how well the two agree."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from routereval.data.prediction import Prediction, softmax
from routereval.data.queries import Queries
from routereval.data.scenario import Partition
from routereval.errors import ParameterError
from routereval.kernels.training import adam_schedule
from routereval.routers.training import (
    NEVER,
    Adam,
    Floats,
    Recipe,
    check_training,
    log_odds,
    shuffled,
    slopes,
    standard,
    standardised,
    with_ones,
)
from routereval.seeding import generator

_PAIRS = 2048
"""Cells (prompt, model) in a published batch."""
_NOISE = 0.05
_DECAY = 1e-5
_BATCH = 256
"""Prompts in a batch of the fast recipe."""
_HELD_OUT = 5
"""One in how many training prompts says when to stop."""
_ENOUGH = 1000
"""So many set aside say it as well as more."""
_STEPS = 600
"""Where 30 epochs take more steps than this, there are fewer epochs."""


@dataclass
class MatrixFactorisation:
    """Agreement of a model's vector with a linear map of the embedding (EmbedLLM, Zhuang et al. 2025).

    ::

        logit of model m being right on x = sum_k u_k p_mk (W x + w)_k + c

    ``published``: 232 factors, cross-entropy of the classes right and wrong (the difference of their logits is the
    above), Adam with learning rate 0.0001 and weight decay 0.00001 for 50 epochs, normal noise of 0.05 on the
    embeddings, PyTorch's initial weights. The published batch is 2,048 cells drawn anywhere in the table; here a step
    takes as many whole prompts as have about so many cells, at least one, so that it is a product of matrices. Scores
    between 0 and 1 are taken for the share of the class right.

    ``minibatch``: u is 1; to the sum come a level per model, which starts at the log odds of its train mean, and the
    prompt's difficulty, linear in the embedding, which all models share. Embeddings are standardised, a penalty on the
    vectors and the map replaces the noise, and a step takes 256 prompts. One training prompt in five, at most 1,000, is
    set aside first and says after how many epochs the loss was lowest; then all are trained on for as many.

    Cells that were not observed give no gradient.

    Parameters
    ----------
    recipe : ``minibatch`` or ``published``.
    factors : length of a model's vector; None: 232 (published), 16 (minibatch).
    learning_rate : None: 0.0001 (published), 0.01 (minibatch).
    penalty : of the fast recipe, on the squares of vectors and map, against the loss summed over a prompt's models and
        averaged over prompts.
    epochs : at most so many; None: 50 (published), 30 or as many as make 600 steps, at least 5 (minibatch).
    seed : of initial weights, noise, order, and which prompts are set aside.
    """

    columnwise: ClassVar[bool] = False
    search_space: ClassVar[Mapping[str, Sequence[Any]]] = {
        "factors": (None, 4, 64),
        "penalty": (0.003, 0.001, 0.03),
        "learning_rate": (None, 0.003),
    }
    recipe: Recipe = "minibatch"
    factors: int | None = None
    learning_rate: float | None = None
    penalty: float = 0.003
    epochs: int | None = None
    seed: int = 0

    def fit(self, train: Partition, val: Partition | None = None) -> Self:
        """Train on the pool of this partition.

        Raises
        ------
        ParameterError : an unknown recipe, a number that is not positive, a penalty below 0.
        """
        counts = {"factors": self.factors, "epochs": self.epochs, "training_prompts": len(train)}
        check_training("mf", recipe=self.recipe, learning_rate=self.learning_rate, **counts)
        if not 0 <= self.penalty < np.inf:
            raise ParameterError(f"mf has penalty = {self.penalty}; it must be at least 0")
        embeddings = train.queries.require_embeddings()
        if self.recipe == "published":
            self.centre_, self.factor_ = np.zeros(embeddings.shape[1]), 1.0
            self.models_, self.map_ = self._published(embeddings, train)
        else:
            self.centre_, self.factor_ = standard(embeddings)
            x = standardised(embeddings, self.centre_, self.factor_).astype(np.float32)
            self.models_, self.map_ = self._fast(x, train.targets, train.target_means)
        self._silence(np.isnan(train.target_means))
        return self

    def predict(self, queries: Queries) -> Prediction:
        """Logits of being right (n, m) and their softmax."""
        x = standardised(queries.require_embeddings(), self.centre_, self.factor_)
        known = self.map_.astype(np.float64)
        logits = (x @ known[:, :-1].T + known[:, -1]) @ self.models_[:, :-1].T.astype(np.float64)
        logits += self.models_[:, -1]
        return Prediction(logits, softmax(logits))

    def _silence(self, unseen: NDArray[np.bool_]) -> None:
        self.models_[unseen] = 0
        self.models_[unseen, -1] = NEVER

    def _published(self, x: Floats, train: Partition) -> tuple[Floats, Floats]:
        """Model vectors with their levels (m, k + 1) and the map (k, d + 1)."""
        n, d = x.shape
        targets, m = train.targets, len(train.model_ids)
        k, epochs = self.factors or 232, self.epochs or 50
        rng = generator("mf", self.seed, *train.model_ids)
        vectors = rng.standard_normal((m, k), dtype=np.float32)
        mapping = rng.uniform(-1 / np.sqrt(d), 1 / np.sqrt(d), (k, d + 1)).astype(np.float32)
        head = rng.uniform(-1 / np.sqrt(k), 1 / np.sqrt(k), (2, k + 1)).astype(np.float32)
        batch = min(n, max(1, _PAIRS // m))
        order = shuffled(n, epochs, "mf", self.seed).reshape(epochs, n)
        batches = [row[start : start + batch] for row in order for start in range(0, n, batch)]
        weights = [vectors, mapping, head]
        adam = Adam(weights)
        for index, (size, root) in zip(batches, _steady(len(batches), self.learning_rate or 1e-4), strict=True):
            rows = x[index] + _NOISE * rng.standard_normal((len(index), d), dtype=np.float32)
            rows = with_ones(rows)
            difference = head[1] - head[0]
            projected = rows @ mapping.T
            y = targets[index]
            logits = (projected * difference[:-1]) @ vectors.T + difference[-1]
            slope = slopes(logits, y, max(1, int(np.isfinite(y).sum())))
            back = slope @ vectors
            of_head = np.append((back * projected).sum(axis=0), slope.sum())
            gradients = [slope.T @ (projected * difference[:-1]), (back * difference[:-1]).T @ rows]
            gradients.append(np.stack([-of_head, of_head]))
            adam.step([g + np.float32(_DECAY) * w for g, w in zip(gradients, weights, strict=True)], size, root)
        difference = head[1] - head[0]
        return _with_levels(vectors * difference[:-1], np.full(m, difference[-1])), mapping

    def _fast(self, x: Floats, targets: Floats, means: NDArray[np.float64]) -> tuple[Floats, Floats]:
        """The same of the fast recipe, as many epochs as prompts set aside say; all levels where there are too few."""
        epochs = self.epochs or int(np.clip(_STEPS * _BATCH // len(x), 5, 30))
        held_out = generator("mf", self.seed, "held out").permutation(len(x))[: min(len(x) // _HELD_OUT, _ENOUGH)]
        if len(held_out) == 0:
            return self._start(means, x.shape, len(x))
        learn = np.setdiff1d(np.arange(len(x)), held_out)
        losses: list[float] = []
        for models, mapping in self._epochs(x[learn], targets[learn], means, epochs):
            losses.append(_loss(models, mapping, x[held_out], targets[held_out]))
            if len(losses) - 1 - int(np.argmin(losses)) >= 5:
                break
        *_, (models, mapping) = self._epochs(x, targets, means, epochs, stop=int(np.argmin(losses)))
        return models, mapping

    def _start(self, means: NDArray[np.float64], shape: tuple[int, ...], n: int) -> tuple[Floats, Floats]:
        k = (self.factors or 16) + 1
        rng = generator("mf", self.seed, "start")
        vectors = 0.3 * rng.standard_normal((len(means), k), dtype=np.float32)
        vectors[:, -1] = 1  # the prompt's difficulty
        return _with_levels(vectors, log_odds(means, n)), np.zeros((k, shape[1] + 1), dtype=np.float32)

    def _epochs(
        self, x: Floats, targets: Floats, means: NDArray[np.float64], epochs: int, stop: int | None = None
    ) -> Iterator[tuple[Floats, Floats]]:
        """Weights before the first epoch and after each, changed in place; the first ``stop`` only."""
        models, mapping = self._start(means, x.shape, len(x))
        rows = with_ones(x)
        batch = min(_BATCH, len(x))
        steps = -(-len(x) // batch)
        order = shuffled(len(x), epochs, "mf", self.seed).reshape(epochs, len(x))
        size, root = adam_schedule(epochs * steps, self.learning_rate or 0.01)
        adam = Adam([models, mapping])
        yield models, mapping
        for epoch in range(epochs if stop is None else stop):
            for step in range(steps):
                index = order[epoch, step * batch : (step + 1) * batch]
                some = rows[index]
                projected: Floats = some @ mapping.T
                slope = slopes(projected @ models[:, :-1].T + models[:, -1], targets[index], len(index))
                of_models = np.concatenate([slope.T @ projected, slope.sum(axis=0)[:, None]], axis=1)
                of_models[:, :-2] += self.penalty / 10 * models[:, :-2]
                of_models[:, -2] = 0
                of_map = ((slope @ models[:, :-1]).T @ some).astype(np.float32, copy=False)
                of_map[:, :-1] += self.penalty * targets.shape[1] * mapping[:, :-1]
                adam.step([of_models, of_map], size[epoch * steps + step], root[epoch * steps + step])
            yield models, mapping


def _with_levels(vectors: Floats, levels: Floats) -> Floats:
    """Vectors (m, k) with a last column of levels."""
    joined: Floats = np.concatenate([vectors, levels[:, None]], axis=1).astype(np.float32)
    return joined


def _steady(steps: int, learning_rate: float) -> Iterator[tuple[np.float32, np.float32]]:
    """Adam's step sizes and inverse roots at a constant learning rate."""
    t = np.arange(1, steps + 1)
    size = learning_rate / (1 - 0.9**t)
    root = 1 / np.sqrt(1 - 0.999**t)
    return zip(size.astype(np.float32), root.astype(np.float32), strict=True)


def _loss(models: Floats, mapping: Floats, x: Floats, targets: Floats) -> float:
    """Mean cross-entropy over the observed cells."""
    logits = (with_ones(x) @ mapping.T) @ models[:, :-1].T + models[:, -1]
    losses = np.logaddexp(0, logits) - targets * logits
    seen = np.isfinite(targets)
    return float(losses[seen].mean(dtype=np.float64)) if seen.any() else 0.0

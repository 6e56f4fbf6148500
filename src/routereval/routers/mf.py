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
from routereval.kernels.training import BETA1, BETA2
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
_STEPS = 3000
"""The fast recipe takes at most about so many, of more prompts each."""


@dataclass
class MatrixFactorisation:
    """Agreement of a model's vector with a linear map of the embedding (EmbedLLM, Zhuang et al. 2025).

    ::

        logit of model m being right on x = sum_k u_k p_mk (W x + w)_k + c_m

    ``published``: 232 factors, one c for all models, cross-entropy of the classes right and wrong (the difference of
    their logits is the above), Adam with learning rate 0.0001 and weight decay 0.00001 for 50 epochs, normal noise of
    0.05 on the embeddings, PyTorch's initial weights. The published batch is 2,048 cells drawn anywhere in the table;
    here a step takes as many whole prompts as have about so many cells, at least one, so that it is a product of
    matrices. Scores between 0 and 1 are taken for the share of the class right.

    ``minibatch``: the same but that c is a level per model that starts at the log odds of its train mean, embeddings
    are standardised, w starts at 0, and a step takes more prompts where it would be more than 3,000 steps otherwise.

    Cells that were not observed give no gradient.

    Parameters
    ----------
    recipe : ``minibatch`` or ``published``.
    factors : length of a model's vector.
    learning_rate : of Adam; not decayed.
    epochs : passes over the training prompts.
    seed : of initial weights, noise and order.
    """

    columnwise: ClassVar[bool] = False
    search_space: ClassVar[Mapping[str, Sequence[Any]]] = {
        "learning_rate": (1e-4, 3e-4, 1e-3),
        "epochs": (50, 20),
        "factors": (232, 64),
    }
    recipe: Recipe = "minibatch"
    factors: int = 232
    learning_rate: float = 1e-4
    epochs: int = 50
    seed: int = 0

    def fit(self, train: Partition, val: Partition | None = None) -> Self:
        """Train on the pool of this partition.

        Raises
        ------
        ParameterError : an unknown recipe, or a number that is not positive.
        """
        counts = {"factors": self.factors, "epochs": self.epochs, "training_prompts": len(train)}
        check_training("mf", recipe=self.recipe, learning_rate=self.learning_rate, **counts)
        x, means = train.queries.require_embeddings(), train.target_means
        self.centre_, self.factor_ = np.zeros(x.shape[1]), 1.0
        levels = np.zeros(len(means), dtype=np.float32)
        if self.recipe == "minibatch":
            self.centre_, self.factor_ = standard(x)
            x = standardised(x, self.centre_, self.factor_).astype(np.float32)
            levels = log_odds(means, len(x))
        self.models_, self.map_ = self._trained(x, train.targets, levels, train.model_ids)
        unseen = np.isnan(means)
        self.models_[unseen] = 0
        self.models_[unseen, -1] = NEVER
        return self

    def predict(self, queries: Queries) -> Prediction:
        """Logits of being right (n, m) and their softmax."""
        x = standardised(queries.require_embeddings(), self.centre_, self.factor_)
        known = self.map_.astype(np.float64)
        logits = (x @ known[:, :-1].T + known[:, -1]) @ self.models_[:, :-1].T.astype(np.float64)
        logits += self.models_[:, -1]
        return Prediction(logits, softmax(logits))

    def _initial(self, d: int, model_ids: tuple[str, ...]) -> tuple[Floats, Floats, Floats]:
        """PyTorch's: vectors (m, k) standard normal, map (k, d + 1) and head (2, k + 1) uniform in 1 / sqrt(inputs)."""
        rng, k = generator("mf", self.seed, *model_ids), self.factors
        vectors = rng.standard_normal((len(model_ids), k), dtype=np.float32)
        mapping = rng.uniform(-1 / np.sqrt(d), 1 / np.sqrt(d), (k, d + 1)).astype(np.float32)
        head = rng.uniform(-1 / np.sqrt(k), 1 / np.sqrt(k), (2, k + 1)).astype(np.float32)
        return vectors, mapping, head

    def _trained(self, x: Floats, targets: Floats, levels: Floats, model_ids: tuple[str, ...]) -> tuple[Floats, Floats]:
        """Model vectors, times the head, with their levels (m, k + 1), and the map (k, d + 1)."""
        vectors, mapping, head = self._initial(x.shape[1], model_ids)
        weights = [vectors, mapping, head]
        by_model = self.recipe == "minibatch"
        if by_model:
            mapping[:, -1] = 0
            head[:, -1] = 0
            weights.append(levels)
        batches = self._batches(len(x), len(model_ids))
        noise = generator("mf", self.seed, "noise")
        adam = Adam(weights)
        for index, (size, root) in zip(batches, _steady(len(batches), self.learning_rate), strict=True):
            rows = with_ones(x[index] + _NOISE * noise.standard_normal((len(index), x.shape[1]), dtype=np.float32))
            u = head[1, :-1] - head[0, :-1]
            projected = rows @ mapping.T
            logits = (projected * u) @ vectors.T + (head[1, -1] - head[0, -1] + levels)
            observed = max(1, int(np.isfinite(targets[index]).sum()))
            slope = slopes(logits, targets[index], observed)
            back = slope @ vectors
            of_head = np.append((back * projected).sum(axis=0), 0 if by_model else slope.sum())
            gradients: list[Any] = [slope.T @ (projected * u), (back * u).T @ rows, np.stack([-of_head, of_head])]
            if by_model:
                gradients.append(slope.sum(axis=0))
            decayed = [(g + _DECAY * w).astype(np.float32) for g, w in zip(gradients, weights, strict=True)]
            adam.step(decayed, size, root)
        joined = np.concatenate([vectors, (head[1, -1] - head[0, -1] + levels)[:, None]], axis=1)
        joined[:, :-1] *= head[1, :-1] - head[0, :-1]
        return joined, mapping

    def _batches(self, n: int, m: int) -> list[NDArray[np.int64]]:
        """Positions of the prompts of each step."""
        batch = max(1, _PAIRS // m)
        if self.recipe == "minibatch":
            batch = max(batch, -(-n * self.epochs // _STEPS))
        order = shuffled(n, self.epochs, "mf", self.seed).reshape(self.epochs, n)
        return [row[start : start + batch] for row in order for start in range(0, n, batch)]


def _steady(steps: int, learning_rate: float) -> Iterator[tuple[np.float32, np.float32]]:
    """Adam's step sizes and inverse roots at a constant learning rate."""
    t = np.arange(1, steps + 1)
    size = learning_rate / (1 - BETA1**t)
    root = 1 / np.sqrt(1 - BETA2**t)
    return zip(size.astype(np.float32), root.astype(np.float32), strict=True)

"""One linear layer: a logistic regression per model, from the embedding."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from routereval.data.queries import Queries
from routereval.data.scenario import Partition
from routereval.kernels.training import adam_schedule, train_linear
from routereval.routers.contract import ColumnwiseRouter, Ties
from routereval.routers.products import columns_product, model_sums
from routereval.routers.training import (
    Adam,
    Floats,
    Recipe,
    check_training,
    log_odds,
    minibatches,
    shuffled,
    silence_unseen,
    slopes,
    with_ones,
)
from routereval.seeding import generator

_THREAD_BLOCK = 16
"""Columns trained together by one thread: their weights and moments stay in its cache."""


@dataclass
class Linear(ColumnwiseRouter):
    """Logistic regression of each model's score on the embedding (LinearR of Huang et al. 2025).

    ``published``: Adam with batch 1 for 10 epochs, learning rate 0.01 with cosine decay to 0, PyTorch's initial
    weights. The published code averages the loss over the models of a pool, ours adds it up: Adam divides the gradient
    by its own size, so only its epsilon of 1e-8 tells the difference, and a model's column does not depend on the
    others. The order of the samples is seeded by ``seed``, a model's initial weights by its name and ``seed``.

    ``minibatch``: 10 steps of Adam on a tenth of the prompts each (32 to 512), from zero weights and the log odds
    of the train means.

    Parameters
    ----------
    recipe : ``published`` or ``minibatch``.
    learning_rate : None: 0.01 (published), 0.05 (minibatch).
    epochs : of the published recipe.
    steps : of the mini-batch recipe.
    ties : who wins among equal logits.
    seed : of initial weights and order.
    """

    search_space: ClassVar[Mapping[str, Sequence[Any]]] = {"learning_rate": (None, 0.003, 0.02, 0.1)}
    recipe: Recipe = "published"
    learning_rate: float | None = None
    epochs: int = 10
    steps: int = 10
    ties: Ties = "protocol"
    seed: int = 0

    def fit(self, train: Partition, val: Partition | None = None) -> Self:
        """Train a column of weights for each model.

        Raises
        ------
        ParameterError : a learning rate, number of epochs or of steps that is not positive.
        """
        counts = {"epochs": self.epochs, "steps": self.steps, "training_prompts": len(train)}
        check_training("linear", recipe=self.recipe, learning_rate=self.learning_rate, **counts)
        x = with_ones(train.queries.require_embeddings())
        self.weights_ = self._published(x, train) if self.recipe == "published" else self._minibatch(x, train)
        silence_unseen(self.weights_, train.target_means)
        return self

    def predict_scores(self, queries: Queries) -> NDArray[np.float64]:
        """Logits (n, m)."""
        return columns_product(with_ones(queries.require_embeddings()), self.weights_).astype(np.float64)

    def _published(self, x: Floats, train: Partition) -> Floats:
        bound = 1 / np.sqrt(x.shape[1] - 1)
        initial = {
            name: generator("linear", name, self.seed).uniform(-bound, bound, x.shape[1])
            for name in dict.fromkeys(train.model_ids)
        }
        weights = np.array([initial[name] for name in train.model_ids], dtype=np.float32)
        targets = train.targets_by_model.astype(np.float32)
        order = shuffled(len(x), self.epochs, "linear", self.seed)
        size, root = adam_schedule(len(order), self.learning_rate or 0.01)

        def train_block(start: int) -> None:
            block = slice(start, start + _THREAD_BLOCK)
            train_linear(x, targets[block], order, size, root, weights[block])

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(train_block, range(0, len(weights), _THREAD_BLOCK)))
        return weights

    def _minibatch(self, x: Floats, train: Partition) -> Floats:
        n, m = train.scores.shape
        targets = train.targets_by_model.astype(np.float32)
        weights = np.zeros((m, x.shape[1]), dtype=np.float32)
        weights[:, -1] = log_odds(train.target_means, n)
        batch = int(np.clip(n // 10, 32, 512))
        schedule = minibatches(n, self.steps, batch, self.learning_rate or 0.05, "linear", self.seed)
        adam = Adam([weights])
        for index, size, root in zip(schedule.batches, schedule.size, schedule.root, strict=True):
            rows = x[index]
            slope = slopes(columns_product(rows, weights).T, targets[:, index], batch)
            adam.step([model_sums(slope, rows)], size, root)
        return weights

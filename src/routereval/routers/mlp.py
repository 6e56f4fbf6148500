"""A network with two hidden layers from the embedding to every model's score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from routereval.data.prediction import Prediction, softmax
from routereval.data.queries import Queries
from routereval.data.scenario import Partition
from routereval.kernels.training import adam_schedule, train_mlp
from routereval.routers.contract import Ties
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


@dataclass
class MLP:
    """Two hidden layers of ReLU units, one logit per model (MLPR of Huang et al. 2025).

    ``published``: Adam with batch 1 for 100 epochs, learning rate 0.0001 with cosine decay to 0, PyTorch's initial
    weights. The loss is added up over the models where the published code averages it; Adam does not care but for its
    epsilon.

    ``minibatch``: 120 steps of Adam on 64 prompts each, with the output biases at the log odds of the train means.

    Parameters
    ----------
    recipe : ``published`` or ``minibatch``.
    learning_rate : None: 0.0001 (published), 0.001 (minibatch).
    hidden : units in each hidden layer.
    epochs : of the published recipe.
    steps : of the mini-batch recipe.
    ties : who wins among equal logits.
    seed : of initial weights and order.
    """

    columnwise: ClassVar[bool] = False
    paper_entropy_floor: ClassVar[float] = 0.0
    search_space: ClassVar[Mapping[str, Sequence[Any]]] = {"learning_rate": (None, 0.0003, 0.001, 0.003)}
    recipe: Recipe = "published"
    learning_rate: float | None = None
    hidden: int = 256
    epochs: int = 100
    steps: int = 120
    ties: Ties = "protocol"
    seed: int = 0

    def fit(self, train: Partition, val: Partition | None = None) -> Self:
        """Train the network on the pool of this partition.

        Raises
        ------
        ParameterError : a learning rate, width, number of epochs or of steps that is not positive.
        """
        counts = {"hidden": self.hidden, "epochs": self.epochs, "steps": self.steps, "training_prompts": len(train)}
        check_training("mlp", recipe=self.recipe, learning_rate=self.learning_rate, **counts)
        x = with_ones(train.queries.require_embeddings())
        self.weights_ = self._initial(x.shape[1] - 1, train.model_ids)
        if self.recipe == "published":
            order = shuffled(len(x), self.epochs, "mlp", self.seed)
            size, root = adam_schedule(len(order), self.learning_rate or 1e-4)
            train_mlp(x, np.ascontiguousarray(train.targets), order, size, root, *self.weights_)
        else:
            self._minibatch(x, train)
        silence_unseen(self.weights_[-1], train.target_means)
        return self

    def predict(self, queries: Queries) -> Prediction:
        """Logits (n, m) and their softmax."""
        logits = self._forward(with_ones(queries.require_embeddings()))[-1].astype(np.float64)
        return Prediction(logits, softmax(logits))

    def _initial(self, d: int, model_ids: tuple[str, ...]) -> list[Floats]:
        """PyTorch's: uniform within 1 / sqrt(inputs), biases too (the last column)."""
        rng = generator("mlp", self.seed, *model_ids)
        shapes = ((self.hidden, d), (self.hidden, self.hidden), (len(model_ids), self.hidden))
        return [
            rng.uniform(-1 / np.sqrt(inputs), 1 / np.sqrt(inputs), (outputs, inputs + 1)).astype(np.float32)
            for outputs, inputs in shapes
        ]

    def _forward(self, x: Floats) -> tuple[Floats, Floats, Floats]:
        """Both hidden layers, each with its column of ones, and the logits."""
        w1, w2, w3 = self.weights_
        h1 = with_ones(np.maximum(x @ w1.T, 0))
        h2 = with_ones(np.maximum(h1 @ w2.T, 0))
        logits: Floats = h2 @ w3.T
        return h1, h2, logits

    def _minibatch(self, x: Floats, train: Partition) -> None:
        _, w2, w3 = self.weights_
        targets = train.targets
        w3[:, -1] = log_odds(train.target_means, len(x))
        schedule = minibatches(len(x), self.steps, 64, self.learning_rate or 1e-3, "mlp", self.seed)
        adam = Adam(self.weights_)
        for index, size, root in zip(schedule.batches, schedule.size, schedule.root, strict=True):
            rows = x[index]
            h1, h2, logits = self._forward(rows)
            slope3 = slopes(logits, targets[index], len(index))
            slope2: Floats = (slope3 @ w3[:, :-1]) * (h2[:, :-1] > 0)
            slope1: Floats = (slope2 @ w2[:, :-1]) * (h1[:, :-1] > 0)
            adam.step([slope1.T @ rows, slope2.T @ h1, slope3.T @ h2], size, root)

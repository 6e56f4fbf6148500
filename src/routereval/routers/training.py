"""What the trained routers share: the order of samples, the two recipes' steps, the masked loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from routereval.errors import ParameterError
from routereval.kernels.training import adam_schedule, adam_step
from routereval.seeding import generator

Recipe = Literal["published", "minibatch"]
"""``published``: batch 1, Adam, cosine decay, as released. ``minibatch``: few large steps from the train means on."""

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Schedule:
    """Which samples each step sees, and Adam's step sizes.

    Parameters
    ----------
    batches : the samples of each step.
    size, root : of :func:`~routereval.kernels.training.adam_schedule`, one per step.
    """

    batches: list[NDArray[np.int64]]
    size: Floats
    root: Floats


def shuffled(n: int, epochs: int, *names: object) -> NDArray[np.int64]:
    """n samples in another order for each epoch, (epochs x n,), seeded from names."""
    rng = generator(*names, "order")
    return np.concatenate([rng.permutation(n) for _ in range(epochs)]).astype(np.int64)


def minibatches(n: int, steps: int, batch: int, learning_rate: float, *names: object) -> Schedule:
    """``steps`` batches drawn without replacement until all samples were seen, then again."""
    batch = min(batch, n)
    order = shuffled(n, -(-steps * batch // n), *names)
    size, root = adam_schedule(steps, learning_rate)
    return Schedule([order[s * batch : (s + 1) * batch] for s in range(steps)], size, root)


def with_ones(features: Floats) -> Floats:
    """The features with a last column of ones, for the bias."""
    return np.concatenate([features, np.ones((len(features), 1), dtype=np.float32)], axis=1)


def log_odds(means: NDArray[np.float64], n: int) -> Floats:
    """Log odds of the train means, (m,), drawn towards even odds as by one success and one failure in n."""
    smoothed = (np.nan_to_num(means, nan=0.5) * n + 1) / (n + 2)
    odds: Floats = np.log(smoothed / (1 - smoothed)).astype(np.float32)
    return odds


NEVER = np.float32(-30.0)
"""The logit of a model that training never saw: as knn and best_single have it, it is taken for never right."""


def silence_unseen(weights: Floats, means: NDArray[np.float64]) -> None:
    """Give the rows of models that training never saw no weights but a bias of ``NEVER``; in place."""
    unseen = np.isnan(means)
    weights[unseen] = 0
    weights[unseen, -1] = NEVER


def slopes(logits: Floats, targets: Floats, batch: int) -> Floats:
    """Derivative of the binary cross-entropy by the logits, as a share of the batch; 0 where not observed."""
    derivative = 1 / (1 + np.exp(-np.clip(logits, -60, 60)))
    derivative -= targets
    derivative /= batch
    scaled: Floats = np.nan_to_num(derivative, copy=False, nan=0.0)
    return scaled


class Adam:
    """Adam's moments for a list of weights, which it changes in place."""

    def __init__(self, weights: list[Floats]):
        self._flat = [w.reshape(-1) for w in weights]
        self._moments = [(np.zeros_like(w), np.zeros_like(w)) for w in self._flat]

    def step(self, gradients: list[Floats], size: np.float32, root: np.float32) -> None:
        """One step of every weight."""
        for w, (first, second), gradient in zip(self._flat, self._moments, gradients, strict=True):
            adam_step(w, first, second, np.ascontiguousarray(gradient).reshape(-1), size, root)


def check_training(name: str, *, recipe: str, learning_rate: float | None, **counts: int | None) -> None:
    """Refuse a recipe that there is not, a learning rate that is not positive and counts below 1.

    Raises
    ------
    ParameterError : says which.
    """
    if recipe not in get_args(Recipe):
        raise ParameterError(f"{name} has recipe = {recipe!r}; expected {' or '.join(get_args(Recipe))}")
    if learning_rate is not None and not learning_rate > 0:
        raise ParameterError(f"{name} has learning_rate = {learning_rate}; it must be positive")
    for what, count in counts.items():
        if count is not None and count < 1:
            raise ParameterError(f"{name} has {what} = {count}; it must be at least 1")


def standard(embeddings: Floats) -> tuple[NDArray[np.float64], float]:
    """What moves embeddings to mean zero and scales them, all dimensions alike, to a mean square length of one.

    A penalty then means the same whatever the encoder.

    Parameters
    ----------
    embeddings : (n, d) of the training prompts.

    Returns
    -------
    centre : (d,) their mean.
    factor : one over the root mean square of their distances from it; 0 where they are all the same.
    """
    centre: NDArray[np.float64] = embeddings.mean(axis=0, dtype=np.float64)
    apart = embeddings - centre
    largest = float(np.abs(apart).max())
    if largest <= 1e-6 * float(np.abs(centre).max()):
        return centre, 0.0  # no more than rounding
    # Over the largest entry first: squares of extreme numbers do not fit.
    apart /= largest
    return centre, 1 / (largest * float(np.sqrt(np.einsum("ij,ij->", apart, apart) / len(apart))))


def standardised(embeddings: Floats, centre: NDArray[np.float64], factor: float) -> NDArray[np.float64]:
    """Embeddings (n, d) on the scale of :func:`standard`."""
    moved: NDArray[np.float64] = (embeddings - centre) * factor
    return moved

"""The compiled loops against plain NumPy twins, in float64."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from routereval.kernels.training import BETA1, BETA2, EPSILON, adam_schedule, adam_step, logits, train_linear, train_mlp

Floats = NDArray[np.float64]
N, D, M, H = 12, 5, 4, 6


class PlainAdam:
    """Adam as Kingma and Ba (2015) write it, bias corrections and all."""

    def __init__(self, weights: list[Floats]):
        self.weights = weights
        self.first = [np.zeros_like(w) for w in weights]
        self.second = [np.zeros_like(w) for w in weights]
        self.t = 0

    def step(self, gradients: list[Floats], rate: float) -> None:
        self.t += 1
        for w, first, second, g in zip(self.weights, self.first, self.second, gradients, strict=True):
            first[:] = BETA1 * first + (1 - BETA1) * g
            second[:] = BETA2 * second + (1 - BETA2) * g**2
            corrected = first / (1 - BETA1**self.t), second / (1 - BETA2**self.t)
            w -= rate * corrected[0] / (np.sqrt(corrected[1]) + EPSILON)


def cosine(step: int, steps: int, rate: float) -> float:
    return float(rate * (1 + np.cos(np.pi * step / steps)) / 2)


def slope(logit: Floats, target: Floats) -> Floats:
    return np.where(np.isnan(target), 0.0, 1 / (1 + np.exp(-logit)) - target)


@pytest.fixture
def world() -> dict[str, NDArray[np.float32]]:
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(size=(N, D)), np.ones((N, 1))], axis=1)
    y = rng.integers(0, 2, size=(N, M)).astype(float)
    y[3, 1] = y[7, 0] = np.nan
    return {
        "x": x.astype(np.float32),
        "y": y.astype(np.float32),
        "w": rng.normal(size=(M, D + 1)).astype(np.float32),
        "w1": rng.normal(size=(H, D + 1)).astype(np.float32),
        "w2": rng.normal(size=(H, H + 1)).astype(np.float32),
        "w3": rng.normal(size=(M, H + 1)).astype(np.float32),
    }


ORDER = np.concatenate([np.random.default_rng(s).permutation(N) for s in range(3)]).astype(np.int64)


def test_linear_training_is_that_of_its_numpy_twin(world: dict[str, NDArray[np.float32]]) -> None:
    x, y = world["x"].astype(np.float64), world["y"].astype(np.float64)
    expected = world["w"].astype(np.float64)
    adam = PlainAdam([expected])
    for t, j in enumerate(ORDER):
        adam.step([np.outer(slope(expected @ x[j], y[j]), x[j])], cosine(t, len(ORDER), 0.01))
    found = world["w"].copy()
    train_linear(world["x"], np.ascontiguousarray(world["y"].T), ORDER, *adam_schedule(len(ORDER), 0.01), found)
    np.testing.assert_allclose(found, expected, atol=2e-5)
    assert np.abs(found - world["w"]).max() > 0.01


def test_mlp_training_is_that_of_its_numpy_twin(world: dict[str, NDArray[np.float32]]) -> None:
    x, y = world["x"].astype(np.float64), world["y"].astype(np.float64)
    w1, w2, w3 = (world[name].astype(np.float64) for name in ("w1", "w2", "w3"))
    adam = PlainAdam([w1, w2, w3])
    for t, j in enumerate(ORDER):
        h1 = np.append(np.maximum(0, w1 @ x[j]), 1)
        h2 = np.append(np.maximum(0, w2 @ h1), 1)
        slope3 = slope(w3 @ h2, y[j])
        slope2 = (w3[:, :-1].T @ slope3) * (h2[:-1] > 0)
        slope1 = (w2[:, :-1].T @ slope2) * (h1[:-1] > 0)
        gradients = [np.outer(slope1, x[j]), np.outer(slope2, h1), np.outer(slope3, h2)]
        adam.step(gradients, cosine(t, len(ORDER), 0.01))
    found = [world[name].copy() for name in ("w1", "w2", "w3")]
    train_mlp(world["x"], world["y"], ORDER, *adam_schedule(len(ORDER), 0.01), *found)
    for weights, expected in zip(found, (w1, w2, w3), strict=True):
        np.testing.assert_allclose(weights, expected, atol=1e-4)


def test_a_step_with_the_gradient_given_is_that_of_its_numpy_twin() -> None:
    rng = np.random.default_rng(1)
    gradients = rng.normal(size=(5, 30))
    expected = rng.normal(size=30)
    found, first, second = expected.astype(np.float32), np.zeros(30, np.float32), np.zeros(30, np.float32)
    adam = PlainAdam([expected])
    size, root = adam_schedule(5, 0.1)
    for t, gradient in enumerate(gradients):
        adam.step([gradient], cosine(t, 5, 0.1))
        adam_step(found, first, second, gradient.astype(np.float32), size[t], root[t])
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_the_learning_rate_decays_by_a_cosine_to_zero() -> None:
    size, root = adam_schedule(100, 0.01)
    t = np.arange(100)
    np.testing.assert_allclose(size * (1 - BETA1 ** (t + 1)), 0.005 * (1 + np.cos(np.pi * t / 100)), rtol=1e-5)
    np.testing.assert_allclose(root, (1 - BETA2 ** (t + 1)) ** -0.5, rtol=1e-5)


def test_logits_are_the_product_of_rows_with_weights(world: dict[str, NDArray[np.float32]]) -> None:
    out = np.empty((N, M), dtype=np.float32)
    logits(world["x"], world["w"], out)
    np.testing.assert_allclose(out, world["x"].astype(np.float64) @ world["w"].astype(np.float64).T, atol=1e-5)


def test_a_model_that_was_never_observed_keeps_its_weights(world: dict[str, NDArray[np.float32]]) -> None:
    unseen = np.full((M, N), np.nan, dtype=np.float32)
    found = world["w"].copy()
    train_linear(world["x"], unseen, ORDER, *adam_schedule(len(ORDER), 0.01), found)
    assert np.array_equal(found, world["w"])

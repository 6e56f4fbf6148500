"""The compiled training loops against plain NumPy twins, in float64."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from routereval.kernels.training import (
    BETA1,
    BETA2,
    EPSILON,
    adam_schedule,
    adam_step,
    logits,
    train_linear,
    train_mlp,
    weighted_sums,
)

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


def weights_of(n: int, d: int, m: int, kind: str, seed: int) -> dict[str, NDArray[np.float32]]:
    """Prompts with a last feature of 1, targets, and weights to start from.

    Weights as small as those that training starts from: where a probability is within rounding of its target, Adam
    would make much of a gradient that is nothing but rounding.
    """
    rng = np.random.default_rng(seed)

    def start(rows: int, columns: int) -> NDArray[np.float32]:
        return (rng.normal(size=(rows, columns)) / np.sqrt(columns)).astype(np.float32)

    x = np.concatenate([rng.normal(size=(n, d)), np.ones((n, 1))], axis=1)
    y = rng.integers(0, 2, size=(n, m)).astype(float)
    if kind in ("ones", "zeros"):
        y[:] = kind == "ones"
    if kind == "graded":
        y = rng.random((n, m))
    if kind == "holes":
        y[rng.random((n, m)) < 0.5] = np.nan
    return {
        "x": x.astype(np.float32),
        "y": y.astype(np.float32),
        "w": start(m, d + 1),
        "w1": start(H, d + 1),
        "w2": start(H, H + 1),
        "w3": start(m, H + 1),
    }


@pytest.fixture
def world() -> dict[str, NDArray[np.float32]]:
    made = weights_of(N, D, M, "binary", 0)
    made["y"][3, 1] = made["y"][7, 0] = np.nan
    return made


def shapes(test):  # type: ignore[no-untyped-def]
    """Any shape and targets; one prompt, one feature, one model, all ones and all zeros for certain.

    Not random from run to run: float32 and float64 may part where a ReLU's input is all but 0, once in a great while.
    """
    kinds = ("binary", "ones", "zeros", "graded", "holes")
    for case in [(1, 1, 1, "ones", 0), (1, 70, 1, "zeros", 1), (9, 63, 1, "holes", 2), (2, 65, 5, "binary", 3)]:
        test = example(*case)(test)
    test = given(
        st.integers(1, 9), st.integers(1, 70), st.integers(1, 5), st.sampled_from(kinds), st.integers(0, 9999)
    )(test)
    return settings(max_examples=40, deadline=None, derandomize=True)(test)


ORDER = np.concatenate([np.random.default_rng(s).permutation(N) for s in range(3)]).astype(np.int64)


def plain_linear(world: dict[str, NDArray[np.float32]], order: NDArray[np.int64]) -> Floats:
    x, y = world["x"].astype(np.float64), world["y"].astype(np.float64)
    trained = world["w"].astype(np.float64)
    adam = PlainAdam([trained])
    for t, j in enumerate(order):
        adam.step([np.outer(slope(trained @ x[j], y[j]), x[j])], cosine(t, len(order), 0.01))
    return trained


def plain_mlp(world: dict[str, NDArray[np.float32]], order: NDArray[np.int64]) -> list[Floats]:
    x, y = world["x"].astype(np.float64), world["y"].astype(np.float64)
    w1, w2, w3 = (world[name].astype(np.float64) for name in ("w1", "w2", "w3"))
    adam = PlainAdam([w1, w2, w3])
    for t, j in enumerate(order):
        h1 = np.append(np.maximum(0, w1 @ x[j]), 1)
        h2 = np.append(np.maximum(0, w2 @ h1), 1)
        slope3 = slope(w3 @ h2, y[j])
        slope2 = (w3[:, :-1].T @ slope3) * (h2[:-1] > 0)
        slope1 = (w2[:, :-1].T @ slope2) * (h1[:-1] > 0)
        gradients = [np.outer(slope1, x[j]), np.outer(slope2, h1), np.outer(slope3, h2)]
        adam.step(gradients, cosine(t, len(order), 0.01))
    return [w1, w2, w3]


def test_linear_training_is_that_of_its_numpy_twin(world: dict[str, NDArray[np.float32]]) -> None:
    expected = plain_linear(world, ORDER)
    found = world["w"].copy()
    train_linear(world["x"], np.ascontiguousarray(world["y"].T), ORDER, *adam_schedule(len(ORDER), 0.01), found)
    np.testing.assert_allclose(found, expected, atol=2e-5)
    assert np.abs(found - world["w"]).max() > 0.01


def test_mlp_training_is_that_of_its_numpy_twin(world: dict[str, NDArray[np.float32]]) -> None:
    w1, w2, w3 = plain_mlp(world, ORDER)
    found = [world[name].copy() for name in ("w1", "w2", "w3")]
    train_mlp(world["x"], world["y"], ORDER, *adam_schedule(len(ORDER), 0.01), *found)
    for weights, expected in zip(found, (w1, w2, w3), strict=True):
        np.testing.assert_allclose(weights, expected, atol=1e-4)


def twice_over(n: int, seed: int) -> NDArray[np.int64]:
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.permutation(n) for _ in range(2)]).astype(np.int64)


@shapes
def test_linear_training_is_that_of_its_twin_whatever_the_shape(n: int, d: int, m: int, kind: str, seed: int) -> None:
    made, order = weights_of(n, d, m, kind, seed), twice_over(n, seed)
    found = made["w"].copy()
    train_linear(made["x"], np.ascontiguousarray(made["y"].T), order, *adam_schedule(len(order), 0.01), found)
    np.testing.assert_allclose(found, plain_linear(made, order), atol=1e-4)


@shapes
def test_mlp_training_is_that_of_its_twin_whatever_the_shape(n: int, d: int, m: int, kind: str, seed: int) -> None:
    made, order = weights_of(n, d, m, kind, seed), twice_over(n, seed)
    found = [made[name].copy() for name in ("w1", "w2", "w3")]
    train_mlp(made["x"], made["y"], order, *adam_schedule(len(order), 0.01), *found)
    for weights, expected in zip(found, plain_mlp(made, order), strict=True):
        np.testing.assert_allclose(weights, expected, atol=3e-4)


@shapes
def test_logits_are_the_product_whatever_the_shape(n: int, d: int, m: int, kind: str, seed: int) -> None:
    made = weights_of(n, d, m, kind, seed)
    out = np.empty((n, m), dtype=np.float32)
    logits(made["x"], made["w"], out)
    np.testing.assert_allclose(out, made["x"].astype(np.float64) @ made["w"].astype(np.float64).T, atol=1e-4)
    # A column alone is summed in the same way: the slice of a union is the fit, bit for bit.
    alone = np.empty((n, 1), dtype=np.float32)
    logits(made["x"], made["w"][-1:], alone)
    assert np.array_equal(alone[:, 0], out[:, -1])


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 130), st.integers(1, 6), st.sampled_from(["normal", "ones", "zeros"]), st.integers(0, 9999))
@example(1, 1, "zeros", 0)
@example(65, 3, "ones", 0)
def test_any_step_with_the_gradient_given_is_that_of_its_twin(width: int, steps: int, kind: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    gradients = {
        "normal": rng.normal(size=(steps, width)), "ones": np.ones((steps, width)), "zeros": np.zeros((steps, width))
    }[kind].astype(np.float32)  # fmt: skip
    expected = rng.normal(size=width)
    found, first, second = expected.astype(np.float32), np.zeros(width, np.float32), np.zeros(width, np.float32)
    adam = PlainAdam([expected])
    size, root = adam_schedule(steps, 0.1)
    for t, gradient in enumerate(gradients):
        adam.step([gradient.astype(np.float64)], cosine(t, steps, 0.1))
        adam_step(found, first, second, gradient, size[t], root[t])
    np.testing.assert_allclose(found, expected, atol=1e-4)


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


@settings(deadline=None)
@given(m=st.integers(1, 40), n=st.integers(1, 70), d=st.integers(1, 70), seed=st.integers(0, 2**16))
@example(m=1, n=1, d=1, seed=0)
@example(m=1, n=65, d=63, seed=1)
def test_weighted_sums_are_numpys_product(m: int, n: int, d: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    weights, rows = rng.normal(size=(m, n)).astype(np.float32), rng.normal(size=(n, d)).astype(np.float32)
    out = np.full((m, d), np.nan, dtype=np.float32)
    weighted_sums(weights, rows, out)
    np.testing.assert_allclose(out, weights.astype(np.float64) @ rows, rtol=1e-4, atol=1e-4)

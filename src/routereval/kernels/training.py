"""Training one sample at a time, as the published linear and MLP routers do; NumPy twins are in the tests.

Adam is that of PyTorch (Kingma and Ba 2015): ``w -= step_size m / (sqrt(v) / root + eps)`` with ``step_size = lr / (1 -
beta1^t)`` and ``root = sqrt(1 - beta2^t)``, both tabulated per step by :func:`adam_schedule`.
"""

from __future__ import annotations

import math

import numpy as np

from routereval.kernels.compiling import Floats, Ints, compiled

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8

_B1, _B2, _EPS = np.float32(BETA1), np.float32(BETA2), np.float32(EPSILON)
_A1, _A2 = np.float32(1 - BETA1), np.float32(1 - BETA2)
_ZERO = np.float32(0)
# Moments below this move no weight, but as subnormal numbers they would slow every later step tenfold.
_TINY = np.float32(1e-30)


def adam_schedule(steps: int, learning_rate: float) -> tuple[Floats, Floats]:
    """Step size (steps,) and inverse root (steps,) of Adam with the learning rate cosine-decayed per step to 0."""
    t = np.arange(steps)
    rate = 0.5 * learning_rate * (1 + np.cos(np.pi * t / steps))
    step_size = rate / (1 - BETA1 ** (t + 1))
    inverse_root = 1 / np.sqrt(1 - BETA2 ** (t + 1))
    return step_size.astype(np.float32), inverse_root.astype(np.float32)


@compiled
def _adam_row(
    w: Floats, first: Floats, second: Floats, slope: np.float32, x: Floats, size: np.float32, root: np.float32
) -> None:
    """One Adam step on a row of weights whose gradient is ``slope * x``."""
    for k in range(w.shape[0]):
        g = slope * x[k]
        m = _B1 * first[k] + _A1 * g
        v = _B2 * second[k] + _A2 * g * g
        first[k] = m if abs(m) > _TINY else _ZERO
        second[k] = v if v > _TINY else _ZERO
        w[k] -= size * m / (np.sqrt(v) * root + _EPS)


@compiled
def adam_step(w: Floats, first: Floats, second: Floats, gradient: Floats, size: np.float32, root: np.float32) -> None:
    """One Adam step on flat weights (k,) with their gradient given; weights and moments are changed in place."""
    for k in range(w.shape[0]):
        g = gradient[k]
        m = _B1 * first[k] + _A1 * g
        v = _B2 * second[k] + _A2 * g * g
        first[k] = m if abs(m) > _TINY else _ZERO
        second[k] = v if v > _TINY else _ZERO
        w[k] -= size * m / (np.sqrt(v) * root + _EPS)


@compiled
def _dot(a: Floats, b: Floats) -> np.float32:
    total = _ZERO
    for k in range(a.shape[0]):
        total += a[k] * b[k]
    return total


@compiled
def _slope(logit: np.float32, target: np.float32) -> np.float32:
    """Derivative of the binary cross-entropy by the logit; 0 where the target was not observed."""
    if math.isnan(target):
        return _ZERO
    return np.float32(1 / (1 + math.exp(-float(logit)))) - target


@compiled
def train_linear(x: Floats, y: Floats, order: Ints, size: Floats, root: Floats, w: Floats) -> None:
    """Train m independent logistic columns one sample at a time; ``w`` is changed in place.

    Parameters
    ----------
    x : (n, d + 1), the last entry of each row 1, for the bias.
    y : (m, n) targets in [0, 1], nan where not observed (no gradient then; the moments go on decaying).
    order : (steps,) which sample each step sees.
    size, root : (steps,) of :func:`adam_schedule`.
    w : (m, d + 1) initial weights; trained ones afterwards.
    """
    first = np.zeros_like(w)
    second = np.zeros_like(w)
    for t in range(order.shape[0]):
        row = x[order[t]]
        for j in range(w.shape[0]):
            slope = _slope(_dot(w[j], row), y[j, order[t]])
            _adam_row(w[j], first[j], second[j], slope, row, size[t], root[t])


@compiled
def logits(x: Floats, w: Floats, out: Floats) -> None:
    """``x @ w.T`` into ``out`` (n, m), each entry summed the same way whatever n and m are."""
    for i in range(x.shape[0]):
        for j in range(w.shape[0]):
            out[i, j] = _dot(x[i], w[j])


@compiled
def weighted_sums(weights: Floats, rows: Floats, out: Floats) -> None:
    """``weights @ rows`` into ``out`` (m, d), each row of it summed the same way whatever m is.

    Parameters
    ----------
    weights : (m, n).
    rows : (n, d).
    """
    for j in range(out.shape[0]):
        out[j] = _ZERO
        for i in range(rows.shape[0]):
            weight = weights[j, i]
            for k in range(out.shape[1]):
                out[j, k] += weight * rows[i, k]


@compiled
def train_mlp(
    x: Floats, y: Floats, order: Ints, size: Floats, root: Floats, w1: Floats, w2: Floats, w3: Floats
) -> None:
    """Train a network with two hidden ReLU layers one sample at a time; the weights are changed in place.

    Parameters
    ----------
    x : (n, d + 1), the last entry of each row 1, for the bias.
    y : (n, m) targets in [0, 1], nan where not observed.
    order, size, root : as in :func:`train_linear`.
    w1, w2, w3 : (h, d + 1), (h, h + 1), (m, h + 1) initial weights, the last column the biases.
    """
    h, m = w1.shape[0], w3.shape[0]
    f1, s1 = np.zeros_like(w1), np.zeros_like(w1)
    f2, s2 = np.zeros_like(w2), np.zeros_like(w2)
    f3, s3 = np.zeros_like(w3), np.zeros_like(w3)
    h1 = np.ones(h + 1, dtype=np.float32)
    h2 = np.ones(h + 1, dtype=np.float32)
    back1 = np.empty(h + 1, dtype=np.float32)
    back2 = np.empty(h + 1, dtype=np.float32)
    steps = order.shape[0]
    for i in range(h):
        h1[i] = max(_ZERO, _dot(w1[i], x[order[0]]))
    for t in range(steps):
        row = x[order[t]]
        upcoming = x[order[min(t + 1, steps - 1)]]
        for i in range(h):
            h2[i] = max(_ZERO, _dot(w2[i], h1))
        back2[:] = _ZERO
        for j in range(m):
            w = w3[j]
            slope = _slope(_dot(w, h2), y[order[t], j])
            for k in range(h):
                back2[k] += slope * w[k]
            _adam_row(w, f3[j], s3[j], slope, h2, size[t], root[t])
        back1[:] = _ZERO
        for i in range(h):
            w = w2[i]
            slope = back2[i] if h2[i] > _ZERO else _ZERO
            for k in range(h):
                back1[k] += slope * w[k]
            _adam_row(w, f2[i], s2[i], slope, h1, size[t], root[t])
        for i in range(h):
            slope = back1[i] if h1[i] > _ZERO else _ZERO
            _adam_row(w1[i], f1[i], s1[i], slope, row, size[t], root[t])
            # The row is in the cache now: its part of the next sample's forward pass costs no second trip to memory.
            h1[i] = max(_ZERO, _dot(w1[i], upcoming))

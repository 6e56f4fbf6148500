"""A multidimensional item response model fitted to a table of scores by penalised maximum likelihood."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from routereval.routers.products import Real
from routereval.routers.training import Floats, log_odds

ROUNDS = 40
"""Alternations between items and models; the likelihood rises with each, after these by next to nothing."""
_BLOCK = 256
"""Prompts taken together by one thread."""
_FLAT = 0.01
"""Penalty on difficulties (times ten) and levels: next to none, so that they follow the means."""


@dataclass(frozen=True, eq=False)
class ItemResponse:
    """P = sigmoid(a . theta + d - b) for n prompts (items) and m models (Reckase 2009).

    Parameters
    ----------
    items : (n, k + 1), each prompt's discriminations a and, last, its difficulty b; the a have mean zero.
    abilities : (m, k), theta.
    levels : (m,), d.
    """

    items: Floats
    abilities: Floats
    levels: Floats

    @classmethod
    def fit(cls, targets: Floats, dimensions: int, penalty: float, *, seed: int) -> ItemResponse:
        """Alternate between items and models, from the means and the leading directions of what these leave.

        Parameters
        ----------
        targets : (n, m) in [0, 1], nan where not observed.
        dimensions : k, at most n and m.
        penalty : on a and theta; 1 for standard normal priors.
        seed : of the decomposition at the start.

        Notes
        -----
        Each half is a logistic regression for every row at once. Its curvature is at most a quarter of the design's
        Gram matrix (Böhning 1992), the same for all rows, so a step costs two matrix products and never lowers the
        likelihood, missing cells or not.
        """
        from sklearn.utils.extmath import randomized_svd

        n, m = targets.shape
        k = min(dimensions, n, m)
        cells = _Cells(targets)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # a model without any score: its mean is nan
            means = np.asarray(np.nanmean(targets, axis=0, dtype=np.float64))
        models = np.concatenate([np.zeros((m, k), np.float32), log_odds(means, n)[:, None]], axis=1)
        items = np.zeros((n, k + 1), dtype=np.float32)
        start = randomized_svd(cells.slopes(items, models, slice(None)), k, random_state=seed)[2]
        models[:, :-1] = 0.5 * np.sqrt(m) * start.T
        for _ in range(ROUNDS):
            design = np.concatenate([models[:, :-1], np.full((m, 1), -1, np.float32)], axis=1)
            items = _stepped(items, cells.by_items(items, models, design), design, penalty, 10 * _FLAT)
            centre = items[:, :-1].mean(axis=0)
            items[:, :-1] -= centre
            models[:, -1] += models[:, :-1] @ centre
            models = _models_stepped(cells, items, models, penalty)
        return cls(items, models[:, :-1], models[:, -1])

    def with_items(self, targets: Floats, items: Floats, penalty: float) -> ItemResponse:
        """The models fitted anew to items (n, k + 1) that stay as they are."""
        cells = _Cells(targets)
        centre = items[:, :-1].mean(axis=0)
        given = items.copy()
        given[:, :-1] -= centre
        models = np.concatenate([self.abilities, self.levels[:, None]], axis=1)
        for _ in range(ROUNDS):
            models = _models_stepped(cells, given, models, penalty)
        return replace(self, items=items, abilities=models[:, :-1], levels=models[:, -1] - models[:, :-1] @ centre)


class _Cells:
    """The observed cells of a table, taken in blocks of prompts that stay in a processor's cache."""

    def __init__(self, targets: Floats):
        hidden = np.isnan(targets)
        self._hidden = hidden if hidden.any() else None
        self._targets = targets if self._hidden is None else np.where(hidden, np.float32(0), targets)

    def slopes(self, items: Floats, models: Floats, block: slice) -> Floats:
        """Derivative of the log likelihood by the logits, (rows of the block, m); 0 where not observed."""
        right = np.concatenate([models, np.full((len(models), 1), -1, np.float32)], axis=1)
        left = np.concatenate(
            [items[block, :-1], np.ones((len(items[block]), 1), np.float32), items[block, -1:]], axis=1
        )
        slopes = logistic(left @ right.T)
        np.subtract(self._targets[block], slopes, out=slopes)
        if self._hidden is not None:
            slopes[self._hidden[block]] = 0
        return slopes

    def by_items(self, items: Floats, models: Floats, design: Floats) -> Floats:
        """``slopes @ design``, (n, k + 1)."""
        return np.concatenate(self._blocks(lambda block: self.slopes(items, models, block) @ design))

    def by_models(self, items: Floats, models: Floats, design: Floats) -> Floats:
        """``slopes.T @ design``, (m, k + 1)."""
        parts = self._blocks(lambda block: self.slopes(items, models, block).T @ design[block])
        total: Floats = np.sum(parts, axis=0)
        return total

    def _blocks(self, work: Callable[[slice], Floats]) -> list[Floats]:
        starts = range(0, len(self._targets), _BLOCK)
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            return list(pool.map(work, [slice(start, start + _BLOCK) for start in starts]))


def logistic(logits: NDArray[Real]) -> NDArray[Real]:
    """1 / (1 + exp(-x)) for any finite x, in place."""
    np.negative(logits, out=logits)
    with np.errstate(over="ignore", under="ignore"):
        np.exp(logits, out=logits)
    logits += 1
    np.reciprocal(logits, out=logits)
    return logits


def _models_stepped(cells: _Cells, items: Floats, models: Floats, penalty: float) -> Floats:
    design = np.concatenate([items[:, :-1], np.ones((len(items), 1), np.float32)], axis=1)
    return _stepped(models, cells.by_models(items, models, design), design, penalty, _FLAT)


def _stepped(rows: Floats, slopes: Floats, design: Floats, penalty: float, last: float) -> Floats:
    """One step up the bound for every row (r, k + 1) of parameters, given the likelihood's slopes by them."""
    penalties = np.full(rows.shape[1], penalty)
    penalties[-1] = last
    wide = design.astype(np.float64)
    curvature = 0.25 * wide.T @ wide + np.diag(penalties)
    step = np.linalg.solve(curvature, (slopes - penalties * rows).T).T
    return (rows + step).astype(np.float32)

"""Matrix products in which a model's numbers do not depend, to the last bit, on which other models are there."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from routereval.kernels.training import logits, weighted_sums

_MODELS = 16
"""Models summed up together by one thread: what they are weighted with stays in its cache."""
_ROWS = 128
"""Rows multiplied together by one thread."""

Real = TypeVar("Real", np.float32, np.float64)


def columns_product(rows: NDArray[Real], columns: NDArray[Real]) -> NDArray[Real]:
    """``rows @ columns.T``, each column as if it were alone.

    Parameters
    ----------
    rows : (n, k).
    columns : (m, k), one row per model.

    Returns
    -------
    (n, m), contiguous.

    Notes
    -----
    A library's product adds a column up in another order when there are more or fewer of them, and two models that are
    all but equal then change places. Columnwise routers promise that the slice of a fit on many models is the fit on
    the slice.
    """
    rows, columns = np.ascontiguousarray(rows), np.ascontiguousarray(columns)
    out: NDArray[Any] = np.empty((len(rows), len(columns)), dtype=rows.dtype)
    given: tuple[NDArray[Any], NDArray[Any]] = rows, columns
    _threaded(lambda block: logits(given[0][block], given[1], out[block]), len(rows), _ROWS)
    return out


def model_sums(weights: NDArray[Real], rows: NDArray[Real]) -> NDArray[Real]:
    """``weights @ rows``, each row of it as if it were alone: what each model makes of the same samples.

    Parameters
    ----------
    weights : (m, n), one row per model.
    rows : (n, d).

    Returns
    -------
    (m, d).
    """
    given: tuple[NDArray[Any], NDArray[Any]] = np.ascontiguousarray(weights), np.ascontiguousarray(rows)
    out: NDArray[Any] = np.empty((len(weights), rows.shape[1]), dtype=rows.dtype)
    _threaded(lambda block: weighted_sums(given[0][block], given[1], out[block]), len(out), _MODELS)
    return out


def _threaded(work: Callable[[slice], None], n: int, size: int) -> None:
    if n <= size:
        work(slice(0, n))  # starting threads would take longer than this
        return
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(work, [slice(start, start + size) for start in range(0, n, size)]))


def shrunk(
    predicted: NDArray[np.float64], means: NDArray[np.float64], shrinkage: float, *, evidence: float | None = None
) -> NDArray[np.float64]:
    """Predictions drawn towards each model's train mean, (n, m).

    Parameters
    ----------
    predicted : (n, m) estimates of scores.
    means : (m,) train means; nan for a model that training never saw, taken for 0.
    shrinkage : with ``evidence`` None the share of the mean, 0 (nothing is drawn) to 1 (``best_single``); else how many
        observations the mean counts for against ``evidence`` of them.
    """
    share = shrinkage if evidence is None else shrinkage / (shrinkage + evidence)
    return (1 - share) * predicted + share * np.nan_to_num(means)

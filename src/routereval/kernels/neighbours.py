"""Adding up what models scored on the neighbours of a query; the NumPy twin is in the tests."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from routereval.kernels.compiling import compiled_in_order

Doubles = NDArray[np.float64]


@compiled_in_order
def neighbour_sums(targets: NDArray[Any], index: NDArray[np.intp], weights: Doubles, total: Doubles) -> None:
    """Weighted sums of targets over each query's neighbours, added to ``total`` (q, m).

    Parameters
    ----------
    targets : (n, m), none missing.
    index, weights : (q, k), rows of ``targets`` and what each counts.
    """
    for q in range(index.shape[0]):
        out = total[q]
        for i in range(index.shape[1]):
            row, weight = targets[index[q, i]], weights[q, i]
            for j in range(out.shape[0]):
                out[j] += weight * row[j]


@compiled_in_order
def observed_neighbour_sums(
    targets: NDArray[np.float32],
    index: NDArray[np.intp],
    weights: Doubles,
    total: Doubles,
    seen: Doubles,
    squares: Doubles,
) -> None:
    """As :func:`neighbour_sums` over the observed targets; their weights and squared weights are added up as well.

    Parameters
    ----------
    targets : (n, m), nan where not observed.
    index, weights : (q, k).
    total, seen, squares : (q, m) sums of weight x target, weight, weight squared; changed in place.
    """
    for q in range(index.shape[0]):
        for i in range(index.shape[1]):
            row, weight = targets[index[q, i]], weights[q, i]
            for j in range(row.shape[0]):
                observed = row[j] == row[j]
                total[q, j] += weight * row[j] if observed else 0.0
                seen[q, j] += weight if observed else 0.0
                squares[q, j] += weight * weight if observed else 0.0

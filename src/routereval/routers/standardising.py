"""Embeddings centred and of one size, so that a parameter means the same whatever encoder made them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_SAME = 1e-6
"""Embeddings no farther from their centre than this share of their largest entry are one and the same, but for
rounding."""


def centre_and_scale(embeddings: NDArray[np.float32]) -> tuple[NDArray[np.float32], float]:
    """Centre (d,), in units of the scale, and the scale after which lengths have a root mean square of one."""
    largest = float(np.abs(embeddings).max()) or 1.0
    shares = embeddings / np.float32(largest)
    centre = shares.mean(axis=0, dtype=np.float64)
    shares -= centre.astype(np.float32)
    length = float(np.sqrt(np.einsum("ij,ij->i", shares, shares).mean(dtype=np.float64)))
    length = length if length > _SAME else 1.0
    return (centre / length).astype(np.float32), largest * length


def standardised(embeddings: NDArray[np.float32], centre: NDArray[np.float32], scale: float) -> NDArray[np.float32]:
    """The embeddings in units of the scale, less the centre, (n, d)."""
    # Divided in float64: the scale of the smallest embeddings is none that float32 has.
    moved: NDArray[np.float32] = (embeddings / np.float64(scale)).astype(np.float32) - centre
    return moved


def decomposed(x: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.float64]]:
    """Left singular vectors (n, r), squared singular values (r,) and right singular vectors (d, r), from the Gram."""
    double = x.astype(np.float64)
    tall = len(x) >= x.shape[1]
    squares, vectors = np.linalg.eigh(double.T @ double if tall else double @ double.T)
    # Below this a singular value is rounding.
    real = squares > max(1e-9 * squares.max(initial=0), 1e-12)
    squares, vectors = squares[real], vectors[:, real]
    if tall:
        return (double @ (vectors / np.sqrt(squares))).astype(np.float32), squares, vectors
    return vectors.astype(np.float32), squares, double.T @ (vectors / np.sqrt(squares))


def principal_components(x: NDArray[np.float32], most: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The first principal components of centred features, (n, r), r at most ``most``, and their axes (d, r)."""
    left, squares, right = decomposed(x)
    first = slice(max(len(squares) - most, 0), None)
    scaled = left[:, first] * np.sqrt(squares[first])
    return scaled.astype(np.float32), right[:, first].astype(np.float32)

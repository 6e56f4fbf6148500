"""Graded scores as the labels that the published code trains on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SHARE_OF_BEST = 0.95


def pool_labels(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """1 where a model reaches 0.95 of the best score in the pool on that prompt, else 0; (n, m), nan stays nan.

    A prompt on which every model scores 0 becomes all ones, since each reaches 0.95 of 0 (Huang et al. 2025, released
    code, TruthfulQA).
    """
    best = np.fmax.reduce(scores, axis=1, keepdims=True)
    labels = (scores >= SHARE_OF_BEST * best).astype(np.float32)
    labels[np.isnan(scores)] = np.nan
    return labels

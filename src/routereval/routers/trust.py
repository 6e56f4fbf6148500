"""How far a model's predictions can be trusted: what regressing its scores on them says."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def trusted_share(
    scores: NDArray[np.floating], predicted: NDArray[np.floating], standard_errors: float
) -> NDArray[np.float64]:
    """The share of its predicted deviations from the mean that a model really shows, 0 to 1, (m,).

    The slope of the regression through the origin of scores on predictions, sum(s p) / sum(p^2), less some of its
    standard errors: the larger the noise, the nearer to the mean alone. An empirical Bayes shrinkage with a margin for
    the winner's curse, as the highest of many predictions is chosen.

    Parameters
    ----------
    scores : (m, n) deviations of scores from the mean, one row per model.
    predicted : (m, n) predictions of them, made without the prompt in question.
    standard_errors : how many are taken off.
    """
    scores, predicted = scores.astype(np.float64), predicted.astype(np.float64)
    size = (predicted**2).sum(axis=1)
    told = size > 1e-12 * np.maximum((scores**2).sum(axis=1), 1e-12)
    size = np.where(told, size, 1.0)
    slope = (scores * predicted).sum(axis=1) / size
    rest = ((scores - slope[:, None] * predicted) ** 2).sum(axis=1) / max(scores.shape[1] - 1, 1)
    share: NDArray[np.float64] = np.where(told, np.clip(slope - standard_errors * np.sqrt(rest / size), 0, 1), 0)
    return share

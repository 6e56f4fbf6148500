"""What a router says of queries, and the choice that follows from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from routereval.errors import RouterError


@dataclass(frozen=True, eq=False)
class Prediction:
    """A router's answer for n queries and the m models of its pool.

    Parameters
    ----------
    scores : (n, m); the model with the highest one is chosen.
    probs : (n, m), rows sum to one: how the router spreads its choice; None where it has no such thing.
    notes : what a reader of the numbers should know of these very queries, in sentences.
    """

    scores: NDArray[np.float64]
    probs: NDArray[np.float64] | None = None
    notes: tuple[str, ...] = ()

    @classmethod
    def from_choices(cls, choices: Sequence[str], model_ids: Sequence[str]) -> Prediction:
        """A prediction that names one model per query and says nothing of the others.

        Raises
        ------
        RouterError : a model outside the pool.
        """
        column = {name: i for i, name in enumerate(model_ids)}
        outside = sorted({name for name in choices if name not in column})
        if outside:
            raise RouterError(f"{len(outside)} chosen models are not in the pool: {', '.join(outside[:5])}")
        scores = np.zeros((len(choices), len(model_ids)))
        scores[np.arange(len(choices)), [column[name] for name in choices]] = 1.0
        return cls(scores)

    def check(self, n: int, m: int) -> Prediction:
        """This prediction, if it is one for n queries and m models.

        Raises
        ------
        RouterError : a wrong shape, nan, or probabilities that are no distribution.
        """
        for name, values in (("scores", self.scores), ("probs", self.probs)):
            if values is None and name == "probs":
                continue
            if not isinstance(values, np.ndarray) or isinstance(values, np.matrix) or values.dtype.kind not in "biuf":
                raise RouterError(f"{name} must be a numeric array, not {type(values).__name__}")
            if values.shape != (n, m):
                raise RouterError(f"{name} have shape {values.shape}; expected ({n}, {m}): {n} queries x {m} models")
            if np.isnan(values).any():
                raise RouterError(f"{int(np.isnan(values).sum())} of {values.size} {name} are nan")
        if self.probs is not None:
            sums = self.probs.sum(axis=1)
            if (self.probs < 0).any() or not np.allclose(sums, 1.0, atol=1e-4):
                raise RouterError(
                    f"probs are no distribution: smallest {self.probs.min():g}, "
                    f"row sums {sums.min():g} to {sums.max():g}"
                )
        return self


def choose(
    scores: NDArray[np.floating],
    tie_breaker: NDArray[np.float64] | None = None,
    allowed: NDArray[np.bool_] | None = None,
) -> NDArray[np.intp]:
    """The column with the highest score in each row, (n,).

    Parameters
    ----------
    scores : (n, m).
    tie_breaker : (m,); among equal scores the model with the highest value wins, then the first. None: the first wins.
    allowed : (n, m); only these models may be chosen. A row that allows none gets -1.
    """
    if allowed is not None:
        scores = np.where(allowed, scores, -np.inf)
    best: NDArray[np.intp] = np.argmax(scores, axis=1)
    if tie_breaker is not None:
        top = scores[np.arange(len(scores)), best][:, None]
        tied = scores == top
        if allowed is not None:
            tied &= allowed
        # A tied model without a value stands behind those that have one, and before all that are not tied.
        values = np.nan_to_num(tie_breaker, nan=np.finfo(np.float64).min)
        best = np.argmax(np.where(tied, values, -np.inf), axis=1)
    if allowed is not None:
        # A row of -inf only makes argmax name a model that is not allowed.
        misled = ~allowed[np.arange(len(best)), best]
        best = np.where(misled, np.where(allowed.any(axis=1), np.argmax(allowed, axis=1), -1), best)
    return best


def softmax(scores: NDArray[np.floating]) -> NDArray[np.float64]:
    """Row-wise softmax at temperature 1, (n, m)."""
    shifted = np.asarray(scores, dtype=np.float64)
    weights: NDArray[np.float64] = np.exp(shifted - shifted.max(axis=1, keepdims=True))
    weights /= weights.sum(axis=1, keepdims=True)
    return weights

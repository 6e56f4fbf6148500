"""The best of many noisy models looks better than it is: choose on one half of the prompts, score on the other."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Index = NDArray[np.intp]

REPEATS = 100
"""How many random halves are averaged."""


def hindsight(scores: Floats, groups: Index) -> Floats:
    """Score on each prompt of the model that is best in the prompt's group on these very prompts, (n,).

    Its mean is at least that of any policy which takes one model per group, and biased upward for what the best such
    policy would score on other prompts: the maximum of noisy means has the noise of the luckiest.

    Parameters
    ----------
    scores : (n, m), nan where a model was not observed.
    groups : (n,) the prompts among which one model is chosen: all alike for the best single model.
    """
    found = np.full(len(scores), np.nan)
    for rows in _rows_of(groups):
        totals, counts = _totals(scores[rows], np.ones((1, len(rows))))
        found[rows] = scores[rows, int(_means(totals, counts).argmax())]
    return found


def split_half(
    scores: Floats,
    groups: Index,
    units: Index,
    rng: np.random.Generator,
    *,
    ties: Floats | None = None,
    repeats: int = REPEATS,
) -> Floats:
    """Score on each prompt of the model that was best on the other half of the prompt's group, (n, repeats).

    No prompt has a say in what it is scored with, so the mean is an unbiased estimate of what choosing on half of the
    prompts scores on new ones: never above what the best model of each group truly scores, where :func:`hindsight` is
    never below it, both in expectation. nan in groups of a single unit, which have no other half.

    Parameters
    ----------
    scores : (n, m), nan where a model was not observed; so is what it would have scored.
    groups : (n,) as in :func:`hindsight`.
    units : (n,) prompts that stay on one side together, such as near-duplicates.
    ties : (m,) decides among models that are equal on the half, the highest first: what was scored on training prompts.
    """
    found = np.full((len(scores), repeats), np.nan)
    rank = np.zeros(scores.shape[1]) if ties is None else np.argsort(np.argsort(ties, kind="stable"), kind="stable")
    # Too little to turn round any two means that differ by an answer.
    nudge = 1e-9 * rank / max(1, scores.shape[1])
    for rows in _rows_of(groups):
        names, members = np.unique(units[rows], return_inverse=True)
        if len(names) < 2:
            continue
        one = _halves(len(names), repeats, rng)[:, members]
        part = scores[rows]
        best_of_one = (_means(*_totals(part, one)) + nudge).argmax(axis=1)
        best_of_other = (_means(*_totals(part, 1 - one)) + nudge).argmax(axis=1)
        chosen = np.where(one > 0, best_of_other[:, None], best_of_one[:, None])
        found[rows] = part[np.arange(len(rows)), chosen].T
    return found


def _rows_of(groups: Index) -> Iterator[Index]:
    """The prompts of each group."""
    order = np.argsort(groups, kind="stable")
    _, starts = np.unique(groups[order], return_index=True)
    yield from np.split(order, starts[1:])


def _halves(units: int, repeats: int, rng: np.random.Generator) -> Floats:
    """Random halves, (repeats, units): 1 for the one, 0 for the other; of an odd number either may be the larger."""
    size = np.full(repeats, units // 2) + (rng.random(repeats) < 0.5) * (units % 2)
    place = rng.random((repeats, units)).argsort(axis=1).argsort(axis=1)
    return np.asarray(place < size[:, None], dtype=np.float64)


def _totals(scores: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Sums of each model's scores, and of the weights where it was observed, (repeats, m) each."""
    missing = np.isnan(scores)
    if not missing.any():
        return weights @ scores, np.broadcast_to(weights.sum(axis=1, keepdims=True), (len(weights), scores.shape[1]))
    return weights @ np.where(missing, 0.0, scores), weights @ (~missing).astype(np.float64)


def _means(totals: Floats, counts: Floats) -> Floats:
    """Mean scores; 1 less for a model observed on less than half of what another was: luck on few does not win."""
    means: Floats = np.divide(totals, counts, out=np.full(totals.shape, -2.0), where=counts > 0)
    means -= 2 * counts < counts.max(axis=1, keepdims=True)
    return means

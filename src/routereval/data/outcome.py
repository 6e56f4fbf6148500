"""What came of a policy, prompt by prompt: everything a metric may see."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from routereval.data.scores import ScoreMatrix


@dataclass(frozen=True, eq=False)
class Outcome:
    """Per-prompt values of one policy on the n test prompts of a scenario with m models.

    Parameters
    ----------
    prompt_ids, model_ids : n and m names.
    counted : (n,) which prompts count: those on which at least one model of the pool was observed.
    columns : (n,) float64 each, zero where not counted. ``chosen``: score of the chosen model (expected score, for a
        reference that draws). ``oracle``: best observed score. ``best_single``, ``best_single_train``: score of the
        model that is best in hindsight, and best on train. ``baseline``: whichever of these the protocol compares
        with. ``entropy``: of the policy's distribution over the pool, bits; absent where it has none. ``reference``:
        Perf(ref); absent where nobody published one. ``predicted``: what the router predicted the chosen model would
        score, to four decimals, on whatever scale it has; absent for a reference.
    share : (m,) how often each model is chosen, sums to one.
    choices : (n,) column of the chosen model, -1 where not counted; None for a reference that draws.
    """

    prompt_ids: tuple[str, ...]
    model_ids: tuple[str, ...]
    counted: NDArray[np.bool_]
    columns: Mapping[str, NDArray[np.float64]]
    share: NDArray[np.float64]
    choices: NDArray[np.int32] | None = None

    def mean(self, column: str) -> float:
        """Mean of a column over the prompts that count; nan where there is no such column or no such prompt."""
        count = int(self.counted.sum())
        if column not in self.columns or count == 0:
            return float("nan")
        return float(self.columns[column].sum() / count)


def entropy_bits(probs: NDArray[np.float64], floor: float = 0.0) -> NDArray[np.float64]:
    """Entropy of each row, bits, (n,); terms with a probability up to ``floor`` are dropped."""
    logs = np.log2(probs, where=probs > floor, out=np.zeros_like(probs))
    # Never below 0, though rounding makes a certain choice's probability a little more than 1; and no -0 either.
    entropy: NDArray[np.float64] = np.maximum(-np.einsum("ij,ij->i", probs, logs), 0.0) + 0.0
    return entropy


def ranking(means: NDArray[np.float64], counts: NDArray[np.int64], n: int) -> NDArray[np.intp]:
    """Models from best to worst, (m,): by mean score, those observed on less than half of the n prompts after the rest.

    Equal means keep the order of the pool.
    """
    return np.argsort(-standing(means, counts, n), kind="stable")


def standing(means: NDArray[np.float64], counts: NDArray[np.int64], n: int) -> NDArray[np.float64]:
    """What models are ranked by, (m,): the mean, 1 less for those observed on less than half of the n prompts."""
    return np.where(np.isnan(means), -2.0, np.nan_to_num(means) - (counts * 2 < n))


def best_in_hindsight(scores: ScoreMatrix) -> NDArray[np.intp]:
    """The order of models in which always taking the first that was observed scores most, (m,).

    One model comes first (of those observed on half of the prompts, where there are any), the others as
    :func:`ranking` has them; where every cell was observed that is the ranking.
    """
    order = ranking(scores.model_means, scores.counts, scores.shape[0])
    if scores.complete:
        return order
    dense = scores.dense()
    stand_in = single_scores(scores, order)
    seen = ~np.isnan(dense)
    totals = np.where(seen, dense, stand_in[:, None]).sum(axis=0, dtype=np.float64)
    thin = scores.counts * 2 < scores.shape[0]
    candidates = order[~thin[order]] if not thin.all() else order
    first = candidates[int(np.argmax(totals[candidates]))]
    return np.concatenate([[first], order[order != first]])


def single_scores(scores: ScoreMatrix, order: NDArray[np.intp]) -> NDArray[np.float64]:
    """Score on each prompt of the first model in ``order`` that was observed on it, (n,); 0 where none was."""
    values = np.zeros(scores.shape[0])
    open_ = np.ones(scores.shape[0], dtype=np.bool_)
    for column in order:
        one = scores.columns(np.array([column])).dense()[:, 0]
        seen = open_ & ~np.isnan(one)
        values[seen] = one[seen]
        open_ &= ~seen
        if not open_.any() or scores.complete:
            break
    return values

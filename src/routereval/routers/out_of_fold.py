"""What routers say of training prompts they were not fitted on: cross-validated predictions."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from routereval.data.duplicates import normal_text
from routereval.data.queries import Queries
from routereval.data.scenario import Partition
from routereval.errors import RouterError
from routereval.routers.naming import fresh_copy, label_of, router_named
from routereval.seeding import generator


class OutOfTime(Exception):
    """The deadline passed before every fold was fitted."""


def folds_of(queries: Queries, folds: int, seed: int) -> NDArray[np.intp]:
    """Which of the folds each prompt is in, (n,): at random, of about equal size; prompts of one text are in one fold.

    There are at most as many folds as different texts.
    """
    names = queries.ids if queries.texts is None else [normal_text(text) or name for text, name in _named(queries)]
    _, group = np.unique(np.array(names, dtype=np.str_), return_inverse=True)
    groups = int(group.max(initial=-1)) + 1
    order = generator("folds", seed, folds).permutation(groups)
    fold: NDArray[np.intp] = (order % max(1, min(folds, groups)))[group]
    return fold


def out_of_fold(
    router: Any, train: Partition, fold: NDArray[np.intp], seed: int, deadline: float | None = None
) -> NDArray[np.float32]:
    """Scores of each training prompt by a router fitted on the other folds, (n, m); float32, as there are many.

    Parameters
    ----------
    router : a name with parameters, or a router; it is copied, never changed.
    fold : (n,) which fold each prompt is in, two folds or more.
    deadline : of ``time.monotonic()``; no fold is begun after it.

    Raises
    ------
    OutOfTime : the deadline passed.
    """
    scores = np.empty((len(train), len(train.model_ids)), dtype=np.float32)
    for f in range(int(fold.max()) + 1):
        if deadline is not None and time.monotonic() > deadline:
            raise OutOfTime
        rest, held = train.rows(np.flatnonzero(fold != f)), np.flatnonzero(fold == f)
        fitted = fresh_copy(router_named(router), seed).fit(rest, None)
        scores[held] = predicted(fitted, train.queries.take(held), router)
    return scores


def out_of_fold_means(train: Partition, fold: NDArray[np.intp]) -> NDArray[np.float32]:
    """For each training prompt the models' means over the other folds, (n, m); 0 where there is none."""
    means = np.empty((len(train), len(train.model_ids)), dtype=np.float32)
    for f in range(int(fold.max()) + 1):
        means[fold == f] = np.nan_to_num(train.rows(np.flatnonzero(fold != f)).target_means)
    return means


def predicted(router: Any, queries: Queries, name: Any) -> NDArray[np.float64]:
    """A fitted router's scores, checked, finite.

    Raises
    ------
    RouterError : nan, or a wrong shape.
    """
    scores = np.asarray(router.predict(queries).scores, dtype=np.float64)
    if scores.ndim != 2 or len(scores) != len(queries) or np.isnan(scores).any():
        raise RouterError(
            f"{label_of(name)} predicted scores of shape {scores.shape}, {int(np.isnan(scores).sum())} nan"
        )
    big = np.finfo(np.float32).max
    return np.clip(scores, -big, big)


def _named(queries: Queries) -> list[tuple[str, str]]:
    return list(zip(queries.texts or (), queries.ids, strict=True))

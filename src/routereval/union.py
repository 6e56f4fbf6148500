"""Fit once, slice often: the training data of several scenarios of one benchmark as one partition."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from routereval.data.duplicates import normal_text
from routereval.data.labels import pool_labels
from routereval.data.queries import Queries
from routereval.data.scenario import Partition, Scenario
from routereval.data.scores import ScoreMatrix
from routereval.protocols import Protocol


@dataclass(frozen=True, eq=False)
class Union:
    """One partition that serves several scenarios.

    Parameters
    ----------
    train, val : the partition of all pools' models; ``val`` is None where the protocol has none.
    slices : for each scenario the columns of its pool, in the pool's order.
    """

    train: Partition
    val: Partition | None
    slices: list[NDArray[np.intp]]


def shares_prompts(scenarios: Sequence[Scenario]) -> bool:
    """Whether all of them train and test on the same prompts, so that one fit can serve them."""
    first = scenarios[0]
    return all(
        other.train.queries.ids == first.train.queries.ids
        and other.test.queries.ids == first.test.queries.ids
        and (other.val is None) == (first.val is None)
        for other in scenarios[1:]
    )


def unite(scenarios: Sequence[Scenario], rules: Protocol, *, extra: bool = False) -> Union:
    """The union of the pools' models, each model once.

    Where labels depend on the pool (graded scores under ``paper``), a model has one column for each pool it is in, so
    only what precedes the labels is shared.

    Parameters
    ----------
    extra : whether the training partition keeps its scores of other models: only for a router that ``uses_extra``.
    """
    labelled = _has_labels(scenarios, rules)
    names: dict[str, tuple[int, int]] = {}
    slices = []
    offset = 0
    for s, scenario in enumerate(scenarios):
        if labelled:
            slices.append(np.arange(offset, offset + scenario.m))
            offset += scenario.m
        else:
            for column, name in enumerate(scenario.pool.model_ids):
                names.setdefault(name, (s, column))
    if not labelled:
        position = {name: i for i, name in enumerate(names)}
        slices = [np.array([position[name] for name in s.pool.model_ids], dtype=np.intp) for s in scenarios]

    def combine(parts: Sequence[Partition], *, learn: bool) -> Partition:
        """The same part of all scenarios as one."""
        picked = [np.array([c for s, c in names.values() if s == i], dtype=np.intp) for i in range(len(parts))]
        if labelled:
            picked = [np.arange(len(part.model_ids)) for part in parts]
        pieces = [part.scores.columns(index) for part, index in zip(parts, picked, strict=True)]
        labels = None
        if labelled and learn:
            labels = np.concatenate([labels_of(part) for part in parts], axis=1)
        return Partition(parts[0].queries, concatenate(pieces), labels)

    train = combine([s.train for s in scenarios], learn=True)
    if extra:
        train = replace(train, extra=scenarios[0].train.extra)
    if rules.drop_leaked:
        train = without_leaks(train, scenarios[0])
    vals = [s.val for s in scenarios if s.val is not None]
    val = combine(vals, learn=True) if vals and len(vals) == len(scenarios) and rules.name == "strict" else None
    if val is not None and rules.drop_leaked:
        # What is chosen on a test prompt's twin is chosen on the test prompt.
        val = _kept_rows(val, _kept(scenarios[0].val.queries, None, scenarios[0].test.queries))  # type: ignore[union-attr]
    return Union(train, val, slices)


def labels_of(part: Partition) -> NDArray[np.float32]:
    """The labels that came with the data, else those the published rule makes of the scores."""
    return pool_labels(part.scores.dense()) if part.labels is None else part.labels


def concatenate(pieces: Sequence[ScoreMatrix]) -> ScoreMatrix:
    """Columns of several matrices over the same prompts, side by side."""
    models = tuple(name for piece in pieces for name in piece.model_ids)
    prompts = pieces[0].prompt_ids
    if any(not piece.binary for piece in pieces):
        return ScoreMatrix(prompts, models, values=np.concatenate([piece.dense() for piece in pieces], axis=1))
    bits = np.concatenate([piece.bits for piece in pieces])
    if all(piece.observed is None for piece in pieces):
        return ScoreMatrix(prompts, models, bits=bits)
    observed = np.concatenate([piece.observed_bits() for piece in pieces])
    return ScoreMatrix(prompts, models, bits=bits, observed=observed)


def without_leaks(train: Partition, scenario: Scenario) -> Partition:
    """The training prompts whose text is not also that of a validation or test prompt."""
    val = None if scenario.val is None else scenario.val.queries
    return _kept_rows(train, _kept(scenario.train.queries, val, scenario.test.queries))


def leaked(scenario: Scenario) -> int:
    """How many training prompts have the text of a validation or test prompt, case and white space aside."""
    val = None if scenario.val is None else scenario.val.queries
    return len(scenario.train) - len(_kept(scenario.train.queries, val, scenario.test.queries))


def _kept_rows(part: Partition, keep: NDArray[np.intp]) -> Partition:
    return part if len(keep) == len(part) else part.rows(keep)


@lru_cache(maxsize=64)
def _kept(train: Queries, val: Queries | None, test: Queries) -> NDArray[np.intp]:
    if train.texts is None or test.texts is None:
        return np.arange(len(train))
    held_out = {
        normal_text(text) for part in (val, test) if part is not None and part.texts is not None for text in part.texts
    }
    # No text is no evidence of anything.
    held_out.discard("")
    return np.array([i for i, text in enumerate(train.texts) if normal_text(text) not in held_out], dtype=np.intp)


def _has_labels(scenarios: Sequence[Scenario], rules: Protocol) -> bool:
    return rules.pool_labels and any(s.train.labels is not None or not s.train.scores.binary for s in scenarios)

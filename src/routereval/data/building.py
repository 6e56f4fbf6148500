"""Scenarios out of a benchmark's scores: a split and candidate pools, as published or sound."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial

import numpy as np

from routereval.data import store
from routereval.data.benchmark import BenchmarkData, PoolKey
from routereval.data.duplicates import clusters_of
from routereval.data.pools import PublishedRule, chosen, greedy, random_pool
from routereval.data.scenario import STRATEGIES, CandidatePool
from routereval.data.scores import ScoreMatrix
from routereval.data.split import Split
from routereval.errors import DataError, ParameterError
from routereval.seeding import generator

PUBLISHED_SIZES = (3, 5, 10, 100, 1000)
KNOWN_STRATEGIES = (*STRATEGIES, "random", "greedy")
SEED = 42
"""What the published splits and pools were drawn with."""


@dataclass(frozen=True)
class PoolPlan:
    """Which pools are wanted.

    Parameters
    ----------
    sizes : m of the pools; all published sizes that the models allow where None.
    strategies : of the published ones, ``random`` and ``greedy``.
    draws : how many random pools of each size; several are called ``random-0``, ``random-1``, ....
    models : names and wildcards; where there are any, one more pool ``chosen`` of these models.
    seed : of the random pools.

    Raises
    ------
    ParameterError : a strategy that there is not, a size below 2, or no draws.
    """

    sizes: tuple[int, ...] | None = None
    strategies: tuple[str, ...] = STRATEGIES
    draws: int = 1
    models: tuple[str, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        for strategy in self.strategies:
            if strategy not in KNOWN_STRATEGIES:
                near = difflib.get_close_matches(strategy, KNOWN_STRATEGIES, n=1, cutoff=0.5)
                hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(KNOWN_STRATEGIES)}"
                raise ParameterError(f"unknown strategy {strategy!r}; {hint}")
        if self.draws < 1 or any(m < 2 for m in self.sizes or ()):
            raise ParameterError("a pool has at least 2 models, and there is at least one draw of it")


def built(data: BenchmarkData, plan: PoolPlan | None = None, *, protocol: str = "strict") -> BenchmarkData:
    """The data with a split and pools, through the store.

    Parameters
    ----------
    plan : which pools; the published ones where None.
    protocol : ``paper``: the published split, pools picked on all prompts. ``strict``: near-identical prompts on one
        side of the split, pools picked without the test prompts.

    Returns
    -------
    BenchmarkData : its ``missing`` lists the pools that cannot be made, and why.

    Raises
    ------
    DataError : not one of the pools can be made.
    """
    plan = plan or PoolPlan()
    key = store.content_key("built", data.data_hash, json.dumps(asdict(plan)), protocol)
    found = store.find(key)
    if found is not None:
        return replace(found, source=data.source)
    rng = np.random.RandomState(SEED)
    groups = data.subsets or ("",) * len(data.queries)
    notes = list(data.missing)
    if protocol == "paper":
        split = Split.stratified(groups, seed=rng)
        visible = data.scores
    else:
        clusters = clusters_of(data.queries)
        together = len(data.queries) - len(set(clusters.tolist()))
        if together:
            notes.append(f"{together} prompts are near-identical to another; they are on its side of the split")
        split = Split.stratified(groups, seed=rng, clusters=clusters)
        visible = data.scores.rows(np.sort(np.concatenate([split.train, split.val])))
    pools, impossible = _pools(visible, plan, rng, data.benchmark)
    if not pools:
        raise DataError(f"{data.benchmark}: no pool can be made; {'; '.join(impossible)}")
    return store.save(
        replace(
            data,
            split=split,
            pools=pools,
            data_hash=key,
            missing=(*notes, *impossible),
            pools_saw_test=protocol == "paper",
            train_labels={},
            store_dir=None,
        )
    )


def _pools(
    visible: ScoreMatrix, plan: PoolPlan, rng: np.random.RandomState, benchmark: str
) -> tuple[dict[PoolKey, CandidatePool], list[str]]:
    """The pools that can be made, and why the others cannot."""
    wanted = PUBLISHED_SIZES if plan.sizes is None else tuple(dict.fromkeys(plan.sizes))
    pools: dict[PoolKey, CandidatePool] = {}
    impossible: list[str] = []

    def attempt(make: Callable[[], CandidatePool], *, keep: bool = True) -> None:
        try:
            pool = make()
        except DataError as error:
            impossible.extend([str(error)] if keep else [])
            return
        if keep:
            pools[pool.strategy, len(pool)] = pool

    published = [strategy for strategy in plan.strategies if strategy in STRATEGIES]
    if published:
        rule = PublishedRule(visible, rng)
        # What was drawn before decides what is drawn next: the published sizes come first, asked for or not.
        largest = max(wanted, default=0)
        for m in [m for m in PUBLISHED_SIZES if m <= largest] + [m for m in wanted if m not in PUBLISHED_SIZES]:
            for strategy in STRATEGIES:
                attempt(partial(rule.pool, strategy, m), keep=m in wanted and strategy in published)
    for m in wanted:
        if "greedy" in plan.strategies:
            attempt(partial(greedy, visible, m))
        if "random" in plan.strategies:
            for draw in range(plan.draws):
                name = "random" if plan.draws == 1 else f"random-{draw}"
                # From names, so that a draw does not depend on which others there are.
                own = generator("random pool", benchmark, m, draw, plan.seed)
                attempt(partial(random_pool, visible, m, own, name))
    if plan.models:
        attempt(partial(chosen, visible, plan.models))
    return pools, impossible

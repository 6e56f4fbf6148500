"""Scenarios out of a benchmark's scores: a split and candidate pools, as published or sound."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial

import numpy as np

from routereval.data import covering, store
from routereval.data.benchmark import BenchmarkData, PoolKey
from routereval.data.conditions import Condition, Metadata, models_where
from routereval.data.duplicates import clusters_of
from routereval.data.pools import PublishedRule, chosen, greedy, models_named, random_pool
from routereval.data.scenario import STRATEGIES, CandidatePool
from routereval.data.scores import ScoreMatrix
from routereval.data.split import Split
from routereval.errors import DataError, ParameterError
from routereval.seeding import generator

PUBLISHED_SIZES = (3, 5, 10, 100, 1000)
KNOWN_STRATEGIES = (*STRATEGIES, "random", "greedy", covering.STRATEGY)
SEED = 42
"""What the published splits and pools were drawn with."""
RULES = "2"
"""Version of the rules for splits and pools: under other rules the same scores are other data."""


@dataclass(frozen=True)
class PoolPlan:
    """Which pools are wanted.

    Parameters
    ----------
    sizes : m of the pools; all published sizes that the models allow where None.
    strategies : of the published ones, ``random``, ``greedy`` and ``cheapest_covering``, which needs costs.
    draws : how many random pools of each size; several are called ``random-0``, ``random-1``, ....
    models : names and wildcards; where there are any, one more pool ``chosen`` of these models.
    seed : of the random pools.
    fallback : where the published rule makes no pool, give up its limits for it (:class:`PublishedRule` says which).
    where : conditions on what is known of the models, ``params_b<=13`` (:mod:`routereval.data.conditions`); where there
        are any, the pool ``chosen`` has the models that meet them all, and one of ``models`` if there are any of those.
    restrict : the other pools are picked from the models of ``chosen`` too, as if there were no others.

    Raises
    ------
    ParameterError : a strategy that there is not, a size below 2, or no draws.
    """

    sizes: tuple[int, ...] | None = None
    strategies: tuple[str, ...] = STRATEGIES
    draws: int = 1
    models: tuple[str, ...] = ()
    seed: int = 0
    fallback: bool = False
    where: tuple[str, ...] = ()
    restrict: bool = False

    def __post_init__(self) -> None:
        for strategy in self.strategies:
            if strategy not in KNOWN_STRATEGIES:
                near = difflib.get_close_matches(strategy, KNOWN_STRATEGIES, n=1, cutoff=0.5)
                hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(KNOWN_STRATEGIES)}"
                raise ParameterError(f"unknown strategy {strategy!r}; {hint}")
        if self.draws < 1 or any(m < 2 for m in self.sizes or ()):
            raise ParameterError("a pool has at least 2 models, and there is at least one draw of it")
        for text in self.where:
            Condition.parse(text)
        if self.restrict and not (self.models or self.where):
            raise ParameterError("nothing to restrict the pools to: name models, or conditions on them")

    @property
    def key(self) -> str:
        """What differs from the published pools, as JSON: a parameter that is added later changes no key."""
        published = PoolPlan()
        return json.dumps({k: v for k, v in asdict(self).items() if v != getattr(published, k)}, sort_keys=True)


def built(
    data: BenchmarkData,
    plan: PoolPlan | None = None,
    *,
    protocol: str = "strict",
    metadata: Metadata | None = None,
) -> BenchmarkData:
    """The data with a split and pools, through the store.

    Parameters
    ----------
    plan : which pools; the published ones where None.
    protocol : ``paper``: the published split, pools picked on all prompts. ``strict``: near-identical prompts on one
        side of the split, pools picked without the test prompts.
    metadata : what is known of each model, model to property to value; what ``plan.where`` asks about.

    Returns
    -------
    BenchmarkData : its ``missing`` lists the pools that cannot be made, and why, and where a limit was given up.

    Raises
    ------
    DataError : not one of the pools can be made; or the conditions ask about what no model has.
    """
    plan = plan or PoolPlan()
    names, notes = _chosen_names(data.scores.model_ids, plan, metadata or {})
    parts = [json.dumps(names)] if plan.where else []
    key = store.content_key("built", RULES, data.data_hash, plan.key, protocol, *parts)
    found = store.find(key)
    if found is not None:
        return replace(found, source=data.source)
    rng = np.random.RandomState(SEED)
    split, together = split_of(data, protocol, rng)
    shown = None if protocol == "paper" else np.sort(np.r_[split.train, split.val])
    visible = data.scores if shown is None else data.scores.rows(shown)
    costs = partial(covering.mean_costs, data, shown)
    pools, impossible = _pools(visible, plan, names, rng, data.benchmark, costs)
    if not pools:
        raise DataError(f"{data.benchmark}: no pool can be made; {'; '.join([*notes, *impossible])}")
    return store.save(
        replace(
            data,
            split=split,
            pools=pools,
            data_hash=key,
            missing=(*data.missing, *together, *notes, *impossible),
            pools_saw_test=protocol == "paper",
            train_labels={},
            store_dir=None,
        )
    )


def with_split(data: BenchmarkData, protocol: str) -> BenchmarkData:
    """The data with the split that :func:`built` gives them, and no pools."""
    if protocol == "paper":
        return data
    split, notes = split_of(data, protocol, np.random.RandomState(SEED))
    key = store.content_key("split", RULES, data.data_hash, protocol)
    return replace(data, split=split, pools={}, data_hash=key, missing=(*data.missing, *notes), store_dir=None)


def split_of(data: BenchmarkData, protocol: str, rng: np.random.RandomState) -> tuple[Split, list[str]]:
    """The published split, or the sound one with near-identical prompts on one side, and what there is to say of it.

    A split that somebody decided on stays as it is.
    """
    if data.split_given:
        return data.split, ["the split is the one that came with the data"]
    groups = data.subsets or ("",) * len(data.queries)
    if protocol == "paper":
        return Split.stratified(groups, seed=rng), []
    clusters = clusters_of(data.queries)
    together = len(data.queries) - len(set(clusters.tolist()))
    notes = [f"{together} prompts are near-identical to another; they are on its side of the split"] if together else []
    return Split.stratified(groups, seed=rng, clusters=clusters), notes


def _chosen_names(known: Sequence[str], plan: PoolPlan, metadata: Metadata) -> tuple[list[str] | None, list[str]]:
    """The models that names and conditions leave (None where nobody asks, or none are left), and what to say of them.

    Raises
    ------
    DataError : none are left, and no pool may have others.
    """
    if not (plan.models or plan.where):
        return None, []
    try:
        names = models_named(known, plan.models) if plan.models else list(known)
        return models_where(names, metadata, plan.where) if plan.where else (names, [])
    except DataError as error:
        if plan.restrict:
            raise
        return None, [f"no pool chosen: {error}"]


def _pools(
    visible: ScoreMatrix,
    plan: PoolPlan,
    names: Sequence[str] | None,
    rng: np.random.RandomState,
    benchmark: str,
    costs_of: Callable[[], covering.Costs],
) -> tuple[dict[PoolKey, CandidatePool], list[str]]:
    """The pools that can be made, and why the others cannot, or what was given up for one."""
    everyone = visible
    if plan.restrict and names is not None:
        visible = visible.models(names)
    wanted = PUBLISHED_SIZES if plan.sizes is None else tuple(dict.fromkeys(plan.sizes))
    pools: dict[PoolKey, CandidatePool] = {}
    impossible: list[str] = []

    def attempt(make: Callable[[], CandidatePool], *, keep: bool = True) -> None:
        """Add the pool, or note why there is none where that is to be kept."""
        try:
            pool = make()
        except DataError as error:
            if keep and str(error) not in impossible:
                impossible.append(str(error))
            return
        if keep:
            pools[pool.strategy, len(pool)] = pool

    published = [strategy for strategy in plan.strategies if strategy in STRATEGIES]
    if published:
        rule = PublishedRule(visible, rng, fallback=plan.fallback)
        # What was drawn before decides what is drawn next: the published sizes come first, asked for or not.
        largest = max(wanted, default=0)
        for m in [m for m in PUBLISHED_SIZES if m <= largest] + [m for m in wanted if m not in PUBLISHED_SIZES]:
            for strategy in STRATEGIES:
                keep = m in wanted and strategy in published
                attempt(partial(rule.pool, strategy, m), keep=keep)
                if keep and (strategy, m) in pools and (given_up := rule.region(strategy, m).fallback):
                    impossible.append(f"pool {strategy}/{m}: {given_up}, as the fallback asks")
    for m in wanted:
        if "greedy" in plan.strategies:
            attempt(partial(greedy, visible, m))
        if "random" in plan.strategies:
            for draw in range(plan.draws):
                name = "random" if plan.draws == 1 else f"random-{draw}"
                # From names, so that a draw does not depend on which others there are.
                own = generator("random pool", benchmark, m, draw, plan.seed)
                attempt(partial(random_pool, visible, m, own, name))
    if covering.STRATEGY in plan.strategies:
        try:
            costs = costs_of()
            impossible.extend(costs.notes)
            for m in wanted:
                attempt(partial(covering.cheapest_covering, visible, costs, m))
        except DataError as error:
            impossible.append(str(error))
    if names is not None:
        attempt(partial(chosen, everyone, names))
    return pools, impossible

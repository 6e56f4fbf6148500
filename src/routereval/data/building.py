"""Scenarios out of a benchmark's scores: a split and candidate pools, as published or sound."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from routereval.data import store
from routereval.data.benchmark import BenchmarkData, PoolKey
from routereval.data.duplicates import clusters_of
from routereval.data.pools import PublishedRule
from routereval.data.scenario import STRATEGIES, CandidatePool
from routereval.data.split import Split
from routereval.errors import DataError

PUBLISHED_SIZES = (3, 5, 10, 100, 1000)
SEED = 42
"""What the published splits and pools were drawn with."""


def built(
    data: BenchmarkData,
    sizes: Sequence[int] | None = None,
    strategies: Sequence[str] = STRATEGIES,
    *,
    protocol: str = "strict",
) -> BenchmarkData:
    """The data with a split and pools, through the store.

    Parameters
    ----------
    sizes : m of the pools; all published sizes that the models allow where None.
    strategies : which of the published strategies.
    protocol : ``paper``: the published split, pools picked on all prompts. ``strict``: near-identical prompts on one
        side of the split, pools picked without the test prompts.

    Returns
    -------
    BenchmarkData : its ``missing`` lists the pools that cannot be made, and why.

    Raises
    ------
    DataError : not one of the pools can be made.
    """
    wanted = PUBLISHED_SIZES if sizes is None else tuple(dict.fromkeys(sizes))
    options = json.dumps({"sizes": wanted, "strategies": list(strategies), "protocol": protocol})
    key = store.content_key("built", data.data_hash, options)
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
    # What was drawn before decides what is drawn next: the published sizes come first, asked for or not.
    largest = max(wanted, default=0)
    order = [m for m in PUBLISHED_SIZES if m <= largest] + [m for m in wanted if m not in PUBLISHED_SIZES]
    rule = PublishedRule(visible, rng)
    pools: dict[PoolKey, CandidatePool] = {}
    impossible = []
    for m in order:
        for strategy in STRATEGIES:
            try:
                pool = rule.pool(strategy, m)
            except DataError as error:
                if m in wanted and strategy in strategies:
                    impossible.append(str(error))
                continue
            if m in wanted and strategy in strategies:
                pools[strategy, m] = pool
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
            store_dir=None,
        )
    )

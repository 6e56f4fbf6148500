"""An unpickled router dataset as ``BenchmarkData``: one score matrix over all pools, and what is missing from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from routereval.data.benchmark import BenchmarkData, PoolKey
from routereval.data.queries import Queries
from routereval.data.scenario import STRATEGIES
from routereval.data.scores import ScoreMatrix, pack
from routereval.data.split import Split
from routereval.errors import DataError
from routereval.sources.archives import Location
from routereval.sources.router_dataset_fields import (
    GRID,
    PARTS,
    Pool,
    Prompts,
    mapping,
    raise_all,
    read_pools,
    read_prompts,
)


def converted(raw: Any, benchmark: str, where: Location, key: str) -> BenchmarkData:
    """An unpickled file as data of ``benchmark``; ``key`` is its content's key in the store."""
    from routereval.facts import benchmarks as published

    try:
        top = mapping(raw, "the file", "a dictionary with 'easy', 'hard', 'split_index', 'embedding', 'prompt'")
        pools = read_pools(top)
        prompts, sizes = read_prompts(top, pools)
        ends = np.cumsum([0, *sizes.values()])
        rows = {part: slice(int(a), int(b)) for part, a, b in zip(PARTS, ends[:-1], ends[1:], strict=True)}
        ids = _prompt_ids(prompts, sizes)
        scores = _union(pools, rows, ids)
        facts = published().get(benchmark)
        data = BenchmarkData(
            benchmark=benchmark,
            scores=scores,
            queries=Queries(ids, _embeddings(prompts, sizes), _texts(prompts, sizes)),
            split=Split(*(np.arange(rows[part].start, rows[part].stop) for part in PARTS)),
            pools={pool.key: pool.pool for pool in pools},
            source=str(where),
            data_hash=key,
            train_labels=_labels(pools, scores, sizes),
            missing=_missing(pools, prompts, sizes, scores),
            pools_saw_test=True,
            reference_model=None if facts is None else facts.reference_model,
            reference_score=None if facts is None else facts.reference_score,
        )
    except DataError as error:
        raise DataError(f"{where}, benchmark {benchmark}: {error}") from error
    return data


def _prompt_ids(prompts: Mapping[str, Prompts], sizes: Mapping[str, int]) -> tuple[str, ...]:
    """The prompts' numbers in the whole benchmark; where the file does not give them, part and position."""
    ids: list[str] = []
    for part in PARTS:
        given = prompts[part].ids
        ids += [f"{part}-{i}" for i in range(sizes[part])] if given is None else given
    twice = len(ids) - len(set(ids))
    if twice:
        raise DataError(f"split_index gives {twice} of {len(ids)} prompts a number that another prompt has already")
    return tuple(ids)


def _union(pools: list[Pool], rows: Mapping[str, slice], prompt_ids: tuple[str, ...]) -> ScoreMatrix:
    """All prompts x all pools' models, columns in order of first appearance; what no pool scored stays missing."""
    first_pool: dict[str, str] = {}
    for pool in pools:
        for name in pool.pool.model_ids:
            first_pool.setdefault(name, pool.name)
    column = {name: i for i, name in enumerate(first_pool)}
    shape = len(prompt_ids), len(column)
    # Arrays may be shared inside a pickle; a file whose union is far larger than its scores is made to fill the memory.
    cells = sum({id(values): values.size for pool in pools for values in pool.scores.values()}.values())
    if shape[0] * shape[1] > max(10**8, 20 * cells):
        raise DataError(
            f"{cells:,} scores for {shape[0]:,} prompts x {shape[1]:,} models; that is no router dataset, get it again"
        )
    binary = all(((values == 0) | (values == 1)).all() for pool in pools for values in pool.scores.values())
    # By model, so that one pool's columns are written in runs.
    by_model = np.zeros((shape[1], shape[0]), dtype=np.uint8 if binary else np.float32)
    observed = np.zeros((shape[1], shape[0]), dtype=np.bool_)
    problems = []
    for pool in pools:
        columns = np.array([column[name] for name in pool.pool.model_ids])
        for part, values in pool.scores.items():
            cell = columns, rows[part]
            new = values.T.astype(by_model.dtype)
            differ = (observed[cell] & (by_model[cell] != new)).any(axis=1)
            for i in np.flatnonzero(differ):
                name = pool.pool.model_ids[i]
                problems.append(
                    f"model {name!r} has other {part} scores in pool {pool.name} than in {first_pool[name]}; "
                    "a model's scores do not depend on the pool"
                )
            by_model[cell] = new
            observed[cell] = True
    raise_all(problems)
    models = tuple(column)
    if binary:
        mask = None if observed.all() else pack(observed.T)
        return ScoreMatrix(prompt_ids, models, bits=pack(by_model.view(np.bool_).T), observed=mask)
    by_model[~observed] = np.nan
    return ScoreMatrix(prompt_ids, models, values=np.ascontiguousarray(by_model.T, dtype=np.float32))


def _embeddings(prompts: Mapping[str, Prompts], sizes: Mapping[str, int]) -> NDArray[np.float32] | None:
    there = [prompts[part].embeddings for part in PARTS if sizes[part]]
    given = [part for part in there if part is not None]
    if not given or len(given) < len(there):
        return None
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, which Queries reports
        return np.concatenate([part.astype(np.float32) for part in given])


def _texts(prompts: Mapping[str, Prompts], sizes: Mapping[str, int]) -> list[str] | None:
    there = [prompts[part].texts for part in PARTS if sizes[part]]
    given = [part for part in there if part is not None]
    return [text for part in given for text in part] if given and len(given) == len(there) else None


def _labels(pools: list[Pool], scores: ScoreMatrix, sizes: Mapping[str, int]) -> dict[PoolKey, NDArray[np.uint8]]:
    """The training labels of graded benchmarks; binary ones are trained on their scores."""
    if scores.binary:
        return {}
    labels = {pool.key: pool.labels for pool in pools if pool.labels is not None and "train" in pool.scores}
    raise_all(
        f"train_label of {strategy}/{m} has {len(values)} rows; expected {sizes['train']}, one per train prompt"
        for (strategy, m), values in labels.items()
        if len(values) != sizes["train"]
    )
    return labels


def _missing(
    pools: list[Pool], prompts: Mapping[str, Prompts], sizes: Mapping[str, int], scores: ScoreMatrix
) -> tuple[str, ...]:
    """What a complete file would have and this one has not."""
    have = {pool.key for pool in pools}
    sentences = [
        f"there is no pool {strategy}/{m}"
        for sizes_of_level in GRID.values()
        for m in sizes_of_level
        for strategy in STRATEGIES
        if (strategy, m) not in have
    ]
    for part in PARTS:
        without = [pool.name for pool in pools if part not in pool.scores]
        if len(without) == len(pools):
            sentences.append(f"there are no {part} scores in any pool")
            continue
        sentences += [f"pool {name} has no {part} scores" for name in without]
        if sizes[part] == 0:
            sentences.append(f"the {part} split is empty")
            continue
        for what, given in (
            ("numbers in split_index, so they are counted from 0", prompts[part].ids),
            ("embeddings, so no prompt of the benchmark has one", prompts[part].embeddings),
            ("texts, so no prompt of the benchmark has one", prompts[part].texts),
        ):
            if given is None:
                sentences.append(f"the {part} prompts have no {what}")
    if not scores.binary:
        sentences += [f"pool {pool.name} has graded scores and no train_label" for pool in pools if pool.labels is None]
    return tuple(sentences)

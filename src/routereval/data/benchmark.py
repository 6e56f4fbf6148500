"""Everything known of one benchmark: scores of all prompts and models, queries, split, pools."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from routereval.data.queries import Queries
from routereval.data.scenario import CandidatePool, Partition, Scenario
from routereval.data.scores import ScoreMatrix, read_only
from routereval.data.split import Split
from routereval.errors import DataError, MissingDataError

PoolKey = tuple[str, int]
"""Strategy and number of candidates: the last two parts of a scenario's id."""


@dataclass(frozen=True, eq=False, repr=False)
class BenchmarkData:
    """What a source knows of one benchmark; scenarios are cut from it.

    Every source makes one of these, and the store keeps it; there is one way on from here.

    Parameters
    ----------
    benchmark : its key, the first part of a scenario's id.
    scores : all N prompts x all M models (the union of the pools' models at least).
    queries : the N prompts.
    split : positions among the N prompts.
    pools : the candidate pools by strategy and m.
    source : where it came from, as an error should name it.
    data_hash : sha256 that names this data; part of a run's key.
    train_labels : labels that came with a pool, (n train, m) uint8 in the order of ``split.train``.
    subsets : the part of the benchmark each prompt belongs to, N names, or None.
    missing : what a complete file would have and this one has not, each a sentence for people.
    pools_saw_test : whether test prompts had a say in picking the pools.
    split_given : whether somebody decided on the split, so that nobody draws another.
    reference_model, reference_score : the fixed strong model, where there is one.
    encoder : which embeddings the queries carry; ``shipped`` are those that came with the data.
    planes : more that is known of each cell, by name: (N, M) float32, nan where unknown. Costs, tokens and times are
        ``cost_usd``, ``input_tokens``, ``output_tokens``, ``latency_seconds``; other names are further metrics.
    store_dir : the folder it is memory-mapped from, once it is in the store.
    """

    benchmark: str
    scores: ScoreMatrix
    queries: Queries
    split: Split
    pools: Mapping[PoolKey, CandidatePool]
    source: str
    data_hash: str = ""
    train_labels: Mapping[PoolKey, NDArray[np.uint8]] = field(default_factory=dict)
    subsets: tuple[str, ...] | None = None
    missing: tuple[str, ...] = ()
    pools_saw_test: bool = False
    split_given: bool = False
    synthetic: bool = False
    reference_model: str | None = None
    reference_score: float | None = None
    encoder: str = "shipped"
    planes: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    store_dir: Path | None = None

    def __post_init__(self) -> None:
        if "/" in self.benchmark or not self.benchmark:
            raise DataError(f"{self.benchmark!r} cannot name a benchmark: a name is needed, without '/'")
        if self.queries.ids != self.scores.prompt_ids:
            raise DataError(f"{self.source}: queries and scores are not the same prompts")
        for name, plane in self.planes.items():
            if plane.shape != self.scores.shape:
                raise DataError(
                    f"{self.source}: plane {name!r} has shape {plane.shape}, the scores {self.scores.shape} "
                    "(prompts x models)"
                )
        object.__setattr__(self, "planes", {name: read_only(plane) for name, plane in self.planes.items()})

    def __repr__(self) -> str:
        return f"BenchmarkData({self.benchmark}: {self.scores!r}, {self.split!r}, {len(self.pools)} pools)"

    def __reduce__(self) -> Any:
        # A worker process maps the store itself; megabytes of scores need not travel to it.
        if self.store_dir is not None:
            from routereval.data.checking import promise_of
            from routereval.data.remote import url
            from routereval.data.store import reopen

            return reopen, (self.store_dir, self.data_hash, url(), promise_of(self.store_dir))
        return super().__reduce__()

    @property
    def scenario_ids(self) -> tuple[str, ...]:
        """The ids of all scenarios, pools in the order they came."""
        return tuple(f"{self.benchmark}/{strategy}/{m}" for strategy, m in self.pools)

    def pool(self, strategy: str, m: int) -> CandidatePool:
        """One pool.

        Raises
        ------
        MissingDataError : there is none; says which there are.
        """
        if (strategy, m) not in self.pools:
            have = ", ".join(f"{s}/{k}" for s, k in self.pools) or "none"
            raise MissingDataError(f"{self.benchmark} has no pool {strategy}/{m} in {self.source}; it has: {have}")
        return self.pools[strategy, m]

    def scenario(self, strategy: str, m: int) -> Scenario:
        """One routing problem.

        Raises
        ------
        MissingDataError : no such pool, or no prompts to train or test on.
        """
        pool = self.pool(strategy, m)
        train, test = self.part("train", pool), self.part("test", pool)
        for name, part in (("train", train), ("test", test)):
            if part is None:
                why = "; ".join(self.missing) or "the split is empty"
                raise MissingDataError(f"{self.benchmark}/{strategy}/{m} has no {name} prompts in {self.source}: {why}")
        assert train is not None
        assert test is not None
        labels = self.train_labels.get((strategy, m))
        # Every scenario has the same matrix of all models; a copy of the others of each pool would be gigabytes.
        extra = self._parts["train"][1]
        train = replace(train, labels=None if labels is None else labels.astype(np.float32), extra=extra)
        return Scenario(
            id=f"{self.benchmark}/{strategy}/{m}",
            pool=pool,
            train=train,
            val=self.part("val", pool),
            test=test,
            reference_score=self.reference_score,
            reference_model=self.reference_model,
            data_hash=self.data_hash,
            encoder=self.encoder,
            pools_saw_test=self.pools_saw_test,
        )

    def part(self, name: str, pool: CandidatePool) -> Partition | None:
        """The train, val or test prompts with the pool's scores; None where nothing of it was observed."""
        index = getattr(self.split, name)
        if len(index) == 0:
            return None
        queries, scores = self._parts[name]
        of_pool = scores.models(pool.model_ids)
        return Partition(queries, of_pool) if of_pool.coverage > 0 else None

    @cached_property
    def _parts(self) -> dict[str, tuple[Queries, ScoreMatrix]]:
        """Queries and scores of each part, cut once and shared by all scenarios."""
        cut = {}
        for name in ("train", "val", "test"):
            index = getattr(self.split, name)
            if len(index):
                queries = replace(self.queries.take(index), subsets=self._subsets_at(index))
                cut[name] = (queries, self.scores.rows(index))
        return cut

    def _subsets_at(self, index: NDArray[np.intp]) -> tuple[str, ...] | None:
        return None if self.subsets is None else tuple(self.subsets[i] for i in index)

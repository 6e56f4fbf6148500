"""What there is to run: scenarios x routers x seeds, in tasks that share a fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from routereval.data.benchmark import BenchmarkData, PoolKey
from routereval.datasets import Selection
from routereval.encoders import embedded
from routereval.policies import is_reference, source_hash
from routereval.protocols import protocol as protocol_named
from routereval.results.run import RunSpec
from routereval.tuning import described


@dataclass(frozen=True)
class Task:
    """Runs that are done together: the scenarios of one benchmark that one fit serves.

    Parameters
    ----------
    data, encoder : the benchmark and the embeddings to use; encoded where the task is done.
    pools : which scenarios.
    policy : the router or reference.
    specs : one per pool: what the runs are called.
    tune : how many combinations of parameters to try; 0 takes them as they are.
    train_size : how many of the training prompts to learn from; None: all.
    """

    data: BenchmarkData
    encoder: str
    pools: tuple[PoolKey, ...]
    policy: Any
    protocol: str
    seed: int
    specs: tuple[RunSpec, ...]
    tune: int = 0
    train_size: int | None = None

    def without(self, done: set[str]) -> Task | None:
        """What is left of it; None where all is done."""
        left = [(pool, spec) for pool, spec in zip(self.pools, self.specs, strict=True) if spec.key not in done]
        if not left:
            return None
        pools, specs = zip(*left, strict=True)
        return replace(self, pools=pools, specs=specs)


def plan(
    selections: Sequence[Selection],
    policies: Sequence[Any],
    *,
    protocol: str = "strict",
    encoder: str = "auto",
    seeds: Sequence[int] = (0,),
    tune: int = 0,
    train_sizes: Sequence[int | None] = (None,),
) -> list[Task]:
    """One task per (benchmark, columnwise router or reference, seed), one per scenario for other routers.

    Parameters
    ----------
    train_sizes : how many training prompts routers learn from, None for all; references do not learn.

    Raises
    ------
    UnknownNameError : no such protocol or encoder.
    MissingDataError : the encoder has nothing to encode.
    """
    protocol_named(protocol)
    whole = [int(seed) for seed in seeds]
    tasks = []
    for selection in selections:
        actual = embedded(selection.data, encoder, protocol=protocol).encoder
        for policy in policies:
            name, params = described(policy, tune)
            code = source_hash(policy)
            together = is_reference(policy) or getattr(policy, "columnwise", False)
            groups = [selection.pools] if together else [(pool,) for pool in selection.pools]
            sizes = (None,) if is_reference(policy) else train_sizes
            for seed, size in product(whole, sizes):
                for pools in groups:
                    specs = tuple(
                        RunSpec(
                            f"{selection.data.benchmark}/{strategy}/{m}",
                            name,
                            params,
                            actual,
                            protocol,
                            seed,
                            selection.data.data_hash,
                            code,
                            size,
                        )
                        for strategy, m in pools
                    )
                    tasks.append(Task(selection.data, actual, pools, policy, protocol, seed, specs, tune, size))
    return tasks

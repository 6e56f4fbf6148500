"""The published benchmarks as work to be simulated, from facts alone: no data are needed."""

from __future__ import annotations

from collections.abc import Sequence

from routereval import facts
from routereval.catalogue import unknown_name
from routereval.data.scenario import STRATEGIES
from routereval.simulation.work import Problem

SIZES = (3, 5, 10, 100, 1000)
"""Published pool sizes."""

DIMENSIONS = 768
"""Of the published embeddings."""

TEST_SHARE = 0.1
"""A tenth is tested on."""


def published_problems(names: Sequence[str] = (), sizes: Sequence[int] = SIZES) -> list[Problem]:
    """The benchmarks of these names, all twelve where none is given, each with a pool per strategy and size.

    Raises
    ------
    UnknownNameError : no published benchmark.
    """
    known = facts.benchmarks()
    for name in names:
        if name not in known:
            raise unknown_name("benchmark", name, list(known))
    return [problem(one.key, one.prompts, one.models, sizes) for one in (known[name] for name in names or list(known))]


def problem(name: str, prompts: int, models: int, sizes: Sequence[int] = SIZES) -> Problem:
    """A benchmark of so many prompts and models: bits, and embeddings of 768 dimensions as float32."""
    return Problem(
        name,
        max(1, round(TEST_SHARE * prompts)),
        tuple((strategy, m) for strategy in STRATEGIES for m in sizes),
        models * prompts // 8 + prompts * DIMENSIONS * 4,
    )

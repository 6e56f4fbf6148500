"""The work of a suite as pieces that a worker takes one of at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from routereval.simulation.costs import Cost


@dataclass(frozen=True)
class Problem:
    """A benchmark as the simulation knows it.

    Parameters
    ----------
    benchmark : its name.
    tests : how many test prompts it has.
    pools : (strategy, m) of each scenario.
    size : bytes that a worker has to have read before it can work on it: scores and embeddings.
    """

    benchmark: str
    tests: int
    pools: tuple[tuple[str, int], ...]
    size: int


@dataclass(frozen=True)
class Piece:
    """What one worker does at a stretch: the runs of one fit.

    Parameters
    ----------
    runs : how many.
    seconds : how long.
    answer : bytes that go back.
    """

    router: str
    benchmark: str
    seed: int
    what: str
    runs: int
    seconds: float
    answer: int

    def __str__(self) -> str:
        return f"{self.router} on {self.benchmark}/{self.what}, seed {self.seed}"


BYTES_A_PROMPT = 18
"""About what a run stores for each test prompt: six columns of eight bytes each, packed."""

BYTES_A_RUN = 800
"""And besides: metrics, intervals, versions, notes."""


def pieces_of(problems: Sequence[Problem], costs: Mapping[str, Cost], seeds: int) -> list[Piece]:
    """All pieces of a suite: one for each scenario, or one for each benchmark where a columnwise router fits once.

    Stored seconds of a fit that served several scenarios are divided among them, so a piece takes their sum.
    """
    pieces = []
    for problem in problems:
        answer = BYTES_A_RUN + BYTES_A_PROMPT * problem.tests
        for cost in costs.values():
            each = [cost.seconds(problem.tests, m) for _, m in problem.pools]
            named = [f"{strategy}/{m}" for strategy, m in problem.pools]
            for seed in range(seeds):
                if cost.columnwise:
                    count = len(each)
                    pieces.append(Piece(cost.router, problem.benchmark, seed, "*", count, sum(each), count * answer))
                else:
                    pieces += [
                        Piece(cost.router, problem.benchmark, seed, name, 1, seconds, answer)
                        for name, seconds in zip(named, each, strict=True)
                    ]
    return pieces

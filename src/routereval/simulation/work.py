"""The work of a suite as pieces that a worker takes one of at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from routereval.halving import divided, two_sides
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
    pools : name, models and seconds of each scenario that shares the fit; empty where it is not to be divided.
    """

    router: str
    benchmark: str
    seed: int
    what: str
    runs: int
    seconds: float
    answer: int
    pools: tuple[tuple[str, int, float], ...] = ()

    def __str__(self) -> str:
        return f"{self.router} on {self.benchmark}/{self.what}, seed {self.seed}"


BYTES_A_PROMPT = 18
"""About what a run stores for each test prompt: six columns of eight bytes each, packed."""

BYTES_A_RUN = 800
"""And besides: metrics, intervals, versions, notes."""


def pieces_of(problems: Sequence[Problem], costs: Mapping[str, Cost], seeds: int) -> list[Piece]:
    """All fits of a suite: one for each scenario, or one for each benchmark where a columnwise router fits once.

    Stored seconds of a fit that served several scenarios are divided among them, so a piece takes their sum.
    """
    pieces = []
    for problem in problems:
        answer = BYTES_A_RUN + BYTES_A_PROMPT * problem.tests
        for cost in costs.values():
            pools = tuple((f"{strategy}/{m}", m, cost.seconds(problem.tests, m)) for strategy, m in problem.pools)
            for seed in range(seeds):
                if cost.columnwise:
                    count, seconds = len(pools), sum(one[2] for one in pools)
                    pieces.append(
                        Piece(cost.router, problem.benchmark, seed, "*", count, seconds, count * answer, pools)
                    )
                else:
                    pieces += [
                        Piece(cost.router, problem.benchmark, seed, name, 1, seconds, answer)
                        for name, _, seconds in pools
                    ]
    return pieces


def split_for(pieces: Sequence[Piece], workers: int) -> list[Piece]:
    """The same runs, no piece so long that the other workers would wait for it alone: what the runner does.

    A piece whose scenarios share a fit is halved as long as it is more than a worker's share of everything. Its fit is
    then done twice; what that adds is not known, for a run's stored seconds hold its share of the fit, and is left out.
    """
    return divided(
        pieces, workers, lambda piece: piece.seconds, lambda piece: halves(piece) if len(piece.pools) > 1 else ()
    )


def halves(piece: Piece) -> tuple[Piece, Piece]:
    """Two pieces of about as many models each."""
    first, second = two_sides([models for _, models, _ in piece.pools])
    return _part(piece, [piece.pools[i] for i in first]), _part(piece, [piece.pools[i] for i in second])


def _part(piece: Piece, pools: Sequence[tuple[str, int, float]]) -> Piece:
    count = len(pools)
    return replace(
        piece,
        what=pools[0][0] if count == 1 else f"{count} pools with {pools[0][0]}",
        runs=count,
        seconds=sum(seconds for _, _, seconds in pools),
        answer=piece.answer // piece.runs * count,
        pools=tuple(pools),
    )

"""Who does what when: list scheduling on so many workers, the largest piece first."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from routereval.errors import ParameterError
from routereval.simulation.work import Piece, split_for


@dataclass(frozen=True)
class Machine:
    """What the workers are like.

    Parameters
    ----------
    overhead : seconds a run costs besides computing, on the worker and on the way.
    storing : seconds a run costs the driver, which alone writes results.
    bandwidth : bytes a second at which a worker reads data it does not have yet.
    start : seconds until a worker works.
    speed : how many times as fast as the machine that was measured.
    """

    overhead: float = 0.005
    storing: float = 0.001
    bandwidth: float = 125e6
    start: float = 5.0
    speed: float = 1.0

    def __post_init__(self) -> None:
        if self.bandwidth <= 0 or self.speed <= 0 or min(self.overhead, self.storing, self.start) < 0:
            raise ParameterError("bandwidth and speed must be above 0; overhead, storing and start at least 0")


@dataclass(frozen=True)
class Schedule:
    """What came of one number of workers.

    Parameters
    ----------
    wall : seconds from start to end.
    busy : share of workers' time that went into computing.
    critical : the longest chain, which more time on other workers does not shorten: start, reading, the longest piece;
        ``longest`` names it.
    pieces : how many there are for so many workers.
    driver : seconds the driver stores.
    read, answered : bytes read by workers, a benchmark once by each that needs it; bytes that come back.
    """

    workers: int
    wall: float
    busy: float
    critical: float
    longest: str
    driver: float
    read: int
    answered: int
    pieces: int


def schedule(pieces: Sequence[Piece], sizes: Mapping[str, int], workers: int, machine: Machine) -> Schedule:
    """Simulate: whoever is free takes the largest piece that is left (longest processing time first, Graham 1969).

    Pieces that are more than a worker's share are divided before, as the runner does. No piece waits for another, so
    the critical path is the longest piece with what has to be read for it. Results are stored one after another as they
    come, by the driver, while workers go on.

    Parameters
    ----------
    sizes : bytes by benchmark.

    Raises
    ------
    ParameterError : no workers or no pieces.
    """
    if workers < 1 or not pieces:
        raise ParameterError(f"{len(pieces)} pieces of work on {workers} workers; there must be at least one of each")

    def length(piece: Piece) -> float:
        return piece.seconds / machine.speed + piece.runs * machine.overhead

    ordered = sorted(split_for(pieces, workers), key=length, reverse=True)
    free = [(machine.start, worker) for worker in range(workers)]
    held: list[set[str]] = [set() for _ in range(workers)]
    ends: list[tuple[float, int]] = []
    computing = 0.0
    read = 0
    for piece in ordered:
        at, worker = heapq.heappop(free)
        if piece.benchmark not in held[worker]:
            held[worker].add(piece.benchmark)
            read += sizes[piece.benchmark]
            at += sizes[piece.benchmark] / machine.bandwidth
        computing += length(piece)
        at += length(piece)
        ends.append((at, piece.runs))
        heapq.heappush(free, (at, worker))
    stored = 0.0
    for at, runs in sorted(ends):
        stored = max(stored, at) + runs * machine.storing
    chains = ((machine.start + sizes[p.benchmark] / machine.bandwidth + length(p), p) for p in ordered)
    critical, longest = max(chains, key=lambda chain: chain[0])
    return Schedule(
        workers=workers,
        wall=stored,
        busy=computing / (workers * stored),
        critical=critical,
        longest=str(longest),
        driver=sum(piece.runs for piece in pieces) * machine.storing,
        read=read,
        answered=sum(piece.answer for piece in pieces),
        pieces=len(ordered),
    )

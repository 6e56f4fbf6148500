"""What a run costs that does nothing: an empty router, thousands of runs, here, in worker processes, through Dask.

    python benchmarks/overhead.py                 10,000 runs here and in a worker process
    python benchmarks/overhead.py --dask          the same through a Dask cluster of this machine
    python benchmarks/overhead.py --jobs-of official
                                                  how long a suite on real data takes with --jobs 1 and --jobs 2

Milliseconds of a run are those of the clock, over all runs, start of the workers left out; the least of --repeats.
Beside them is what the driver's processor took: where others want the processors too, that is the better number.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

import routereval as rv
from routereval.datasets import Datasets, Selection
from routereval.policies import PolicySpec
from routereval.results import ResultStore
from routereval.runner.crews import Crew, LocalCrew
from routereval.runner.execute import execute
from routereval.runner.limits import Limits
from routereval.runner.plan import Task, plan
from routereval.sources.synthetic import Synthetic, SyntheticSpec

LIMITS = {"here": 3.0, "a worker process": 3.0, "Dask": 15.0}
"""Milliseconds a run may cost."""


@dataclass
class Empty:
    """Learns nothing and likes all models alike."""

    columnwise: ClassVar[bool] = False

    def fit(self, train: rv.Partition, val: rv.Partition | None = None) -> Empty:
        self.m_ = len(train.model_ids)
        return self

    def predict(self, queries: rv.Queries) -> rv.Prediction:
        return rv.Prediction(np.zeros((len(queries), self.m_), dtype=np.float32))


def tasks_of(runs: int) -> list[Task]:
    """So many runs on a benchmark of 40 prompts, a pool of 3 models: a seed each."""
    spec = SyntheticSpec("tiny", prompts=40, models=30, dimensions=4, sizes=(3,))
    data = Synthetic(spec).data
    return plan([Selection(data, (("all_strong", 3),))], [Empty()], seeds=range(runs))


def seconds_of(tasks: list[Task], crew: Crew | None) -> tuple[float, float]:
    """Seconds a run, everything stored, of the clock and of the driver's processor; a few are done before it counts."""
    with tempfile.TemporaryDirectory() as folder, ResultStore(Path(folder) / "r.sqlite") as store:
        execute(tasks[:20], store, executor=None if crew is None else _Kept(crew))
        start, worked = time.perf_counter(), time.process_time()
        execute(tasks, store, executor=None if crew is None else _Kept(crew))
        seconds, worked = time.perf_counter() - start, time.process_time() - worked
        assert len(store.done()) == len(tasks)
    runs = len(tasks) - 20
    return seconds / runs, worked / runs


class _Kept:
    """A crew that stays when its work is done."""

    def __init__(self, crew: Crew):
        self._crew = crew

    def __getattr__(self, name: str) -> object:
        return getattr(self._crew, name)

    def close(self) -> None:
        pass


def overhead(runs: int, repeats: int, through_dask: bool) -> bool:
    """Print milliseconds a run; whether all are within what they may be."""
    good = True
    with ExitStack() as stack:
        ways: dict[str, Crew | None] = {"here": None, "a worker process": LocalCrew(1, Limits())}
        if through_dask:
            from routereval.runner.dask_cluster import dask_crew

            ways = {"Dask": stack.enter_context(dask_crew("local", workers=2))}
        for name, crew in ways.items():
            cost, worked = (1000 * one for one in min(seconds_of(tasks_of(runs), crew) for _ in range(repeats)))
            good &= cost <= LIMITS[name]
            print(
                f"{name:<18} {runs:>6} runs  {cost:6.2f} ms a run (at most {LIMITS[name]:g})  {_word(cost, name)}; "
                f"{worked:.2f} ms of the driver's processor"
            )
    return good


def jobs(folder: Path) -> None:
    """Print how long a suite takes with one job and with two."""
    selections = Datasets(folder).select(["gsm8k", "arc"], skip_missing=True)
    routers = [
        PolicySpec.parse(text).build()
        for text in ("mlp:recipe=minibatch", "knn", "kmeans", "linear", "ridge", "mirt", "mf")
    ]
    tasks = plan(selections, routers)
    taken: dict[int, float] = {}
    for count in (1, 2):
        with tempfile.TemporaryDirectory() as work, ResultStore(Path(work) / "r.sqlite") as store:
            start = time.perf_counter()
            execute(tasks, store, jobs=count)
            taken[count] = time.perf_counter() - start
            runs = len(store.done())
        print(f"--jobs {count}: {runs} runs in {taken[count]:.1f} s", flush=True)
    print(f"--jobs 2 takes {taken[2] / taken[1]:.2f} of the time of --jobs 1, on {os.cpu_count()} cores")


def _word(cost: float, name: str) -> str:
    return "ok" if cost <= LIMITS[name] else "TOO MUCH"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--dask", action="store_true", help="through a Dask cluster of two workers")
    parser.add_argument(
        "--jobs-of", type=Path, metavar="DATA", help="a suite of this data folder with one and two jobs"
    )
    given = parser.parse_args()
    if given.jobs_of is not None:
        jobs(given.jobs_of)
        return 0
    return 0 if overhead(given.runs, given.repeats, given.dask) else 1


if __name__ == "__main__":
    sys.exit(main())

"""The runs of one task: the work itself, wherever it is done."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

from routereval.data.benchmark import BenchmarkData
from routereval.encoders import embedded
from routereval.errors import RouterEvalError
from routereval.evaluation import evaluate_many
from routereval.results import RunResult
from routereval.runner.plan import Task
from routereval.runner.threads import bounded

_ONE_AT_A_TIME = threading.Lock()
"""What PyTorch and the compiled loops are set to is the process's: two tasks in it would get in each other's way."""


def perform(task: Task, threads: int = 1) -> list[RunResult]:
    """The runs of one task, computed with so many threads; failed ones as results that say why."""
    born = os.getpid()
    try:
        with _ONE_AT_A_TIME, bounded(threads):
            return _performed(task)
    finally:
        if os.getpid() != born:
            os._exit(0)  # a router forked and the copy came back from it: there is one driver


def perform_each(tasks: Sequence[Task], threads: int = 1, seconds: float = float("inf")) -> list[list[RunResult]]:
    """Several tasks in one call, where calls are dear: those of them that were begun within so many seconds.

    How many fit was guessed beforehand. The first is always done, so that something comes of every call.
    """
    began = time.monotonic()
    done: list[list[RunResult]] = []
    for task in tasks:
        if done and time.monotonic() - began >= seconds:
            break
        done.append(perform(task, threads))
    return done


def failed(task: Task, error: Exception) -> list[RunResult]:
    """Every run of a task as failed for this reason."""
    return [RunResult(spec, None, 0.0, error=_sentence(error)) for spec in task.specs]


@lru_cache(maxsize=4)
def encoded(data: BenchmarkData, encoder: str) -> BenchmarkData:
    """The data with these embeddings, at hand for the next task."""
    return embedded(data, encoder)


def _performed(task: Task) -> list[RunResult]:
    try:
        data = encoded(task.data, task.encoder)
    except RouterEvalError as error:
        return failed(task, error)
    done: list[RunResult] = []
    scenarios = []
    for (strategy, m), spec in zip(task.pools, task.specs, strict=True):
        try:
            scenarios.append((spec, data.scenario(strategy, m)))
        except RouterEvalError as error:
            done.append(RunResult(spec, None, 0.0, error=_sentence(error)))
    if scenarios:
        problems = [scenario for _, scenario in scenarios]
        results = evaluate_many(
            task.policy, problems, protocol=task.protocol, seed=task.seed, tune=task.tune, train_size=task.train_size
        )
        for (spec, _), result in zip(scenarios, results, strict=True):
            if isinstance(result, RouterEvalError):
                done.append(RunResult(spec, None, 0.0, error=_sentence(result)))
            else:
                # As planned: a spec made anew in another process could differ in what has no stable form.
                done.append(replace(result, spec=spec))
    for result in done:
        # Here rather than where it is stored: the bootstrap is work, and workers share it.
        _ = result.metrics, result.intervals
    return done


def _sentence(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"

"""Doing what was planned: here or in worker processes, each run stored as it ends."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import lru_cache

from routereval.data.benchmark import BenchmarkData
from routereval.encoders import embedded
from routereval.errors import RouterEvalError
from routereval.evaluation import evaluate_many
from routereval.results import ResultStore, RunResult
from routereval.results.records import record_of
from routereval.runner.plan import Task

OnResult = Callable[[RunResult], None]


def execute(tasks: Sequence[Task], store: ResultStore, *, jobs: int = 1, on_result: OnResult | None = None) -> None:
    """Do every run that is not stored yet; only this process writes.

    Parameters
    ----------
    jobs : how many processes work; 1 works in this one.
    on_result : called after a run is stored, failed ones included.

    Raises
    ------
    RouterEvalError : a worker process died.
    ResultsError : a result cannot be stored.
    """
    report = on_result or (lambda result: None)
    keep_records(tasks, store)
    left = [task for task in (task.without(store.done()) for task in tasks) if task is not None]
    if jobs <= 1 or len(left) <= 1:
        for task in left:
            _do_here(task, store, report)
        return
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(min(jobs, len(left)), mp_context=context, initializer=_start_worker)
    try:
        _do_there(left, store, pool, jobs, report)
    except BaseException:
        # Not waiting: what runs now is done again next time, what ended is stored.
        for process in list((pool._processes or {}).values()):
            process.terminate()
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    pool.shutdown()


def keep_records(tasks: Sequence[Task], store: ResultStore) -> None:
    """Store what the scenarios of these tasks are tested on, where the file does not have it yet."""
    have = store.recorded()
    for task in tasks:
        for (strategy, m), spec in zip(task.pools, task.specs, strict=True):
            key = (spec.scenario, spec.data_hash)
            if key not in have:
                have.add(key)
                with suppress(RouterEvalError):
                    # What cannot be made fails as a run, with its reason.
                    store.put_record(record_of(_encoded(task.data, task.encoder).scenario(strategy, m)))


def useful_jobs(tasks: Sequence[Task]) -> int:
    """How many processes are worth starting, which takes a second or two: one, unless many fits cannot be shared."""
    per_scenario = sum(len(task.pools) == 1 for task in tasks)
    return (os.cpu_count() or 1) if per_scenario > 8 else 1


def perform(task: Task) -> list[RunResult]:
    """The runs of one task, failed ones as results that say why."""
    data = _encoded(task.data, task.encoder)
    failed: list[RunResult] = []
    scenarios = []
    for (strategy, m), spec in zip(task.pools, task.specs, strict=True):
        try:
            scenarios.append((spec, data.scenario(strategy, m)))
        except RouterEvalError as error:
            failed.append(RunResult(spec, None, 0.0, error=_sentence(error)))
    done = []
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
    return done + failed


@lru_cache(maxsize=4)
def _encoded(data: BenchmarkData, encoder: str) -> BenchmarkData:
    return embedded(data, encoder)


def _do_here(task: Task, store: ResultStore, report: OnResult) -> None:
    remaining = task.without(store.done())
    for result in perform(remaining) if remaining else []:
        store.put(result)
        report(result)


def _do_there(tasks: Sequence[Task], store: ResultStore, pool: Executor, jobs: int, report: OnResult) -> None:
    waiting = list(reversed(tasks))
    running: set[Future[list[RunResult]]] = set()
    try:
        while waiting or running:
            while waiting and len(running) < 2 * jobs:
                remaining = waiting.pop().without(store.done())
                if remaining is not None:
                    with _interrupts_held():
                        running.add(pool.submit(perform, remaining))
            ended, running = wait(running, return_when=FIRST_COMPLETED)
            for future in ended:
                for result in future.result():
                    store.put(result)
                    report(result)
    except BrokenProcessPool as error:
        raise RouterEvalError(
            "a worker process died (out of memory, or a router took it down); what had ended is stored, "
            "and the same command with --jobs 1 shows which run it is"
        ) from error


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Ctrl-C waits until the end of this; processes started meanwhile never see it.

    The driver answers Ctrl-C; a worker that did too would only print a traceback, even while it is still starting.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        from threadpoolctl import threadpool_limits
    except ImportError:
        return
    threadpool_limits(limits=1)  # type: ignore[no-untyped-call]


def _sentence(error: RouterEvalError) -> str:
    return f"{type(error).__name__}: {error}"

"""Doing what was planned: here, in worker processes or on a cluster, each run stored as it ends."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import Executor
from contextlib import suppress

from routereval.data import remote
from routereval.errors import ParameterError, RouterEvalError
from routereval.progress import Activity, OnEvent
from routereval.results import ResultStore
from routereval.results.records import record_of
from routereval.runner.crews import Crew, ExecutorCrew, LocalCrew
from routereval.runner.driver import Driver
from routereval.runner.interrupts import Interrupts
from routereval.runner.ledger import Ledger, OnResult
from routereval.runner.limits import Limits
from routereval.runner.perform import encoded, perform
from routereval.runner.plan import Task
from routereval.runner.sending import forget
from routereval.runner.splitting import label
from routereval.runner.threads import bounded, cores


def execute(
    tasks: Sequence[Task],
    store: ResultStore,
    *,
    jobs: int = 1,
    executor: Executor | Crew | None = None,
    limits: Limits | None = None,
    threads: int = 1,
    on_result: OnResult | None = None,
    on_event: OnEvent | None = None,
) -> None:
    """Do every run that is not stored yet; only this process writes.

    The results do not depend on who does what in which order. A run whose worker died is tried again, three times at
    most; then it is stored as failed, with the reason.

    Parameters
    ----------
    jobs : how many processes work; 1 works in this one, unless there are limits.
    executor : who works instead: any ``concurrent.futures.Executor``, that of a Dask client too. It stays open.
    limits : what a run may take; for processes of ours, here or on a Dask cluster.
    threads : how many each run computes with. With more than one the last bits of a result may be others.
    on_result : called after a run is stored, failed ones included.
    on_event : called when something happens, for a display.

    Raises
    ------
    KeyboardInterrupt : at Ctrl-C; after the first one what runs is brought to its end.
    ClusterError : the cluster is gone; what had ended is stored.
    RouterEvalError : an executor of another kind broke.
    ResultsError : a result cannot be stored.
    """
    keep_records(tasks, store)
    done = store.done()
    left = [task for task in (task.without(done) for task in tasks) if task is not None]
    if not left:
        return
    if executor is not None:
        _publish(left)
    forget()
    ledger = Ledger(store, sum(len(task.specs) for task in left), on_result, on_event)
    crew = _crew(executor, jobs, limits or Limits(), threads, left)
    ledger.tell("begin", runs=sum(len(task.specs) for task in left), workers=1 if crew is None else crew.workers)
    with Interrupts(lambda: ledger.tell("stopping")) as interrupts:
        if crew is None:
            with bounded(threads):
                _do_here(left, ledger, interrupts, threads)
        else:
            Driver(crew, ledger).drive(left, interrupts)
    ledger.tell_counts("end")


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
                    store.put_record(record_of(encoded(task.data, task.encoder).scenario(strategy, m)))


def useful_jobs(tasks: Sequence[Task]) -> int:
    """How many processes are worth starting, which takes a second or two: one, unless many fits cannot be shared."""
    per_scenario = sum(len(task.pools) == 1 for task in tasks)
    return cores() if per_scenario > 8 else 1


def _crew(
    executor: Executor | Crew | None, jobs: int, limits: Limits, threads: int, tasks: Sequence[Task]
) -> Crew | None:
    """Who works; None where this process does."""
    if executor is None:
        runs = sum(len(task.specs) for task in tasks)
        if (jobs <= 1 or runs <= 1) and not limits:
            return None
        return LocalCrew(max(1, min(jobs, runs)), limits, threads)
    if not isinstance(executor, Executor):
        return executor
    if type(executor).__module__.partition(".")[0] == "distributed":
        from routereval.runner.dask_cluster import crew_of_executor

        return crew_of_executor(executor, limits, threads)
    if limits:
        raise ParameterError("limits are for jobs= and for Dask; an executor of another kind cannot end a run")
    return ExecutorCrew(executor, threads)


def _publish(tasks: Sequence[Task]) -> None:
    """Put the data where workers elsewhere can fetch them, if such a place was named."""
    where = remote.url()
    folders = {task.data.data_hash: task.data.store_dir for task in tasks if task.data.store_dir is not None}
    for data_hash, folder in folders.items() if where else ():
        remote.publish(folder, data_hash, where)


def _do_here(tasks: Sequence[Task], ledger: Ledger, interrupts: Interrupts, threads: int) -> None:
    before = ""
    try:
        for planned in tasks:
            if interrupts.asked:
                break
            if planned.specs[0].router != before:
                # It may take long: what is held is stored first.
                ledger.store()
                before = planned.specs[0].router
            task = ledger.left_of(planned)
            if task is not None:
                began = time.monotonic()
                ledger.tell("working", activities=[Activity("here", label(task), 0.0)])
                ledger.add(perform(task, threads))
                if time.monotonic() - began > 1:
                    ledger.store()
    finally:
        ledger.store()
    if interrupts.asked:
        raise KeyboardInterrupt

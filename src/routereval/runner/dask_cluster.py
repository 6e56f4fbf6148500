"""Connecting to a Dask cluster, or starting one on this machine: that it answers, has workers, and fits this driver."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from routereval.errors import ClusterError, MissingDataError
from routereval.runner.dask_crew import CANNOT_READ, DaskCrew
from routereval.runner.dask_worker import difference, facts
from routereval.runner.limits import Limits
from routereval.runner.threads import cores

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from distributed import Client

LOCAL = "local"
"""Instead of an address: a cluster of this machine's processors, for as long as it is needed."""
CONNECT_SECONDS = 30.0
WORKERS_SECONDS = 600.0
"""How long the first worker may take to come: it may be a job in a queue."""
_LOG = logging.getLogger(__name__)


@contextmanager
def dask_crew(
    address: str, *, workers: int | None = None, limits: Limits | None = None, threads: int = 1
) -> Iterator[DaskCrew]:
    """The cluster at this address (or ``local``) for as long as the context lasts.

    Parameters
    ----------
    workers : how many there will be; they need not all be there yet. None: those there are, or one for each core here.

    Raises
    ------
    MissingDataError : Dask is not installed.
    ClusterError : nobody answers there, no worker comes, or versions differ.
    """
    try:
        import dask
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise MissingDataError("--dask needs the extra dask: pip install 'routereval[dask]'") from error
    # How often a run is tried again whose worker died is the driver's to decide, where the scheduler is ours.
    ours: dict[str, Any] = {"distributed.scheduler.allowed-failures": 0} if address == LOCAL else {}
    with dask.config.set({"distributed.comm.timeouts.connect": CONNECT_SECONDS, **ours}), _quiet():
        if address == LOCAL:
            with _deaf():
                cluster = LocalCluster(
                    n_workers=workers or cores(), threads_per_worker=1, dashboard_address=":0", silence_logs=50
                )
            with cluster, Client(cluster) as client:
                yield crew_of(client, limits, threads)
            return
        try:
            client = Client(address, timeout=CONNECT_SECONDS)
        except (OSError, TimeoutError, ValueError) as error:
            raise ClusterError(
                f"no Dask scheduler answers at {address} ({type(error).__name__}: {error}); start one with: dask "
                "scheduler, and workers with: dask worker ADDRESS"
            ) from error
        try:
            yield crew_of(client, limits, threads, workers=workers)
        finally:
            with suppress(Exception):
                client.close(timeout=2)


def crew_of(client: Client, limits: Limits | None = None, threads: int = 1, *, workers: int | None = None) -> DaskCrew:
    """The workers of the cluster that this client is connected to; it stays open.

    Parameters
    ----------
    workers : how many there will be, where more come as there is work for them; None: those there are.

    Raises
    ------
    ClusterError : no worker comes, or versions differ between here and there.
    """
    _wait_for_workers(client)
    _check_versions(client)
    return DaskCrew(client, limits, threads, workers=workers)


def crew_of_executor(executor: Executor, limits: Limits | None = None, threads: int = 1) -> DaskCrew:
    """The same for an executor that ``Client.get_executor`` gave."""
    return crew_of(executor._client, limits, threads)  # type: ignore[attr-defined]


@contextmanager
def _quiet() -> Iterator[None]:
    """Within, Dask prints no tracebacks of its own: what goes wrong is an error of ours, in a sentence."""
    # Dask gives several of its loggers a level and a handler each.
    loggers = [logging.getLogger(name) for name in [*logging.root.manager.loggerDict] if name.startswith("distributed")]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)


@contextmanager
def _deaf() -> Iterator[None]:
    """Processes started within do not hear Ctrl-C, which is the driver's to answer."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _wait_for_workers(client: Client) -> None:
    if not client.scheduler_info()["workers"]:
        _LOG.warning("waiting for a worker of the Dask cluster, for %.0f seconds at most", WORKERS_SECONDS)
    try:
        client.wait_for_workers(1, timeout=WORKERS_SECONDS)
    except TimeoutError as error:
        raise ClusterError(
            f"the Dask cluster {client!r} has no worker after {WORKERS_SECONDS:.0f} seconds; "
            "start some with: dask worker ADDRESS"
        ) from error


def _check_versions(client: Client) -> None:
    expected = facts()
    try:
        there = client.run(facts)
    except Exception as error:
        raise ClusterError(CANNOT_READ.format(error=f"{type(error).__name__}: {error}")) from error
    differing = {address: found for address, found in there.items() if found != expected}
    if differing:
        raise ClusterError(difference(differing, expected))

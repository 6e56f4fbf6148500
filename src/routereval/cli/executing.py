"""How runs are done: options of ``run`` that say where and within which limits, and doing it with something to see."""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from routereval.cli.shared import tell

if TYPE_CHECKING:
    from routereval.results import ResultStore
    from routereval.runner.crews import Crew
    from routereval.runner.limits import Limits
    from routereval.runner.plan import Task

JobsOption = Annotated[
    int | None,
    typer.Option(
        "--jobs", "-j", min=1, help="Worker processes; with --dask ADDRESS: how many will come. [default: as useful]"
    ),
]
DaskOption = Annotated[
    str | None,
    typer.Option(
        "--dask", metavar="ADDRESS", help="Work on a Dask cluster: its scheduler's address, or local for one of --jobs."
    ),
]
TimeoutOption = Annotated[
    float | None,
    typer.Option(metavar="SECONDS", help="End a run that takes longer; a fit for k runs may take k times that."),
]
MemoryOption = Annotated[
    str | None, typer.Option("--memory-limit", metavar="SIZE", help="End a run that takes more memory: 500MB, 4GB.")
]
ThreadsOption = Annotated[
    int, typer.Option(min=1, help="Threads a run computes with; with more than 1 its last bits may be others.")
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Show nothing while it runs.")]
EventsOption = Annotated[
    str | None,
    typer.Option("--events", metavar="FILE", help="Append what happens as JSON lines; - is standard error."),
]


@dataclass(frozen=True)
class How:
    """What the options say."""

    jobs: int | None = None
    dask: str | None = None
    timeout: float | None = None
    memory: str | None = None
    threads: int = 1
    quiet: bool = False
    events: str | None = None

    @property
    def limits(self) -> Limits:
        """What a run may take."""
        from routereval.runner.limits import Limits, bytes_of

        return Limits(self.timeout, None if self.memory is None else bytes_of(self.memory))


def execute_shown(tasks: Sequence[Task], store: ResultStore, how: How, keys: set[str], new: int) -> None:
    """Do what is not stored of these runs, and show how it goes.

    Raises
    ------
    typer.Exit : 130 after Ctrl-C, 1 where the cluster is gone; both say how much is stored.
    """
    from routereval.errors import ClusterError
    from routereval.report.dashboard import dashboard
    from routereval.runner.execute import execute, keep_records, useful_jobs

    if new == 0:
        # A file from before there were any gets what reports need.
        keep_records(tasks, store)
        return

    def stored() -> str:
        """How many of the runs are stored by now, as a sentence."""
        return f"{len(keys & store.done())} of {len(keys)} runs are stored in {store.path}"

    limits = how.limits
    try:
        with (
            # What a router prints is not the table.
            _printing_to_stderr(),
            _crew(how, limits) as crew,
            dashboard("running", new, quiet=how.quiet, events=how.events) as on_event,
        ):
            jobs = how.jobs or useful_jobs(tasks)
            execute(tasks, store, jobs=jobs, executor=crew, limits=limits, threads=how.threads, on_event=on_event)
    except KeyboardInterrupt:
        tell(f"interrupted; {stored()}, the same command carries on")
        raise typer.Exit(130) from None
    except ClusterError as error:
        tell(f"routereval: {error}")
        tell(stored())
        raise typer.Exit(1) from None


@contextmanager
def _crew(how: How, limits: Limits) -> Iterator[Crew | None]:
    if how.dask is None:
        yield None
        return
    from routereval.runner.dask_cluster import dask_crew

    with dask_crew(how.dask, workers=how.jobs, limits=limits, threads=how.threads) as crew:
        yield crew


@contextmanager
def _printing_to_stderr() -> Iterator[None]:
    """Within, standard output is standard error, for C code and child processes too."""
    with contextlib.ExitStack() as stack:
        _flush()
        with contextlib.suppress(OSError):  # where one of them is closed there is nothing to keep apart
            kept = os.dup(1)
            stack.callback(os.close, kept)
            os.dup2(2, 1)
            stack.callback(os.dup2, kept, 1)
        stack.callback(_flush)
        with contextlib.redirect_stdout(sys.stderr):
            yield


def _flush() -> None:
    """Write out what Python and the C library hold for standard output."""
    for stream in (sys.stdout, sys.__stdout__):
        # One may be closed, or not there at all.
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()  # type: ignore[union-attr]
    # Where the C library cannot be had in this way, as on Windows, it has to do without.
    with contextlib.suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).fflush(None)

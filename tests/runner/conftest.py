"""A folder with routers that misbehave, and the command line run in it."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

# Everything but how long it took: an interrupted and an undisturbed run must agree in it.
COMPARED = (
    "key, scenario, router, params, encoder, protocol, seed, data_hash, error, metrics, intervals, notes, versions, "
    "prompts, models, columns, per_prompt, counted, share, choices"
)
MAIN = "import sys; from routereval.cli import main; sys.argv[0] = 'routereval'; main()"

ROUTERS = """
from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import routereval as rv

HERE = Path(os.environ.get("FAULTY_FOLDER") or Path(__file__).parent)


def note(line):
    with (HERE / "log").open("a") as log:
        log.write(line + "\\n")


@dataclass
class Base:
    columnwise: ClassVar[bool] = False
    seconds: float = 0.0

    def fit(self, train, val=None):
        note(f"fit {type(self).__name__} {os.getpid()} {os.getppid()}")
        self.means = train.scores.model_means
        self.act()
        return self

    def act(self):
        time.sleep(self.seconds)

    def predict(self, queries):
        return rv.Prediction(np.tile(self.means, (len(queries), 1)))


class Fine(Base):
    pass


class Exits(Base):
    def act(self):
        os._exit(7)


class DiesOnce(Base):
    def act(self):
        if not (HERE / "died").exists():
            (HERE / "died").touch()
            os.kill(os.getpid(), signal.SIGKILL)


class Hangs(Base):
    def act(self):
        time.sleep(600)


class Leaks(Base):
    def act(self):
        kept = []
        while True:
            kept.append(np.ones(2_000_000))
            time.sleep(0.005)


class Prints(Base):
    def act(self):
        for _ in range(40):
            print("x" * 100_000)
            os.write(2, b"y" * 100_000)
            os.write(1, b"z" * 1000)
        ctypes.CDLL(None).puts(b"from C")
        sys.__stdout__.write("past redirection")


class Forks(Base):
    def act(self):
        if os.fork() == 0:
            note(f"forked {os.getpid()}")
            if self.seconds:
                time.sleep(600)


class Daemons(Base):
    def act(self):
        # In a session of its own, its parent gone: nobody's child.
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                note(f"forked {os.getpid()}")
                time.sleep(600)
            os._exit(0)
        while not (HERE / "log").read_text().count("forked"):
            time.sleep(0.01)
        if self.seconds:
            time.sleep(600)


class Together(Base):
    columnwise: ClassVar[bool] = True

    def predict_slices(self, queries, slices):
        for index in slices:
            yield rv.Prediction(np.tile(self.means[index], (len(queries), 1)))

    def act(self):
        if len(self.means) == 100:
            os._exit(7)
"""


@dataclass
class Site:
    """A folder to run in."""

    folder: Path
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def command(self, *words: object) -> list[str]:
        return [sys.executable, "-c", MAIN, *map(str, words)]

    def run(self, *words: object, **environment: str) -> subprocess.CompletedProcess[str]:
        """``routereval`` with these words."""
        return subprocess.run(
            self.command(*words),
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=300,
            env=os.environ | environment,
        )

    def start(self, *words: object, **environment: str) -> subprocess.Popen[str]:
        """The same, not waiting for its end."""
        process = subprocess.Popen(
            self.command(*words),
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env=os.environ | environment,
        )
        self.started.append(process)
        return process

    def log(self, word: str = "") -> list[list[str]]:
        """What routers noted, the lines that begin so."""
        path = self.folder / "log"
        lines = path.read_text().splitlines() if path.exists() else []
        return [line.split() for line in lines if line.startswith(word)]

    def contents(self, name: str = "r.sqlite") -> list[tuple[object, ...]]:
        """All of a results file that does not depend on the clock."""
        with closing(sqlite3.connect(self.folder / name)) as connection:
            return connection.execute(f"SELECT {COMPARED} FROM runs ORDER BY key").fetchall()

    def errors(self, name: str = "r.sqlite") -> dict[tuple[str, str], str | None]:
        """Why each run failed, by router and scenario; None where it did not."""
        return {(str(row[2]), str(row[1])): row[8] for row in self.contents(name)}  # type: ignore[misc]

    def stored(self, name: str = "r.sqlite") -> int:
        """How many runs a file holds that another process is writing."""
        try:
            with closing(sqlite3.connect(f"{(self.folder / name).as_uri()}?mode=ro", uri=True)) as connection:
                return int(connection.execute("SELECT count(*) FROM runs").fetchone()[0])
        except sqlite3.OperationalError:
            return 0

    def dates(self, name: str = "r.sqlite") -> list[str]:
        """When runs ended, as a file says."""
        with closing(sqlite3.connect(self.folder / name)) as connection:
            return [row[0] for row in connection.execute("SELECT ended FROM runs")]

    def events(self, name: str = "events.jsonl") -> list[dict[str, object]]:
        """What a file of events holds."""
        return [json.loads(line) for line in (self.folder / name).read_text().splitlines()]


def eventually(condition: Callable[[], object], seconds: float = 90.0) -> None:
    """Wait until it holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.02)


def is_running(pid: int) -> bool:
    """Whether there is such a process that is not only waiting to be buried."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture
def site(tmp_path: Path):
    """A folder with a module ``faulty`` of routers that misbehave; what was started in it is ended."""
    (tmp_path / "faulty.py").write_text(textwrap.dedent(ROUTERS))
    found = Site(tmp_path)
    yield found
    for process in found.started:
        process.kill()
        process.communicate()


@pytest.fixture
def dask_here(monkeypatch: pytest.MonkeyPatch):
    """A client of two Dask workers that are threads of this process; what they do is done in processes beside it."""
    distributed = pytest.importorskip("distributed", reason="no Dask; pip install 'routereval[dask]'")
    from routereval.runner import dask_worker

    guards = dask_worker.Guards()
    monkeypatch.setattr(dask_worker, "_GUARDS", guards)
    how = {"n_workers": 2, "threads_per_worker": 1, "processes": False, "dashboard_address": ":0"}
    with distributed.LocalCluster(**how, silence_logs=50) as cluster, distributed.Client(cluster) as client:
        yield client
    for _, _, process in guards._idle:
        process.end()


@pytest.fixture(name="eventually")
def _eventually() -> Callable[..., None]:
    return eventually


@pytest.fixture(name="is_running")
def _is_running() -> Callable[[int], bool]:
    return is_running

"""Running: resume, failures, several processes, interruption."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import textwrap
from contextlib import closing
from pathlib import Path

import pytest

import routereval as rv

# Everything but how long it took: an interrupted and an undisturbed run must agree in it.
COMPARED = (
    "key, scenario, router, params, encoder, protocol, seed, data_hash, error, metrics, intervals, notes, versions, "
    "prompts, models, columns, per_prompt, counted, share, choices"
)


def contents(path: Path) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(path)
    rows = connection.execute(f"SELECT {COMPARED} FROM runs ORDER BY key").fetchall()
    connection.close()
    return rows


def stored(path: Path) -> int:
    """How many runs a file holds that another process is writing."""
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
            return int(connection.execute("SELECT count(*) FROM runs").fetchone()[0])
    except sqlite3.OperationalError:
        return 0


@pytest.fixture
def slow_router(tmp_path: Path) -> Path:
    """A folder with a module whose router takes its time and fails where a file says so."""
    (tmp_path / "slow_router.py").write_text(
        textwrap.dedent("""
        import time
        from dataclasses import dataclass
        from pathlib import Path
        from typing import ClassVar

        import numpy as np
        import routereval as rv

        @dataclass
        class Slow:
            columnwise: ClassVar[bool] = False
            seconds: float = 0.0

            def fit(self, train, val=None):
                with (Path(__file__).parent / "fits.log").open("a") as log:
                    log.write("fit\\n")
                time.sleep(self.seconds)
                self.means = train.scores.model_means
                if (Path(__file__).parent / "broken").exists():
                    raise RuntimeError("out of order")
                return self

            def predict(self, queries):
                return rv.Prediction(np.tile(self.means, (len(queries), 1)))

        """)
    )
    return tmp_path


def command(*words: str) -> list[str]:
    return [
        sys.executable,
        "-c",
        "import sys; from routereval.cli import main; sys.argv[0] = 'routereval'; main()",
        *words,
    ]


def routereval(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*words), cwd=cwd, capture_output=True, text=True, timeout=120)


def fits(folder: Path) -> int:
    log = folder / "fits.log"
    return len(log.read_text().splitlines()) if log.exists() else 0


def test_resume_runs_only_what_is_missing(slow_router: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(slow_router))
    results = slow_router / "r.sqlite"
    first = rv.run(["demo_math/all_strong/3"], ["slow_router:Slow"], results=results)
    assert fits(slow_router) == 1
    both = rv.run(["demo_math/all_strong/*"], ["slow_router:Slow"], results=results)
    assert fits(slow_router) == 4
    assert len(both) == 4
    assert first[0].spec in [run.spec for run in both]
    rv.run(["demo_math/all_strong/*"], ["slow_router:Slow"], results=results)
    assert fits(slow_router) == 4


def test_a_failed_run_is_stored_with_its_error_and_retried(slow_router: Path) -> None:
    (slow_router / "broken").touch()
    words = ("run", "demo_math/*/3", "-r", "slow_router:Slow", "-r", "best_single", "--results", "r.sqlite")
    one = routereval(*words, cwd=slow_router)
    assert one.returncode == 1
    assert "3 of 3 failed" in one.stdout
    assert "Slow raised RuntimeError: out of order" in one.stdout
    (slow_router / "broken").unlink()
    two = routereval(*words, cwd=slow_router)
    assert two.returncode == 0
    assert "6 runs: 3 new, 3 stored" in two.stderr
    assert "failed" not in two.stdout


def test_an_average_is_not_printed_over_a_group_with_a_failed_member(slow_router: Path) -> None:
    (slow_router / "broken").touch()
    routereval("run", "demo_math/all_weak/3", "-r", "slow_router:Slow", "--results", "r.sqlite", cwd=slow_router)
    (slow_router / "broken").unlink()
    # Two good runs beside the failed one: no mean over the two may appear.
    for strategy in ("all_strong", "strong_to_weak"):
        routereval("run", f"demo_math/{strategy}/3", "-r", "slow_router:Slow", "--results", "r.sqlite", cwd=slow_router)
    shown = routereval("results", "r.sqlite", cwd=slow_router)
    assert shown.returncode == 1
    (line,) = [line for line in shown.stdout.splitlines() if line.lstrip("3 ").startswith("slow_router:Slow")]
    assert "1 of 3 failed" in line
    assert "[" not in line


def test_a_run_killed_at_any_point_carries_on_to_the_same_database(slow_router: Path) -> None:
    words = ("run", "demo_math/*/*", "-r", "slow_router:Slow:seconds=0.1", "-r", "knn", "-r", "oracle", "--jobs", "1")
    assert routereval(*words, "--results", "whole.sqlite", cwd=slow_router).returncode == 0
    killed = slow_router / "killed.sqlite"
    for enough in (0, 3, 14, 20):
        process = subprocess.Popen(command(*words, "--results", str(killed)), cwd=slow_router)
        while stored(killed) < enough:
            assert process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert stored(killed) < 36
    assert routereval(*words, "--results", str(killed), cwd=slow_router).returncode == 0
    assert contents(killed) == contents(slow_router / "whole.sqlite")


def test_worker_processes_give_the_same_results_as_this_one(slow_router: Path) -> None:
    words = ("run", "demo_code/*/3", "demo_chat/*/5", "-r", "knn", "-r", "kmeans", "-r", "slow_router:Slow")
    for jobs in ("1", "2"):
        done = routereval(*words, "--jobs", jobs, "--results", f"{jobs}.sqlite", cwd=slow_router)
        assert done.returncode == 0, done.stderr
    assert contents(slow_router / "1.sqlite") == contents(slow_router / "2.sqlite")


def test_two_processes_may_run_on_the_same_results_file(slow_router: Path) -> None:
    words = ("run", "demo_math/*/*", "-r", "slow_router:Slow:seconds=0.05", "-r", "oracle", "--results", "r.sqlite")
    both = [
        subprocess.Popen(command(*words), cwd=slow_router, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(2)
    ]
    assert [process.communicate()[1] and process.returncode for process in both] == [0, 0]
    assert len(contents(slow_router / "r.sqlite")) == 24

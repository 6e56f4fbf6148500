"""Lines of progress where there is no terminal."""

from __future__ import annotations

from queue import SimpleQueue
from types import SimpleNamespace

import pytest

from routereval.progress import Activity, Event
from routereval.report import lines as module
from routereval.report.dashboard import dashboard
from routereval.report.lines import Lines, rate


def run_event(done: int, *, failed: int = 0, total: int = 4) -> Event:
    return Event("run", {"done": done, "failed": failed, "total": total})


def working(*activities: tuple[str, str, float]) -> Event:
    return Event("working", {"activities": [Activity(*one) for one in activities]})


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A clock that stands still unless it is set."""
    found = SimpleNamespace(now=0.0)
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: found.now))
    return found


def test_there_is_a_line_when_a_run_ends_and_the_last_one_is_ten_seconds_old(clock: SimpleNamespace) -> None:
    said: list[str] = []
    lines = Lines("running", 4, said.append)
    for done, clock.now in ((1, 5.0), (2, 20.0), (3, 21.0), (4, 40.0)):
        lines(run_event(done, failed=1))
    lines(Event("retry", {"what": "knn on a/all/3", "attempt": 2, "why": "it died"}))
    lines(Event("stopping", {}))
    assert said == [
        "running: 2 of 4, 1 failed, 6.0 runs a minute, 20 s elapsed, about 20 s left",
        "running: again: knn on a/all/3: it died",
        "stopping: what runs is brought to its end; Ctrl-C again stops now",
    ]


def test_while_no_run_ends_a_line_every_ten_seconds_says_what_runs_where_and_for_how_long(
    clock: SimpleNamespace,
) -> None:
    said: list[str] = []
    lines = Lines("running", 4, said.append)
    # As the driver tells it: twice a second.
    for half_seconds in range(51):
        clock.now = half_seconds / 2
        lines(working(("0 (pid 7)", "mlp on a, 2 pools", clock.now), ("1 (pid 8)", "knn on b", clock.now % 2)))
    assert said == [
        "running: 0 of 4, 0 failed, 0.0 runs a second, 10 s elapsed; "
        "0 (pid 7): mlp on a, 2 pools for 10 s; 1 (pid 8): knn on b for 0 s",
        "running: 0 of 4, 0 failed, 0.0 runs a second, 20 s elapsed; "
        "0 (pid 7): mlp on a, 2 pools for 20 s; 1 (pid 8): knn on b for 0 s",
    ]


def test_a_run_of_this_process_which_tells_only_that_it_begins_is_said_to_last(clock: SimpleNamespace) -> None:
    said: list[str] = []
    lines = Lines("running", 4, said.append)
    clock.now = 4.0
    lines(run_event(1))
    lines(working(("here", "mlp on a", 0.0)))
    for clock.now in (9.0, 16.0, 20.0):
        lines.look()
    assert said == [
        "running: 1 of 4, 0 failed, 3.8 runs a minute, 16 s elapsed, about 48 s left; here: mlp on a for 12 s"
    ]


def test_a_line_names_those_of_a_large_cluster_that_are_at_it_longest(clock: SimpleNamespace) -> None:
    said: list[str] = []
    lines = Lines("running", 4, said.append)
    clock.now = 10.0
    lines(working(("executor", "knn", float("nan")), *((f"tcp://{i}", "knn", float(i)) for i in range(512))))
    longest = "; ".join(f"tcp://{i}: knn for {i} s" for i in (511, 510, 509, 508))
    assert said == [f"running: 0 of 4, 0 failed, 0.0 runs a second, 10 s elapsed; {longest}; and 509 more"]
    clock.now = 20.0
    lines(working(("executor", "knn", float("nan"))))
    assert said[1].endswith("20 s elapsed; executor: knn")


@pytest.mark.usefixtures("capsys")
def test_lines_come_in_time_though_nobody_says_anything(
    clock: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: SimpleQueue[str] = SimpleQueue()
    monkeypatch.setattr(module, "_to_stderr", said.put)
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.01)
    with dashboard("running", 4) as tell:
        tell(working(("here", "mlp on a", 0.0)))
        clock.now = 30.0
        line = said.get(timeout=20)
    assert line == "running: 0 of 4, 0 failed, 0.0 runs a second, 30 s elapsed; here: mlp on a for 30 s"
    assert said.empty()


@pytest.mark.parametrize(
    ("done", "seconds", "said"),
    [(0, 0.0, "0.0 runs a second"), (300, 100.0, "3.0 runs a second"), (3, 60.0, "3.0 runs a minute")],
)
def test_a_slow_rate_is_said_by_the_minute(done: int, seconds: float, said: str) -> None:
    assert rate(done, 0, seconds) == f"0 failed, {said}"

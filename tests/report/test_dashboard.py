"""What is shown of a suite while it runs."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from routereval.errors import ParameterError
from routereval.progress import Activity, Event
from routereval.report.dashboard import Board, dashboard


def run_event(done: int, *, failed: int = 0, total: int = 4, error: str | None = None) -> Event:
    about = {"key": f"{done:x}", "scenario": "a/all/3", "router": "knn", "seed": 0, "seconds": 0.5, "error": error}
    return Event("run", {**about, "done": done, "failed": failed, "total": total})


def test_a_board_shows_what_runs_where_what_is_done_and_the_last_failure() -> None:
    screen = Console(file=io.StringIO(), width=100, force_terminal=False)
    board = Board("running", 4, console=screen)
    board.listen(Event("working", {"activities": [Activity("0 (pid 7)", "knn on [red]/x", 61.0)]}))
    board.listen(run_event(1))
    board.listen(run_event(2, failed=1, error="RouterError: no"))
    for part in board.get_renderables():
        screen.print(part)
    shown = screen.file.getvalue()  # type: ignore[attr-defined]
    assert "running" in shown
    assert "2/4" in shown
    assert "1 failed" in shown
    assert "failed: knn on a/all/3: RouterError: no" in shown
    assert "0 (pid 7)" in shown
    assert "knn on [red]/x" in shown
    assert re.search(r"6[1-9] s", shown)


def test_a_board_of_a_large_cluster_does_not_fill_the_terminal() -> None:
    screen = Console(file=io.StringIO(), width=100)
    board = Board("running", 4, console=screen)
    nowhere = float("nan")
    board.listen(Event("working", {"activities": [Activity(f"tcp://{i}", "knn", nowhere) for i in range(512)]}))
    for part in board.get_renderables():
        screen.print(part)
    lines = screen.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert len(lines) < 25
    assert any("and 496 more" in line for line in lines)


def test_a_board_says_what_is_left_however_far_apart_runs_end() -> None:
    now = [0.0]
    screen = Console(file=io.StringIO(), width=100)
    board = Board("running", 4, console=screen, get_time=lambda: now[0])

    def left() -> str:
        screen.file = io.StringIO()
        screen.print(board.make_tasks_table(board.tasks))
        return screen.file.getvalue().split("left")[1].strip()

    assert left() == "-:--:--"
    now[0] = 1000.0
    board.listen(run_event(1))
    assert left() == "0:50:00"  # 3 more of 1000 s
    now[0] = 1600.0
    assert left() == "0:40:00"
    now[0] = 5000.0
    assert left() == "0:00:00"
    board.listen(run_event(2))
    assert left() == "1:23:20"  # 2 more of 2500 s
    board.listen(run_event(4))
    assert left() == "0:00:00"


def test_events_are_json_lines_appended_to_a_file(tmp_path: Path, capsys: Any) -> None:
    path = tmp_path / "events.jsonl"
    for _ in range(2):
        with dashboard("running", 4, quiet=True, events=str(path)) as tell:
            tell(Event("begin", {"runs": 4, "workers": 2}))
            tell(Event("working", {"activities": [Activity("here", "knn", 0.0)]}))
            tell(run_event(1))
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["event"] for line in lines] == ["begin", "run"] * 2
    assert {"time", "key", "scenario", "router", "seed", "seconds", "error", "done", "failed", "total"} <= set(lines[1])
    assert capsys.readouterr() == ("", "")


def test_events_after_half_a_line_begin_a_line_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text('{"event": "begin"}\n{"eve')
    with dashboard("running", 4, quiet=True, events=str(path)) as tell:
        tell(run_event(1))
    assert [json.loads(line)["event"] for line in path.read_text().splitlines() if line != '{"eve'] == ["begin", "run"]


@pytest.mark.parametrize("path", ["/dev/full", "no/such/folder/events.jsonl"])
def test_events_that_cannot_be_written_are_said_with_the_file(path: str) -> None:
    why = "No space left on device" if path == "/dev/full" else "No such file or directory"
    if path == "/dev/full" and not Path(path).exists():
        pytest.skip("no /dev/full here")
    with (
        pytest.raises(ParameterError, match=f"cannot write events to {path}: {why}; free some space, name"),
        dashboard("running", 4, quiet=True, events=path) as tell,
    ):
        tell(run_event(1))


def test_events_on_standard_error_come_alone(capsys: Any) -> None:
    with dashboard("running", 4, events="-") as tell:
        tell(run_event(1))
        tell(Event("stopping", {}))
    out, said = capsys.readouterr()
    assert out == ""
    assert [json.loads(line)["event"] for line in said.splitlines()] == ["run", "stopping"]

"""Bars on a terminal, lines elsewhere."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from routereval.report import terminal


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """A terminal that keeps what is drawn on it."""
    drawn = io.StringIO()

    def console(*, stderr: bool = False) -> Console:
        return Console(file=drawn, force_terminal=True, width=100)

    monkeypatch.setattr(terminal, "console", console)
    return drawn


def test_a_bar_within_a_bar_is_a_second_line_of_it(screen: io.StringIO) -> None:
    with terminal.progress("building", 2) as outer:
        (bar,) = terminal._shown
        with terminal.progress("embedding", 5) as inner:
            inner()
            assert [(task.description, task.completed) for task in bar.tasks] == [("building", 0), ("embedding", 1)]
        outer()
        assert [(task.description, task.completed) for task in bar.tasks] == [("building", 1)]
    assert terminal._shown == []
    assert "building" in screen.getvalue()


def test_a_bar_is_taken_down_when_the_work_fails(screen: io.StringIO) -> None:
    with pytest.raises(ValueError, match="no"), terminal.progress("building", 2), terminal.progress("embedding", 5):
        raise ValueError("no")
    assert terminal._shown == []


def test_without_a_terminal_there_is_a_line_now_and_then(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    now = iter([0.0, 1.0, 11.0, 12.0])
    monkeypatch.setattr(terminal.time, "monotonic", lambda: next(now))
    with terminal.progress("running", 4) as advance:
        for _ in range(3):
            advance()
    assert capsys.readouterr().err == "running: 2 of 4, 11 s elapsed, about 11 s left\n"

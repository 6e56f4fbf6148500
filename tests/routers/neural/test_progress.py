from __future__ import annotations

import io
import sys
import time

import pytest

from routereval.report.terminal import progress as bar
from routereval.routers.neural import progress
from routereval.routers.neural.progress import Clock, Step, listening


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    # Not a fixture: pytest puts its own stderr back between a fixture and its test.
    monkeypatch.setattr(progress, "QUIET_SECONDS", 0.0)
    monkeypatch.setenv("TERM", "xterm")
    made = Terminal()
    monkeypatch.setattr(sys, "stderr", made)
    return made


def fit(steps: int = 4, pause: float = 0.0) -> None:
    clock = Clock("mlc", steps)
    for step in range(1, steps + 1):
        clock.step(step, lambda: 0.5)
        clock.score(0.25)
    time.sleep(pause)  # the bar draws itself ten times a second
    clock.end()


def test_a_long_fit_draws_a_bar_with_loss_score_and_estimate(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_a_terminal(monkeypatch)
    fit()
    shown = terminal.getvalue()
    assert "mlc: loss 0.5000, validation 0.2500" in shown
    assert "4/4" in shown
    assert "s left" in shown


def test_the_bar_of_the_runs_shows_the_fit_below_it(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_a_terminal(monkeypatch)
    with bar("running", 2) as advance:
        fit(pause=0.5)
        advance()
    assert "mlc: loss 0.5000" in terminal.getvalue()
    assert "running" in terminal.getvalue()


def test_a_short_fit_or_one_without_a_terminal_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_a_terminal(monkeypatch)
    monkeypatch.setattr(progress, "QUIET_SECONDS", 60.0)
    fit()
    assert terminal.getvalue() == ""
    monkeypatch.setattr(progress, "QUIET_SECONDS", 0.0)
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    fit()
    assert sys.stderr.getvalue() == ""  # type: ignore[attr-defined]


def test_the_loss_is_a_running_mean_and_the_estimate_counts_from_where_it_was_resumed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(progress, "QUIET_SECONDS", 0.0)
    now = iter([100.0, 110.0, 120.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(now))
    heard: list[Step | None] = []
    with listening(heard.append):
        clock = Clock("mlc", 10, begun=4, _start=progress.time.monotonic())
        clock.step(5, lambda: 1.0)
        clock.step(6, lambda: 2.0)
    first, second = heard
    assert first is not None
    assert second is not None
    assert (first.loss, first.seconds, first.left) == (1.0, 10.0, 50.0)
    assert second.loss == pytest.approx(0.95 * 1.0 + 0.05 * 2.0)
    assert (second.seconds, second.left) == (20.0, 40.0)

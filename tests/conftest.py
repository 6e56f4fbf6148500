from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data beside the checkout; tests that need it are skipped where it is absent."""
    folder = Path(os.environ.get("ROUTEREVAL_SHARED") or Path(__file__).resolve().parents[2] / "shared")
    if not (folder / "golden").is_dir():
        pytest.skip(f"no shared data in {folder}; set ROUTEREVAL_SHARED to run the tests on real scores")
    return folder


def pytest_configure(config: pytest.Config) -> None:
    # One store for the whole session, so that real data are converted once; set before anything is collected, so that
    # nothing touches the real one.
    home = Path(tempfile.mkdtemp(prefix="routereval-tests-"))
    os.environ |= {"ROUTEREVAL_HOME": str(home), "COLUMNS": "200"}
    config.add_cleanup(lambda: shutil.rmtree(home, ignore_errors=True))
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # So it is for what a shell starts in the background, and processes that tests interrupt would inherit it.
        signal.signal(signal.SIGINT, signal.default_int_handler)


class Finished(NamedTuple):
    """How a command ended and what it printed."""

    code: int
    out: str
    err: str


@pytest.fixture(name="routereval")
def _routereval(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Callable[..., Finished]:
    """Runs a command in an empty folder."""
    from routereval import cli

    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ROUTEREVAL_DATA", raising=False)

    def call(*words: str) -> Finished:
        monkeypatch.setattr("sys.argv", ["routereval", *words])
        monkeypatch.setattr("sys.path", sys.path[:])
        code = 0
        try:
            cli.main()
        except SystemExit as leave:
            code = int(leave.code or 0)
        captured = capsys.readouterr()
        return Finished(code, captured.out, captured.err)

    return call

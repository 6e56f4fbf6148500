from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data beside the checkout; tests that need it are skipped where it is absent."""
    folder = Path(os.environ.get("ROUTEREVAL_SHARED") or Path(__file__).resolve().parents[2] / "shared")
    if not (folder / "golden").is_dir():
        pytest.skip(f"no shared data in {folder}; set ROUTEREVAL_SHARED to run the tests on real scores")
    return folder


@pytest.fixture(scope="session")
def session_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One store for the whole session, so that real data are converted once."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(autouse=True)
def _home(session_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROUTEREVAL_HOME", str(session_home))
    monkeypatch.setenv("COLUMNS", "200")

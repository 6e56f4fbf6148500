from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from routereval.sources import parquet_files

# The campaign and the tests share the package beside this file.
sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session")
def server() -> Iterator[object]:
    """One process that reads Parquet files for all tests here, instead of one for each file."""
    from fuzzing.parquet_server import SERVER

    SERVER.start()
    yield SERVER
    SERVER.stop()


@pytest.fixture(autouse=True)
def own_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, server: object) -> None:
    # Readers set it to a folder of theirs; afterwards it is as it was.
    monkeypatch.setenv("ROUTEREVAL_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(parquet_files, "_converted", server.converted)  # type: ignore[attr-defined]

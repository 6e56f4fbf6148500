"""Parquet files are read in a process of their own: what a damaged one does to it stays there."""

from __future__ import annotations

import random
from pathlib import Path

import polars as pl
import pytest

from routereval.errors import DataError
from routereval.sources import parquet_files
from routereval.sources.parquet_files import read_parquet

FRAME = pl.DataFrame(
    {"id": ["a", "b", None], "n": [1, 2, 3], "x": [[0.5], [], None], "s": [{"m": 1}, {"m": None}, None]}
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    FRAME.write_parquet(tmp_path / "t [1].parquet")
    return tmp_path / "t [1].parquet"


def test_a_table_comes_over_as_it_is(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_parquet(file).equals(FRAME)
    assert read_parquet(file).schema == FRAME.schema
    monkeypatch.chdir(file.parent)
    (file.parent / "polars.py").write_text("raise SystemExit('imported from the folder one works in')")
    assert read_parquet(Path(file.name)).equals(FRAME)


def test_a_file_that_is_none_is_an_error_that_says_what_polars_says(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-10])
    with pytest.raises(DataError, match=r"cannot be read as parquet: .*PAR1"):
        read_parquet(file)
    file.write_bytes(b"")
    with pytest.raises(DataError, match="cannot be read as parquet: "):
        read_parquet(file)


@pytest.mark.parametrize(
    ("does", "said"),
    [
        ("import os; os.abort()", "its reader gave up on it"),
        ("raise SystemError('x')", "its reader gave up on it"),
        (
            "import sys, time; sys.stderr.write('thread panicked at x'); sys.stderr.flush(); time.sleep(600)",
            "its reader gave up on it",
        ),
        ("import sys; sys.stderr.write('thread panicked at x'); sys.exit(0)", "its reader gave up on it"),
    ],
)
def test_a_reader_that_aborts_panics_or_waits_for_ever_is_an_error(
    does: str, said: str, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet_files, "READER", does)
    monkeypatch.setattr(parquet_files, "PATIENCE_SECONDS", 0.2)
    with pytest.raises(DataError, match=said):
        read_parquet(file)


def test_a_claim_of_more_rows_than_bytes_can_hold_is_refused(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pl.DataFrame({"a": [1] * 200_000}).write_parquet(file)
    monkeypatch.setattr(parquet_files, "FEWEST_ROWS", 1000)
    with pytest.raises(DataError, match=r"it claims 200000 rows in \d+ bytes"):
        read_parquet(file)


def test_flipped_bits_give_a_table_or_an_error_of_ours(file: Path) -> None:
    content, rng = file.read_bytes(), random.Random(1)
    for _ in range(6):
        at = rng.randrange(len(content))
        file.write_bytes(content[:at] + bytes([content[at] ^ 1 << rng.randrange(8)]) + content[at + 1 :])
        try:
            assert isinstance(read_parquet(file), pl.DataFrame)
        except DataError as error:
            assert "cannot be read as parquet" in str(error)

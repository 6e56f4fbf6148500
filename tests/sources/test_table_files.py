"""Files of tables that are damaged, or made to fill the memory."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from routereval.errors import DataError, ParameterError
from routereval.sources import table_files
from routereval.sources.table_columns import find_columns
from routereval.sources.table_files import read_embeddings, read_frame

TABLE = b"id,a,b\n" + b"".join(b"p%d,1,0\n" % i for i in range(50))


def test_a_gz_that_is_cut_off_or_damaged_is_an_error_of_ours(tmp_path: Path) -> None:
    whole = gzip.compress(TABLE)
    path = tmp_path / "t.csv.gz"
    for content in (b"", b"\x1f\x8b", whole[: len(whole) // 2], whole[:-3], whole[:20] + b"\xff" * 10 + whole[30:]):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"cannot be read as csv\.gz"):
            read_frame(path)
    path.write_bytes(whole)
    assert read_frame(path).shape == (50, 3)


def test_a_gz_that_unpacks_to_far_more_than_it_is_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "t.csv.gz"
    path.write_bytes(gzip.compress(b"a,b\n" + b"0,1\n" * 500_000))
    assert read_frame(path).shape == (500_000, 2)  # a thousand times as large, and still small
    monkeypatch.setattr(table_files, "MOST_UNPACKED", 1000)
    with pytest.raises(DataError, match=r"[\d,]+ bytes unpack to more than 400 times as many"):
        read_frame(path)


def test_embeddings_beyond_float32_become_infinite_without_a_warning(tmp_path: Path) -> None:
    np.save(tmp_path / "e.npy", np.array([[1e300, 1.0]]))
    assert read_embeddings(tmp_path / "e.npy", 1).tolist() == [[float("inf"), 1.0]]


def test_a_wildcard_as_long_as_a_book_takes_no_time() -> None:
    with pytest.raises(ParameterError, match="the table has no column"):
        find_columns(["id", "a", "b"], ["id"], {"models": "[" * 100_000})

"""Train and test prompts are cut out of the store once for all workers of a machine."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import routereval as rv
from routereval.data import part_files, shared_arrays
from routereval.data.benchmark import BenchmarkData
from routereval.data.part_files import cut_out
from routereval.data.store import open_folder
from routereval.sources.synthetic import Synthetic, SyntheticSpec

SPEC = SyntheticSpec("parts", prompts=80, models=30, dimensions=4, sizes=(3,))


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home, and processes that share however little there is."""
    monkeypatch.setenv("ROUTEREVAL_HOME", str(tmp_path))
    monkeypatch.setattr(shared_arrays, "FROM_BYTES", 1)
    monkeypatch.setattr(part_files, "_shared", True)
    return tmp_path


def opened() -> BenchmarkData:
    """The data from the store, nothing of them cut out yet."""
    folder = Synthetic(SPEC).data.store_dir
    assert folder is not None
    return open_folder(folder)


def root(array: np.ndarray) -> object:
    """What an array is a view of in the end."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def test_every_process_maps_the_part_that_the_first_cut_out(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(part_files, "_shared", False)
    alone = opened().scenario("all_strong", 3)
    assert not (home / "parts").exists()
    monkeypatch.setattr(part_files, "_shared", True)
    first = opened().scenario("all_strong", 3)
    files = {path: path.stat().st_mtime_ns for path in home.glob("parts/*/part.npy")}
    assert len(files) == 6  # embeddings and scores of train, val and test
    monkeypatch.setattr(shared_arrays, "share", lambda *arguments: pytest.fail("it was cut out again"))
    second = opened().scenario("all_strong", 3)
    for one in (first, second):
        for name in ("train", "val", "test"):
            own, expected = getattr(one, name), getattr(alone, name)
            assert own.queries.embeddings.tobytes() == expected.queries.embeddings.tobytes()
            assert isinstance(root(own.queries.embeddings), np.memmap)
            np.testing.assert_array_equal(own.scores.dense(), expected.scores.dense())
    assert rv.evaluate(rv.KNN(), first).metrics == rv.evaluate(rv.KNN(), alone).metrics
    assert {path: path.stat().st_mtime_ns for path in home.glob("parts/*/part.npy")} == files


def test_a_slice_of_a_mapped_array_is_no_file_of_the_store(home: Path) -> None:
    embeddings = opened().queries.embeddings
    assert isinstance(embeddings, np.memmap)
    index = np.array([3, 1])
    np.testing.assert_array_equal(cut_out(embeddings, index), np.array(embeddings)[[3, 1]])
    np.testing.assert_array_equal(cut_out(embeddings[5:], index), np.array(embeddings)[[8, 6]])
    assert len(list(home.glob("parts/*"))) == 1


def test_a_damaged_part_is_cut_out_again(home: Path) -> None:
    embeddings, index = opened().queries.embeddings, np.array([3, 1])
    assert embeddings is not None
    cut_out(embeddings, index)
    (file,) = home.glob("parts/*/part.npy")
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.unlink()
    file.write_bytes(content)
    np.testing.assert_array_equal(cut_out(embeddings, index), np.array(embeddings)[[3, 1]])


def test_where_no_file_can_be_written_a_part_is_a_copy(home: Path) -> None:
    embeddings = opened().queries.embeddings
    assert embeddings is not None
    (home / "parts").write_text("in the way")
    np.testing.assert_array_equal(cut_out(embeddings, np.array([0])), np.array(embeddings)[[0]])

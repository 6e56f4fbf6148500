"""A damaged file of the store is named, with what to do about it."""

from __future__ import annotations

import pickle
import shutil
import subprocess
from pathlib import Path

import pytest

from routereval.data import checksums, store
from routereval.data.benchmark import BenchmarkData
from routereval.data.folders import open_folder
from routereval.errors import DataError, MissingDataError
from routereval.sources.synthetic import Synthetic, SyntheticSpec


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BenchmarkData:
    """A tiny benchmark in a store of its own."""
    monkeypatch.setenv("ROUTEREVAL_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("ROUTEREVAL_STORE", raising=False)
    store.reopen.cache_clear()
    return Synthetic(SyntheticSpec("tiny", prompts=40, models=8, dimensions=4, sizes=(3,))).data


def flip(path: Path, at: int = -1) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.unlink()
    path.write_bytes(content)


def as_a_worker_gets_it(data: BenchmarkData) -> BenchmarkData:
    store.reopen.cache_clear()
    return pickle.loads(pickle.dumps(data))


def test_the_sums_are_those_of_sha256sum(data: BenchmarkData) -> None:
    assert data.store_dir is not None
    done = subprocess.run(["sha256sum", "--check", checksums.NAME], cwd=data.store_dir, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert len(done.stdout.splitlines()) == len(list(data.store_dir.iterdir())) - 1


def test_what_travels_to_a_worker_is_where_the_data_lie(data: BenchmarkData) -> None:
    assert len(pickle.dumps(data)) < 500
    assert as_a_worker_gets_it(data).data_hash == data.data_hash


@pytest.mark.parametrize("name", ["bits.npy", "embeddings.npy", "split_test.npy", "meta.json"])
def test_a_flipped_bit_is_found_by_a_worker_and_the_file_is_named(data: BenchmarkData, name: str) -> None:
    assert data.store_dir is not None
    as_a_worker_gets_it(data)
    flip(data.store_dir / name)
    with pytest.raises(DataError, match=rf"{name} has sha256 .* was written; remove the folder, and it is made again"):
        as_a_worker_gets_it(data)


def test_a_truncated_array_is_found_by_whoever_opens_it(data: BenchmarkData) -> None:
    assert data.store_dir is not None
    path = data.store_dir / "embeddings.npy"
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(DataError, match=r"embeddings\.npy"):
        open_folder(data.store_dir)
    assert checksums.damaged(data.store_dir)[0].startswith("embeddings.npy has sha256")


def test_an_array_longer_than_its_header_says_is_found_by_its_sum(data: BenchmarkData) -> None:
    assert data.store_dir is not None
    path = data.store_dir / "bits.npy"
    path.write_bytes(path.read_bytes() + b"more")
    assert [line.split()[0] for line in checksums.damaged(data.store_dir)] == ["bits.npy"]


def test_removing_the_folder_rebuilds_it(data: BenchmarkData) -> None:
    assert data.store_dir is not None
    before = checksums.read(data.store_dir)
    flip(data.store_dir / "bits.npy")
    shutil.rmtree(data.store_dir)
    again = Synthetic(SyntheticSpec("tiny", prompts=40, models=8, dimensions=4, sizes=(3,))).data
    assert again.store_dir == data.store_dir
    assert checksums.read(data.store_dir) == before
    checksums.check(data.store_dir)


def test_a_file_of_sums_that_is_damaged_itself_is_said(data: BenchmarkData) -> None:
    assert data.store_dir is not None
    sums = data.store_dir / checksums.NAME
    sums.write_text(sums.read_text()[:-20])
    with pytest.raises(DataError, match="SHA256SUMS is damaged: it is no list of sums"):
        checksums.check(data.store_dir)


def test_other_data_under_the_same_path_are_refused(data: BenchmarkData) -> None:
    with pytest.raises(DataError, match=r"holds data .*, and ffff.* were planned"):
        store.reopen(data.store_dir, "f" * 64)


def test_a_worker_without_the_data_says_what_it_needs(data: BenchmarkData, tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match="ROUTEREVAL_STORE to a URL that both reach"):
        store.reopen(tmp_path / "nowhere", "e" * 64)


def test_unchanged_files_are_hashed_once_on_a_machine(data: BenchmarkData, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[Path] = []
    monkeypatch.setattr(store.checksums, "check", hashed.append)
    for _ in range(3):
        as_a_worker_gets_it(data)
    assert hashed == [data.store_dir]

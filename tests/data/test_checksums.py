"""A damaged file of the store is named, with what to do about it."""

from __future__ import annotations

import os
import pickle
import re
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from routereval.data import checking, checksums, store
from routereval.data.benchmark import BenchmarkData
from routereval.data.folders import open_folder, write_folder
from routereval.datasets import Datasets
from routereval.errors import DataError, MissingDataError
from routereval.results import RunSpec
from routereval.sources import built_folders
from routereval.sources.synthetic import Synthetic, SyntheticSpec
from routereval.verification import finder


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


@pytest.mark.parametrize(
    ("kept", "lost"),
    [(1, "embeddings.npy, meta.json, split_test.npy and 4 more"), (6, "text_offsets.npy, texts.npy"), (7, "texts.npy")],
)
def test_a_list_of_sums_that_was_cut_at_the_end_of_a_line_is_not_taken_for_whole(
    data: BenchmarkData, kept: int, lost: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert data.store_dir is not None
    sums = data.store_dir / checksums.NAME
    sums.write_text("".join(sums.read_text().splitlines(keepends=True)[:kept]))
    assert checksums.damaged(data.store_dir) == [f"SHA256SUMS lacks {lost}"]
    with pytest.raises(DataError, match=f"SHA256SUMS lacks {lost}; remove the folder, and it is made again"):
        as_a_worker_gets_it(data)
    forget(monkeypatch)
    assert store.find(data.data_hash) is None
    assert f"is damaged: SHA256SUMS lacks {lost}; it is made again" in caplog.text


def test_what_is_never_read_may_lie_beside_the_data(data: BenchmarkData, tmp_path: Path) -> None:
    folder = tmp_path / "out" / "tiny"
    write_folder(folder, data)
    for name in ("README.md", ".DS_Store", "._bits.npy", ".nfs0001"):
        (folder / name).write_text("by somebody else")
    (folder / "figures").mkdir()
    assert built_folders.load("tiny", tmp_path / "out").data_hash == data.data_hash
    # An array that would be read as the data's own is another matter.
    (folder / "observed.npy").write_bytes((folder / "bits.npy").read_bytes())
    with pytest.raises(DataError, match=r"tiny is damaged: SHA256SUMS lacks observed\.npy"):
        built_folders.load("tiny", tmp_path / "out")


def test_a_folder_from_before_there_were_sums_is_taken_as_it_is(data: BenchmarkData) -> None:
    assert data.store_dir is not None
    (data.store_dir / checksums.NAME).unlink()
    assert checksums.damaged(data.store_dir) == []
    assert store.find(data.data_hash) is not None


def test_other_data_under_the_same_path_are_refused(data: BenchmarkData) -> None:
    with pytest.raises(DataError, match=r"holds data .*, and ffff.* were planned"):
        store.reopen(data.store_dir, "f" * 64)


def test_a_worker_without_the_data_says_what_it_needs(data: BenchmarkData, tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match="ROUTEREVAL_STORE to a URL that both reach"):
        store.reopen(tmp_path / "nowhere", "e" * 64)


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The folders that were hashed, in a process that knows of none yet."""
    folders: list[Path] = []
    check = checksums.check
    monkeypatch.setattr(checksums, "check", lambda folder: (folders.append(folder), check(folder)))
    forget(monkeypatch)
    return folders


def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in another process."""
    monkeypatch.setattr(checking, "_whole", {})
    monkeypatch.setattr(checking, "_damaged", {})


def test_each_process_hashes_a_folder_once_before_it_is_used(
    data: BenchmarkData, hashed: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):
        for _ in range(3):
            assert store.find(data.data_hash) is not None
        forget(monkeypatch)
    assert hashed == [data.store_dir] * 2


def test_a_bit_that_flipped_without_anybody_writing_is_found_by_the_next_process(
    data: BenchmarkData, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert data.store_dir is not None
    path = data.store_dir / "bits.npy"
    stamp = path.stat()
    with path.open("r+b") as file:
        file.seek(-1, 2)
        byte = file.read(1)[0]
        file.seek(-1, 2)
        file.write(bytes([byte ^ 1]))
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    forget(monkeypatch)
    assert store.find(data.data_hash) is None
    assert re.search(r"is damaged: bits\.npy has sha256 .* was written; it is made again", caplog.text)
    assert not data.store_dir.exists()
    again = Synthetic(SyntheticSpec("tiny", prompts=40, models=8, dimensions=4, sizes=(3,))).data
    checksums.check(again.store_dir)


def test_who_does_not_want_it_made_again_is_told_each_time_and_it_is_hashed_once(
    data: BenchmarkData, hashed: list[Path]
) -> None:
    assert data.store_dir is not None
    flip(data.store_dir / "bits.npy")
    for _ in range(3):
        with pytest.raises(DataError, match=r"bits\.npy has sha256"):
            store.find(data.data_hash, remake=False)
    assert hashed == [data.store_dir]
    assert (data.store_dir / "bits.npy").is_file()


def test_a_large_folder_is_hashed_once_on_a_machine(
    data: BenchmarkData, hashed: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert data.store_dir is not None
    monkeypatch.setattr(checking, "LARGE", 1000)
    for _ in range(3):
        forget(monkeypatch)
        assert store.find(data.data_hash) is not None
    assert hashed == [data.store_dir]
    flip(data.store_dir / "bits.npy")
    assert store.find(data.data_hash) is None


def test_a_worker_believes_a_driver_of_its_own_machine_only(
    data: BenchmarkData, hashed: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert store.find(data.data_hash) is not None
    parcel = pickle.dumps(data)
    for machine, times in ((socket.gethostname(), 1), ("another", 2)):
        monkeypatch.setattr(socket, "gethostname", lambda machine=machine: machine)
        forget(monkeypatch)
        store.reopen.cache_clear()
        pickle.loads(parcel)
        assert len(hashed) == times
    # Nor of files that have changed since.
    monkeypatch.undo()
    flip(data.store_dir / "bits.npy")  # type: ignore[operator]
    store.reopen.cache_clear()
    with pytest.raises(DataError, match=r"bits\.npy has sha256"):
        pickle.loads(parcel)


def test_a_damaged_folder_that_was_built_is_named_and_stays(data: BenchmarkData, tmp_path: Path) -> None:
    write_folder(tmp_path / "out" / "tiny", data)
    assert built_folders.load("tiny", tmp_path / "out").data_hash == data.data_hash
    flip(tmp_path / "out" / "tiny" / "bits.npy")
    with pytest.raises(DataError, match=r"tiny is damaged: bits\.npy has sha256"):
        built_folders.load("tiny", tmp_path / "out")


def test_verifying_against_a_damaged_store_does_not_say_that_runs_agree(data: BenchmarkData, tmp_path: Path) -> None:
    spec = RunSpec("tiny/all_strong/3", "knn", {}, data.encoder, "strict", 0, data.data_hash)
    assert data.store_dir is not None
    flip(data.store_dir / "bits.npy")
    with pytest.raises(DataError, match=r"bits\.npy has sha256 .*; remove the folder"):
        finder(Datasets())(spec)

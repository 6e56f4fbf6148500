"""The store: what goes in comes out, and what cannot be written or read is said."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import routereval as rv
from routereval.data import store
from routereval.data.checksums import check
from routereval.data.folders import open_folder, write_folder
from routereval.data.home import home as home_of
from routereval.data.home import scratch
from routereval.data.seen_files import remember, seen_key
from routereval.errors import DataError

NAN = float("nan")
PROMPTS = ("a", "é", "\ud800", "d")
MODELS = ("org/x", "y", "z")
FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "home"
    monkeypatch.setenv("ROUTEREVAL_HOME", str(folder))
    return folder


def data(kind: str = "binary with holes", **changes) -> rv.BenchmarkData:
    """Something in every field."""
    rows = {
        "binary": [[0, 1, 0], [1, 1, 0], [0, 0, 1], [1, 0, 1]],
        "binary with holes": [[0, 1, NAN], [1, NAN, 0], [0, 0, 1], [1, 0, 1]],
        "graded with holes": [[0.1, 1, NAN], [0.25, 1, 0], [0, 0.5, 1], [1, 0, 1]],
    }[kind]
    full = rv.BenchmarkData(
        benchmark="tiny",
        scores=rv.ScoreMatrix.from_dense(rows, PROMPTS, MODELS, missing=True),
        queries=rv.Queries(PROMPTS, np.arange(8, dtype=np.float32).reshape(4, 2), ["one", "", "zwölf", "\udfff!"]),
        split=rv.Split(np.array([3, 0]), np.array([], dtype=np.intp), np.array([2, 1])),
        pools={
            ("all_strong", 2): rv.CandidatePool(("z", "org/x"), "all_strong", 42),
            ("mine", 3): rv.CandidatePool(MODELS, "mine"),
        },
        source="a test",
        data_hash="f" * 64,
        train_labels={("all_strong", 2): np.array([[1, 0], [1, 1]], dtype=np.uint8)},
        subsets=("s", "s", "t", "é"),
        missing=("the validation split",),
        pools_saw_test=True,
        synthetic=True,
        reference_model="big",
        reference_score=0.1 + 0.2,
        planes={
            "cost_usd": np.array([[1, 2, NAN]] * 4, dtype=np.float32),
            "exact/match, strict": np.arange(12, dtype=np.float32).reshape(4, 3),
        },
    )
    return dataclasses.replace(full, **changes)


def arrays_of(one: rv.BenchmarkData) -> dict[str, np.ndarray | None]:
    return {
        "bits": one.scores.bits,
        "observed": one.scores.observed,
        "values": one.scores.values,
        "embeddings": one.queries.embeddings,
        **{part: getattr(one.split, part) for part in ("train", "val", "test")},
        **{f"labels {key}": labels for key, labels in one.train_labels.items()},
        **{f"plane {name}": plane for name, plane in one.planes.items()},
    }


def assert_equal(found: rv.BenchmarkData, expected: rv.BenchmarkData) -> None:
    assert set(arrays_of(found)) == set(arrays_of(expected))
    for name, values in arrays_of(expected).items():
        again = arrays_of(found)[name]
        if values is None:
            assert again is None, name
        else:
            assert again.dtype == values.dtype, name
            np.testing.assert_array_equal(again, values, err_msg=name)
    names = [f.name for f in dataclasses.fields(rv.BenchmarkData)]
    for name in set(names) - {"scores", "queries", "split", "train_labels", "planes", "store_dir"}:
        assert getattr(found, name) == getattr(expected, name), name
    assert (found.scores.prompt_ids, found.scores.model_ids) == (expected.scores.prompt_ids, expected.scores.model_ids)
    texts = [None if one.queries.texts is None else list(one.queries.texts) for one in (found, expected)]
    assert texts[0] == texts[1]


def left_in(folder: Path) -> list[str]:
    return [str(path.relative_to(folder)) for path in folder.rglob("*")] if folder.exists() else []


# In and out


@pytest.mark.parametrize("kind", ["binary", "binary with holes", "graded with holes"])
def test_what_is_saved_is_found_with_every_array_and_every_fact(kind: str) -> None:
    saved = store.save(data(kind))
    assert_equal(saved, data(kind))
    found = store.find("f" * 64)
    assert found is not None
    assert_equal(found, data(kind))
    assert list(found.pools) == list(data(kind).pools)


def test_what_may_be_absent_may_be_absent() -> None:
    bare = data(
        queries=rv.Queries(PROMPTS),
        pools={},
        train_labels={},
        planes={},
        subsets=None,
        missing=(),
        reference_model=None,
        reference_score=None,
    )
    assert_equal(store.save(bare), bare)


def test_a_plane_has_a_cell_per_prompt_and_model_and_survives_a_change_of_the_rest() -> None:
    with pytest.raises(DataError, match=r"plane 'cost_usd' has shape \(3, 4\), the scores \(4, 3\)"):
        data(planes={"cost_usd": np.zeros((3, 4), dtype=np.float32)})
    saved = store.save(dataclasses.replace(store.save(data()), pools={}, data_hash="e" * 64, store_dir=None))
    np.testing.assert_array_equal(saved.planes["cost_usd"], [[1, 2, NAN]] * 4)


def test_what_is_in_the_store_already_takes_no_room_twice_and_outside_it_stands_for_itself(tmp_path: Path) -> None:
    first = store.save(data())
    second = store.save(dataclasses.replace(first, pools={}, data_hash="e" * 64, store_dir=None))
    write_folder(tmp_path / "out", first)
    assert first.store_dir is not None
    assert second.store_dir is not None
    for name in ("plane_0.npy", "bits.npy", "embeddings.npy"):
        assert (first.store_dir / name).samefile(second.store_dir / name)
        assert not (first.store_dir / name).samefile(tmp_path / "out" / name)
    (first.store_dir / "plane_0.npy").unlink()
    np.testing.assert_array_equal(open_folder(second.store_dir).planes["cost_usd"], [[1, 2, NAN]] * 4)


def test_room_is_asked_for_before_it_is_needed() -> None:
    assert scratch(1000).is_dir()
    with pytest.raises(DataError, match=r"1,000,000,000,000,000,000 bytes are needed .*set ROUTEREVAL_HOME"):
        scratch(10**18)


def test_a_folder_written_before_there_were_planes_has_none() -> None:
    folder = store.save(data(planes={})).store_dir
    assert folder is not None
    meta = json.loads((folder / "meta.json").read_text())
    del meta["planes"]
    (folder / "meta.json").write_text(json.dumps(meta))
    assert open_folder(folder).planes == {}


def test_a_scenario_of_stored_data_is_that_of_the_data() -> None:
    before, after = (one.scenario("all_strong", 2) for one in (data(), store.save(data())))
    np.testing.assert_array_equal(after.train.targets, before.train.targets)
    np.testing.assert_array_equal(after.test.scores.dense(), before.test.scores.dense())
    assert list(after.test.queries.texts) == ["zwölf", ""]
    assert after.test.queries.ids == ("\ud800", "é")
    assert after.val is None


def test_stored_arrays_are_memory_mapped_and_cannot_be_written_to() -> None:
    saved = store.save(data())
    for values in (saved.scores.bits, saved.scores.observed, saved.queries.embeddings, saved.planes["cost_usd"]):
        assert isinstance(values, np.memmap)
        with pytest.raises(ValueError, match="read-only"):
            values[0] = 0


def test_data_lie_in_a_folder_named_by_their_hash(home: Path) -> None:
    saved = store.save(data())
    assert saved.store_dir == home / "store" / ("f" * 64)
    assert {path.name for path in saved.store_dir.iterdir()} == {
        *("meta.json", "bits.npy", "observed.npy", "embeddings.npy", "texts.npy", "text_offsets.npy"),
        *("split_train.npy", "split_val.npy", "split_test.npy", "labels_all_strong_2.npy"),
        *("plane_0.npy", "plane_1.npy", "SHA256SUMS"),
    }


def test_what_was_never_saved_is_not_found(home: Path) -> None:
    assert store.find("0" * 64) is None
    assert not home.exists()  # looking makes no folders


def test_what_somebody_else_stored_meanwhile_is_kept(home: Path) -> None:
    store.save(data(source="the first"))
    assert store.save(data(source="the second")).source == "the first"
    assert [path.name for path in (home / "store").iterdir()] == ["f" * 64]


def test_stored_data_travel_to_another_process_as_the_name_of_their_folder() -> None:
    saved = store.save(data())
    parcel = pickle.dumps(saved)
    assert len(parcel) < 500
    again = pickle.loads(parcel)
    assert_equal(again, saved)
    assert pickle.loads(parcel) is again  # opened once per process


def test_data_may_be_written_to_any_folder_and_opened_from_where_it_was_moved(tmp_path: Path, home: Path) -> None:
    write_folder(tmp_path / "deep" / "er" / "tiny", data())
    (tmp_path / "deep" / "er" / "tiny").rename(tmp_path / "moved")
    found = open_folder(tmp_path / "moved")
    assert_equal(found, data())
    assert found.store_dir == tmp_path / "moved"
    assert left_in(tmp_path / "deep") == ["er"]
    assert not home.exists()


def test_a_folder_that_is_there_already_is_not_written_over(tmp_path: Path) -> None:
    write_folder(tmp_path / "tiny", data(source="the first"))
    with pytest.raises(DataError, match="tiny is there already; remove it, or write somewhere else"):
        write_folder(tmp_path / "tiny", data(source="the second"))
    assert open_folder(tmp_path / "tiny").source == "the first"


# What cannot be written


def test_a_disk_that_fills_while_a_folder_is_written_leaves_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args, **words) -> None:
        raise FULL

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(DataError, match="No space left on device"):
        write_folder(tmp_path / "deep" / "er" / "tiny", data())
    assert left_in(tmp_path / "deep") == ["er"]


def test_a_full_disk_is_reported_and_nothing_half_written_stays(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = []

    def save(path: Path, *args, **words) -> None:
        written.append(path)
        if len(written) == 3:
            raise FULL
        path.write_bytes(b"some of it")

    monkeypatch.setattr(np, "save", save)
    with pytest.raises(DataError) as caught:
        store.save(data())
    assert str(caught.value) == (
        f"cannot write the store in {home / 'store'}: No space left on device; "
        "free some space, or set ROUTEREVAL_HOME to a folder that can be written"
    )
    assert left_in(home) == ["store"]
    monkeypatch.undo()
    monkeypatch.setenv("ROUTEREVAL_HOME", str(home))
    assert store.find("f" * 64) is None
    assert_equal(store.save(data()), data())


def test_a_disk_that_is_full_only_for_the_last_file_is_no_different(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write_text(path: Path, *args, **words) -> int:
        raise FULL

    monkeypatch.setattr(Path, "write_text", write_text)
    with pytest.raises(DataError, match="No space left on device"):
        store.save(data())
    assert left_in(home) == ["store"]


def test_a_folder_that_cannot_be_renamed_is_reported(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*args) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "rename", refused)
    with pytest.raises(DataError, match=r"cannot write the store in .*: Permission denied; free some space, or set"):
        store.save(data())
    assert left_in(home) == ["store"]


def test_whatever_interrupts_saving_leaves_nothing_behind(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*args, **words) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "save", interrupted)
    with pytest.raises(KeyboardInterrupt):
        store.save(data())
    assert left_in(home) == ["store"]


def test_a_home_that_cannot_be_written_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A file where a folder should be: that stops root too, which permissions do not.
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ROUTEREVAL_HOME", str(tmp_path / "file" / "home"))
    advice = "set ROUTEREVAL_HOME to a folder that can be written"
    with pytest.raises(DataError, match=rf"cannot write the store in .*store: Not a directory; .*{advice}"):
        store.save(data())
    with pytest.raises(DataError, match=rf"cannot write the store in .*seen: Not a directory; .*{advice}"):
        remember(tmp_path / "file", "", "key")


# What cannot be read


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"null", b'"text"', b"{}", b'{"scores": ["bits"]}', b"\xff\x00"])
def test_a_damaged_meta_json_is_reported_and_what_to_do(text: bytes) -> None:
    folder = store.save(data()).store_dir
    assert folder is not None
    (folder / "meta.json").write_bytes(text)
    with pytest.raises(DataError, match=r"is damaged .*; remove it and read the data again") as caught:
        open_folder(folder)
    assert str(caught.value).startswith(f"{folder} is damaged")


@pytest.mark.parametrize(
    "name", ["bits", "observed", "split_test", "text_offsets", "embeddings", "texts", "labels_all_strong_2", "plane_1"]
)
def test_an_array_that_is_gone_is_named(name: str) -> None:
    folder = store.save(data()).store_dir
    assert folder is not None
    (folder / f"{name}.npy").unlink()
    with pytest.raises(DataError, match=rf"lacks {name}\.npy; remove the folder and read the data again"):
        open_folder(folder)


@pytest.mark.parametrize("length", [4, 60, 130])
def test_an_array_that_was_cut_off_is_reported(length: int) -> None:
    folder = store.save(data()).store_dir
    assert folder is not None
    path = folder / "bits.npy"
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(DataError, match=r"is damaged .*remove it and read the data again"):
        open_folder(folder)


def test_an_array_of_python_objects_is_refused_and_not_unpickled(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple:
            return (tmp_path / "exploded").touch, ()

    folder = store.save(data()).store_dir
    assert folder is not None
    np.save(folder / "split_test.npy", np.array([Bomb()], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match="is damaged"):
        open_folder(folder)
    assert not (tmp_path / "exploded").exists()


def test_a_pool_of_a_model_that_is_not_there_is_reported() -> None:
    folder = store.save(data()).store_dir
    assert folder is not None
    meta = json.loads((folder / "meta.json").read_text())
    meta["pools"][0]["columns"] = [0, 99]
    (folder / "meta.json").write_text(json.dumps(meta))
    with pytest.raises(DataError, match="is damaged"):
        open_folder(folder)


# Keys and notes


def test_a_key_depends_on_every_part_and_on_where_one_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = {store.content_key(*parts) for parts in (("ab", "c"), ("a", "bc"), ("abc",), ("c", "ab"), ("ab", "c", ""))}
    assert len(keys) == 5
    before = store.content_key("ab", "c")
    assert before == store.content_key("ab", "c")
    monkeypatch.setattr(store, "FORMAT", store.FORMAT + 1)
    assert store.content_key("ab", "c") != before  # a new layout never reads an old folder


def test_a_file_keeps_its_key_until_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("one")
    assert seen_key(path) is None
    remember(path, "", "key of one")
    assert seen_key(path) == "key of one"
    assert seen_key(path, "member") is None
    os.utime(path, ns=(0, 0))
    assert seen_key(path) is None
    remember(path, "", "key again")
    assert seen_key(path) == "key again"
    stamp = path.stat()
    path.write_text("longer")
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert seen_key(path) is None


def test_members_of_an_archive_have_keys_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "data.zip"
    path.write_text("zip")
    remember(path, "a", "key of a")
    remember(path, "b", "key of b")
    assert [seen_key(path, member) for member in ("a", "b", "")] == ["key of a", "key of b", None]


def test_a_relative_path_is_the_same_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "table.csv").write_text("one")
    remember(tmp_path / "table.csv", "", "key")
    monkeypatch.chdir(tmp_path)
    assert seen_key(Path("table.csv")) == "key"


@pytest.mark.parametrize("text", ["", "{", "[]", "5", '{"stamp": []}'])
def test_a_damaged_note_is_as_good_as_none(text: str, home: Path, tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("one")
    remember(path, "", "key")
    (note,) = (home / "seen").iterdir()
    note.write_text(text)
    assert seen_key(path) is None
    note.write_bytes(b"\xff\xfe")
    assert seen_key(path) is None


def test_a_note_whose_key_is_no_text_is_as_good_as_none(home: Path, tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("one")
    remember(path, "", "key")
    (note,) = (home / "seen").iterdir()
    note.write_text(json.dumps(json.loads(note.read_text()) | {"key": 5}))
    assert seen_key(path) is None


def test_home_is_where_the_variable_says_or_the_users_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("ROUTEREVAL_HOME", "~/somewhere")
    assert home_of() == tmp_path / "somewhere"
    monkeypatch.delenv("ROUTEREVAL_HOME")
    assert home_of().name == "routereval"
    assert home_of() != tmp_path / "somewhere"


def test_a_damaged_folder_is_made_again(home: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = store.save(data()).store_dir
    assert folder is not None
    (folder / "bits.npy").write_bytes(b"")
    assert store.find("f" * 64) is None
    assert "is damaged" in caplog.text
    assert_equal(store.save(data()), data())
    # What a kill left behind, without the file that is written last.
    (folder / "meta.json").unlink()
    assert store.find("f" * 64) is None
    assert_equal(store.save(data()), data())


def test_data_that_share_a_file_with_a_folder_of_damaged_sums_leave_it_as_it_is(tmp_path: Path, home: Path) -> None:
    first = store.save(data())
    (first.store_dir / "SHA256SUMS").write_text("no list of sums")
    before = (first.store_dir / "bits.npy").read_bytes()
    # In a process of its own: to write to a file that is mapped ends whoever reads the map.
    code = (
        "from dataclasses import replace; from pathlib import Path; import sys\n"
        "from routereval.data import store; from routereval.data.folders import open_folder\n"
        "store.save(replace(open_folder(Path(sys.argv[1])), data_hash='e' * 64))"
    )
    subprocess.run([sys.executable, "-c", code, str(first.store_dir)], check=True)
    second = home / "store" / ("e" * 64)
    assert (first.store_dir / "bits.npy").read_bytes() == before
    assert (second / "bits.npy").read_bytes() == before
    check(second)

"""Each text is encoded once, whoever asks and whatever happens meanwhile."""

from __future__ import annotations

import multiprocessing
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from routereval.data import shared_arrays
from routereval.data.embedding_cache import EmbeddingCache, hash_of
from routereval.encoders.contract import Encoder
from routereval.encoders.embedding import embed
from routereval.errors import DataError


@dataclass
class Lengths(Encoder):
    """A text's length and its first letter, and a record of what was encoded."""

    batch_size: int = 2
    fails_after: int = 10**9
    version: str = "1"
    encoded: list[str] = field(default_factory=list)

    @property
    def revision(self) -> str:
        return self.version

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        if len(self.encoded) + len(texts) > self.fails_after:
            raise KeyboardInterrupt
        self.encoded += texts
        return np.array([[len(t), ord(t[0]) if t else 0] for t in texts], dtype=np.float32)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ROUTEREVAL_HOME", str(tmp_path))
    return tmp_path


TEXTS = ["a", "bb", "ccc", "dddd", "eeeee"]


def test_embeddings_come_in_the_order_of_the_texts() -> None:
    found = embed(Lengths(), "lengths", TEXTS)
    np.testing.assert_array_equal(found.vectors, [[n, ord(t[0])] for n, t in enumerate(TEXTS, 1)])
    assert found.vectors.dtype == np.float32
    assert found.encoded == 5
    assert not found.cut.any()
    assert found.note == ""


def test_nothing_is_encoded_twice_and_a_changed_text_alone_anew() -> None:
    first, second, third = Lengths(), Lengths(), Lengths()
    embed(first, "lengths", [*TEXTS, "a", "a"])
    assert sorted(first.encoded) == TEXTS
    again = embed(second, "lengths", TEXTS[::-1])
    assert (second.encoded, again.encoded) == ([], 0)
    np.testing.assert_array_equal(again.vectors[:, 0], [5, 4, 3, 2, 1])
    embed(third, "lengths", ["A", *TEXTS[1:]])
    assert third.encoded == ["A"]


def test_another_name_or_revision_is_another_encoder() -> None:
    for encoder, name in ((Lengths(), "lengths"), (Lengths(version="2"), "lengths"), (Lengths(), "lengths:k=1")):
        assert embed(encoder, name, TEXTS).encoded == 5


def test_a_run_that_was_cut_off_goes_on_where_it_was() -> None:
    cut_off, next_one = Lengths(fails_after=4), Lengths()
    with pytest.raises(KeyboardInterrupt):
        embed(cut_off, "lengths", TEXTS)
    assert cut_off.encoded == ["eeeee", "dddd", "ccc", "bb"]  # the longest first, two at a time
    embed(next_one, "lengths", TEXTS)
    assert next_one.encoded == ["a"]


def test_progress_counts_what_is_encoded_and_is_not_shown_where_that_is_nothing() -> None:
    seen: list[tuple[str, int]] = []
    steps: list[int] = []

    @contextmanager
    def progress(what: str, total: int) -> Iterator[Callable[[], None]]:
        seen.append((what, total))
        yield lambda: steps.append(1)

    for _ in range(2):
        embed(Lengths(), "lengths", [*TEXTS, "a"], progress=progress)
    assert seen == [("embedding (lengths)", 5)]
    assert len(steps) == 5


def test_texts_that_utf8_cannot_say_are_told_apart_and_can_be_encoded() -> None:
    encoder = Lengths()
    found = embed(encoder, "lengths", ["\ud800", "\ud801", "", "übersetze"])
    assert encoder.encoded.count("?") == 2
    assert found.vectors.shape == (4, 2)


def test_no_texts_are_no_embeddings() -> None:
    assert embed(Lengths(), "lengths", []).vectors.shape == (0, 1)


def test_embeddings_that_are_not_finite_are_refused_and_not_kept() -> None:
    class Broken(Lengths):
        def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
            return np.full((len(texts), 2), np.nan, dtype=np.float32)

    with pytest.raises(DataError, match=r"lengths gave embeddings of shape \(2, 2\) for 2 texts, or some are not fin"):
        embed(Broken(), "lengths", TEXTS)
    assert embed(Lengths(), "lengths", TEXTS).encoded == 5


def test_a_file_that_is_damaged_says_what_to_do(home: Path) -> None:
    embed(Lengths(), "lengths", TEXTS)
    (path,) = (home / "embeddings").glob("*.sqlite")
    path.write_bytes(b"no database at all, but long enough to be looked at" * 40)
    with pytest.raises(DataError, match="it is damaged; remove it, and the texts are encoded again"):
        embed(Lengths(), "lengths", TEXTS)


def test_a_batch_that_was_not_finished_is_not_there(home: Path) -> None:
    cache = EmbeddingCache("lengths", ("lengths", "1"))
    cache.put([hash_of("a")], np.ones((1, 2), dtype=np.float32), np.zeros(1, dtype=bool), "")
    half = sqlite3.connect(cache.path, isolation_level=None)
    half.execute("BEGIN IMMEDIATE")
    half.execute("INSERT INTO embeddings VALUES (?, ?, 0)", (hash_of("b"), b"1234"))
    half.close()  # as a kill would
    assert list(cache.get([hash_of("a"), hash_of("b")])) == [hash_of("a")]


def test_a_name_makes_a_file_name_and_never_a_path(home: Path) -> None:
    embed(Lengths(), "st:model=../../etc/passwd", ["a"])
    assert [path.parent for path in home.rglob("*.sqlite")] == [home / "embeddings"]


def _write(start: int) -> int:
    texts = [f"text {i}" for i in range(start, start + 60)]
    return len(embed(Lengths(batch_size=7), "lengths", texts).vectors)


def test_two_processes_may_write_at_once() -> None:
    with multiprocessing.get_context("fork").Pool(3) as pool:
        assert pool.map(_write, [0, 20, 40]) == [60, 60, 60]
    every = Lengths()
    embed(every, "lengths", [f"text {i}" for i in range(100)])
    assert every.encoded == []


def test_many_embeddings_are_one_file_that_every_process_maps(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_arrays, "FROM_BYTES", 40)
    first = embed(Lengths(), "lengths", TEXTS)
    again = embed(Lengths(), "lengths", TEXTS)
    (file,) = home.glob("embeddings/lengths-*/*/vectors.npy")
    for one in (first.vectors, again.vectors):
        assert isinstance(one, np.memmap)
        assert Path(str(one.filename)) == file
        np.testing.assert_array_equal(one, [[n, ord(t[0])] for n, t in enumerate(TEXTS, 1)])
    assert (first.encoded, again.encoded, again.known) == (5, 0, 5)
    # Other texts, or the same in another order, are another file; few are none.
    np.testing.assert_array_equal(embed(Lengths(), "lengths", TEXTS[::-1]).vectors[:, 0], [5, 4, 3, 2, 1])
    assert not isinstance(embed(Lengths(), "lengths", TEXTS[:2]).vectors, np.memmap)
    assert len(list(home.glob("embeddings/lengths-*/*"))) == 2


def test_a_file_of_embeddings_with_a_flipped_bit_is_made_again_from_the_cache(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_arrays, "FROM_BYTES", 40)
    before = np.array(embed(Lengths(), "lengths", TEXTS).vectors)
    (file,) = home.glob("embeddings/lengths-*/*/vectors.npy")
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.unlink()
    file.write_bytes(content)
    again = embed(Lengths(), "lengths", TEXTS)
    np.testing.assert_array_equal(again.vectors, before)
    assert again.encoded == 0


def test_where_no_file_can_be_written_embeddings_are_as_good(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_arrays, "FROM_BYTES", 40)

    def full(*args: object, **words: object) -> None:
        raise OSError("no space")

    monkeypatch.setattr(np, "save", full)
    found = embed(Lengths(), "lengths", TEXTS)
    assert not isinstance(found.vectors, np.memmap)
    assert found.vectors.shape == (5, 2)
    assert list(home.glob("embeddings/lengths-*/*")) == []

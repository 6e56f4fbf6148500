"""Texts in one blob."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from routereval.data.texts import Texts, take_texts

HARD = ["", "plain", "grüße", "日本語", "🦉🦉", "a\0b", "line\r\nbreak", "\ud800 alone", "\udfff\ud800", "e\u0301", ""]


def test_every_string_comes_back_whatever_it_is_made_of() -> None:
    texts = Texts.encode(HARD)
    assert len(texts) == len(HARD)
    assert list(texts) == HARD
    assert [texts[i] for i in range(-len(HARD), 0)] == HARD


@settings(max_examples=50, deadline=None, database=None)
@given(st.lists(st.text(st.characters(), max_size=8), max_size=8))
def test_any_strings_come_back(strings: list[str]) -> None:
    assert list(Texts.encode(strings)) == strings


def test_the_blob_is_utf8_end_to_end() -> None:
    blob, offsets = Texts.encode(["é", "", "ab"]).arrays
    assert blob.tobytes() == b"\xc3\xa9ab"
    assert offsets.tolist() == [0, 2, 2, 4]


def test_taking_picks_in_order_and_again_from_what_was_taken() -> None:
    texts = Texts.encode(HARD)
    once = texts.take(np.array([4, 2, 4, 7]))
    assert list(once) == ["🦉🦉", "grüße", "🦉🦉", "\ud800 alone"]
    assert list(once.take(np.array([3, 1]))) == ["\ud800 alone", "grüße"]
    assert len(once.take(np.array([], dtype=np.intp))) == 0


def test_what_was_taken_has_a_blob_and_offsets_of_its_own_once_encoded_again() -> None:
    taken = Texts.encode(["one", "two", "three"]).take(np.array([2, 0]))
    blob, offsets = Texts.encode(taken).arrays
    assert blob.tobytes() == b"threeone"
    assert offsets.tolist() == [0, 5, 8]


def test_a_slice_is_texts_too() -> None:
    part = Texts.encode(HARD)[1:6:2]
    assert isinstance(part, Texts)
    assert list(part) == HARD[1:6:2]
    assert list(part[1:]) == HARD[3:6:2]


def test_texts_are_a_sequence_of_strings() -> None:
    texts = Texts.encode(["a", "b", "a"])
    assert "b" in texts
    assert "c" not in texts
    assert texts.index("b") == 1
    assert texts.count("a") == 2
    assert list(reversed(texts)) == ["a", "b", "a"]


def test_a_position_beyond_the_end_is_an_index_error() -> None:
    with pytest.raises(IndexError):
        Texts.encode(["a"])[1]


def test_taking_from_a_list_gives_a_list_and_from_texts_decodes_nothing() -> None:
    index = np.array([2, 0])
    assert take_texts(["a", "b", "c"], index) == ["c", "a"]
    assert isinstance(take_texts(Texts.encode(["a", "b", "c"]), index), Texts)

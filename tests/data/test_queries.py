"""What a router may see."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import routereval as rv
from routereval.data.texts import Texts
from routereval.errors import DataError, MissingDataError

EMBEDDINGS = np.arange(6, dtype=np.float32).reshape(3, 2)


def test_queries_carry_ids_embeddings_texts_and_subsets_and_nothing_else() -> None:
    # Test scores must not reach a router: there is no field that could hold them.
    assert [field.name for field in dataclasses.fields(rv.Queries)] == ["ids", "embeddings", "texts", "subsets"]


def test_taking_keeps_ids_embeddings_and_texts_together_in_the_order_asked_for() -> None:
    queries = rv.Queries(("a", "b", "c"), EMBEDDINGS, ["one", "two", "three"])
    taken = queries.take(np.array([2, 0]))
    assert len(taken) == 2
    assert taken.ids == ("c", "a")
    assert taken.require_embeddings().tolist() == [[4, 5], [0, 1]]
    assert taken.require_embeddings().flags["C_CONTIGUOUS"]
    assert taken.texts == ["three", "one"]


def test_taking_from_texts_of_the_store_decodes_nothing() -> None:
    taken = rv.Queries(("a", "b"), None, Texts.encode(["one", "two"])).take(np.array([1]))
    assert isinstance(taken.texts, Texts)
    assert list(taken.texts) == ["two"]


def test_what_was_taken_does_not_share_memory_with_where_it_came_from() -> None:
    queries = rv.Queries(("a", "b", "c"), EMBEDDINGS)
    assert not np.shares_memory(queries.take(np.arange(3)).require_embeddings(), EMBEDDINGS)


def test_embeddings_and_texts_may_be_absent() -> None:
    bare = rv.Queries(("a", "b"))
    assert bare.take(np.array([1])).ids == ("b",)
    assert bare.take(np.array([1])).embeddings is None
    assert bare.take(np.array([1])).texts is None
    with pytest.raises(MissingDataError, match="this router needs embeddings, and the data have neither"):
        bare.require_embeddings()


def test_queries_print_what_they_have() -> None:
    assert repr(rv.Queries(("a", "b", "c"), EMBEDDINGS)) == "Queries(3 prompts, embeddings 2-d, texts none)"
    assert repr(rv.Queries(("a",), None, ["x"])) == "Queries(1 prompts, embeddings none, texts yes)"


def with_bad_row(row: int, value: float) -> np.ndarray:
    bad = EMBEDDINGS.copy()
    bad[row:, 1] = value
    return bad


@pytest.mark.parametrize(
    ("ids", "embeddings", "texts", "message"),
    [
        ("aba", EMBEDDINGS, None, "3 prompt ids, only 2 of them different; every prompt needs its own"),
        ("abcd", EMBEDDINGS, None, r"embeddings have shape \(3, 2\); expected \(4, d\) for 4 prompts"),
        ("abc", EMBEDDINGS[:, 0], None, r"embeddings have shape \(3,\); expected \(3, d\)"),
        ("abc", with_bad_row(1, np.nan), None, r"2 embeddings are not finite \(first: prompt 'b'\)"),
        ("abc", with_bad_row(2, -np.inf), None, r"1 embeddings are not finite \(first: prompt 'c'\)"),
        ("abc", None, ["one", "two"], "2 texts for 3 prompts"),
    ],
)
def test_what_cannot_be_queries_is_refused(ids: str, embeddings, texts, message: str) -> None:
    with pytest.raises(DataError, match=message):
        rv.Queries(tuple(ids), embeddings, texts)

"""Hashed words, and which embeddings a benchmark gets."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from sklearn.utils import murmurhash3_32

import routereval as rv
from routereval.data.texts import Texts
from routereval.encoders import embedded
from routereval.encoders.hashing import Hashing
from routereval.errors import MissingDataError, UnknownNameError

TEXTS = ["Prove the theorem", "Prove it; prove the lemma!", "Übersetze das Gedicht", "プログラム を 書く", "x"]


def by_hand(words: list[str], dimensions: int) -> np.ndarray:
    """Signed counts of words and pairs of neighbours, bucketed by MurmurHash3, of length one."""
    counts = Counter([*words, *(" ".join(pair) for pair in pairwise(words))])
    row = np.zeros(dimensions)
    for token, count in counts.items():
        hashed = murmurhash3_32(token, seed=0)
        row[abs(hashed) % dimensions] += count if hashed >= 0 else -count
    return row / np.linalg.norm(row)


@pytest.mark.parametrize("dimensions", [7, 512])
def test_an_embedding_is_the_hashed_counts_worked_out_by_hand(dimensions: int) -> None:
    found = Hashing(dimensions).encode(TEXTS[:2])
    words = [["prove", "the", "theorem"], ["prove", "it", "prove", "the", "lemma"]]
    np.testing.assert_allclose(found, [by_hand(one, dimensions) for one in words], atol=1e-6)


def test_embeddings_are_rows_of_float32_of_length_one() -> None:
    found = Hashing(64).encode(TEXTS)
    assert found.shape == (5, 64)
    assert found.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(found[:4], axis=1), 1, atol=1e-6)
    assert not found[4].any()  # a single letter is no word


def test_a_text_is_encoded_alike_whatever_its_neighbours_and_its_case() -> None:
    alone = Hashing().encode(["prove THE theorem"])
    np.testing.assert_array_equal(Hashing().encode(TEXTS)[:1], alone)


def test_texts_with_words_in_common_are_near_and_others_are_not() -> None:
    same, other = Hashing().encode(["prove the theorem now", "prove the theorem", "boil four eggs"])[0] @ np.transpose(
        Hashing().encode(["prove the theorem", "boil four eggs"])
    )
    assert same > 0.7
    assert abs(other) < 0.3


def test_texts_of_the_store_and_characters_that_are_none_can_be_encoded() -> None:
    odd = ["lone \ud800 surrogate", ""]
    np.testing.assert_array_equal(Hashing().encode(Texts.encode(odd)), Hashing().encode(["lone surrogate", ""]))


# Which embeddings


def benchmark(embeddings: bool, texts: bool) -> rv.BenchmarkData:
    scores = rv.ScoreMatrix.from_dense([[0, 1], [1, 0], [1, 1]], "abc", "xy")
    return rv.BenchmarkData(
        benchmark="tiny",
        scores=scores,
        queries=rv.Queries(
            ("a", "b", "c"), np.eye(3, dtype=np.float32) if embeddings else None, TEXTS[:3] if texts else None
        ),
        split=rv.Split(np.array([0]), np.array([1]), np.array([2])),
        pools={("all", 2): rv.CandidatePool(("x", "y"), "all")},
        source="a test",
    )


def test_shipped_embeddings_are_taken_where_there_are_any() -> None:
    data = benchmark(embeddings=True, texts=True)
    assert embedded(data) is data
    assert embedded(data, "shipped") is data
    assert data.scenario("all", 2).encoder == "shipped"


def test_texts_are_hashed_where_nothing_was_shipped_or_where_one_says_so() -> None:
    for data, encoder in ((benchmark(False, True), "auto"), (benchmark(True, True), "hashing")):
        found = embedded(data, encoder)
        scenario = found.scenario("all", 2)
        assert scenario.encoder == found.encoder == "hashing"
        np.testing.assert_array_equal(scenario.test.queries.require_embeddings(), Hashing().encode(TEXTS[2:3]))
        assert scenario.test.queries.texts == TEXTS[2:3]
        assert data.encoder == "shipped"  # the data themselves stay as they were


def test_hashed_data_are_not_taken_for_those_in_the_store() -> None:
    stored = rv.load_benchmark("demo_math")
    assert stored.store_dir is not None
    assert embedded(stored, "hashing").store_dir is None


def test_without_texts_there_is_nothing_to_encode() -> None:
    bare = benchmark(False, False)
    assert embedded(bare).encoder == "none"
    assert embedded(bare).queries.embeddings is None
    with pytest.raises(MissingDataError, match="a test has no prompt texts, so 'hashing' has nothing to encode"):
        embedded(bare, "hashing")


def test_an_unknown_encoder_names_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown encoder 'hashin'; did you mean 'hashing'\?"):
        embedded(benchmark(True, True), "hashin")
    with pytest.raises(UnknownNameError, match=r"unknown encoder 'bert'; known: hashing, shipped"):
        embedded(benchmark(True, True), "bert")

"""Hashed words."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from sklearn.utils import murmurhash3_32

from routereval.data.texts import Texts
from routereval.encoders.hashing import Hashing

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

"""The encoders that need nothing beside the core: static embeddings, TF-IDF with SVD."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import routereval as rv
from routereval.data.texts import Texts
from routereval.encoders import ENCODERS, embedded
from routereval.encoders.contract import absent
from routereval.encoders.tfidf_svd import TfidfSvd
from routereval.encoders.wordllama import WordLlama
from routereval.errors import DataError

needs_wordllama = pytest.mark.skipif(bool(absent(WordLlama)), reason="wordllama is not installed")

MATHS = ["prove the theorem about primes", "prove the lemma about primes", "a theorem about prime numbers"]
FOOD = ["boil four eggs in water", "fry two eggs in butter", "eggs boiled in salted water"]


@needs_wordllama
def test_a_static_embedding_is_the_mean_that_the_package_computes() -> None:
    import wordllama

    package = wordllama.WordLlama.load(cache_dir=Path(wordllama.__file__).parent, disable_download=True)
    texts = [*MATHS, "プログラム を 書く", "word " * 700]
    found = WordLlama().encode(texts)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, package.embed(texts, norm=True), atol=1e-6)


@needs_wordllama
def test_static_embeddings_are_of_length_one_and_zero_for_nothing() -> None:
    found = WordLlama().encode(["eggs", "", "boil four eggs"])
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), [1, 0, 1], atol=1e-6)


@needs_wordllama
def test_a_text_is_encoded_alike_whatever_its_neighbours() -> None:
    np.testing.assert_array_equal(WordLlama().encode([*MATHS, *FOOD])[3:4], WordLlama().encode(FOOD[:1]))


@needs_wordllama
def test_static_embeddings_know_like_words() -> None:
    physician, doctor, banana = WordLlama().encode(["physician", "doctor", "banana"])
    assert physician @ doctor > physician @ banana + 0.2


@needs_wordllama
def test_loading_them_leaves_logging_as_it_was_and_the_network_alone() -> None:
    code = (
        "import logging, socket\n"
        "def refuse(*_): raise OSError('no network')\n"
        "socket.socket.connect = refuse\n"
        "from routereval.encoders.wordllama import WordLlama\n"
        "print(WordLlama().encode(['x']).shape, logging.root.handlers, logging.root.level)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"(1, 256) [] {logging.WARNING}"


def test_an_svd_of_tfidf_is_the_one_worked_out_densely() -> None:
    texts = [*MATHS, *FOOD]
    found = TfidfSvd(dimensions=3).fit(texts).encode(texts)

    def tokens(text: str) -> list[str]:
        words = [word for word in text.split() if len(word) > 1]
        return [*words, *(" ".join(pair) for pair in pairwise(words))]

    counts = [Counter(tokens(text)) for text in texts]
    vocabulary = sorted(set().union(*counts))
    tf = np.array([[1 + np.log(c[t]) if c[t] else 0.0 for t in vocabulary] for c in counts])
    idf = np.log((1 + len(texts)) / (1 + (tf > 0).sum(axis=0))) + 1
    weighted = tf * idf
    weighted /= np.linalg.norm(weighted, axis=1, keepdims=True)
    u, s, _ = np.linalg.svd(weighted, full_matrices=False)
    reduced = u[:, :3] * s[:3]
    reduced /= np.linalg.norm(reduced, axis=1, keepdims=True)
    # Directions have no sign of their own; what lies between the rows has.
    np.testing.assert_allclose(found @ found.T, reduced @ reduced.T, atol=1e-4)


def test_an_svd_has_fewer_dimensions_than_it_was_fitted_on_texts() -> None:
    assert TfidfSvd().fit(MATHS).encode([*MATHS, "unseen words", ""]).shape == (5, 2)


def test_words_that_occur_together_are_near() -> None:
    fitted = TfidfSvd(dimensions=2).fit([*MATHS, *FOOD])
    theorem, lemma, eggs = fitted.encode(["the theorem", "a lemma", "eggs"])
    assert theorem @ lemma > 0.9 > abs(theorem @ eggs) + 0.4


def test_fitting_twice_gives_the_same() -> None:
    first, second = (TfidfSvd(dimensions=3).fit([*MATHS, *FOOD]).encode(MATHS) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_what_cannot_be_fitted_says_why() -> None:
    with pytest.raises(DataError, match="has not been fitted"):
        TfidfSvd().encode(MATHS)
    with pytest.raises(DataError, match="fitted on 1 training and validation texts; it needs at least 2"):
        TfidfSvd().fit(MATHS[:1])
    with pytest.raises(DataError, match="without a single word"):
        TfidfSvd().fit(["x", "?"])


def benchmark(test_texts: list[str]) -> rv.BenchmarkData:
    texts = [*MATHS, *FOOD, *test_texts]
    n = len(texts)
    ids = tuple(map(str, range(n)))
    return rv.BenchmarkData(
        benchmark="tiny",
        scores=rv.ScoreMatrix.from_dense(np.eye(n, 2), ids, "xy"),
        queries=rv.Queries(ids, None, Texts.encode(texts)),
        split=rv.Split(np.arange(4), np.array([4, 5]), np.arange(6, n)),
        pools={("all", 2): rv.CandidatePool(("x", "y"), "all")},
        source="a test",
    )


def test_test_texts_have_no_say_in_what_is_fitted() -> None:
    few = embedded(benchmark(["prime eggs"]), "tfidf_svd:dimensions=4").queries.embeddings
    many = embedded(benchmark(["prime eggs", *["quite different words here"] * 9]), "tfidf_svd:dimensions=4")
    assert few is not None
    assert many.queries.embeddings is not None
    np.testing.assert_array_equal(few, many.queries.embeddings[:7])
    np.testing.assert_array_equal(few, TfidfSvd(4).fit([*MATHS, *FOOD]).encode([*MATHS, *FOOD, "prime eggs"]))
    assert not many.queries.embeddings[7:].any()


def test_fitted_on_other_texts_it_is_another_encoder() -> None:
    data = benchmark(["prime eggs"])
    moved = rv.BenchmarkData(**{**vars(data), "split": rv.Split(np.arange(3), np.array([3]), np.arange(4, 7))})
    first, second = (embedded(one, "tfidf_svd:dimensions=2").queries.embeddings for one in (data, moved))
    assert first is not None
    assert second is not None
    assert np.abs(first @ first.T - second @ second.T).max() > 1e-3


@pytest.mark.parametrize("name", ["wordllama", "hashing", "tfidf_svd"])
def test_a_core_encoder_routes(name: str) -> None:
    if absent(ENCODERS[name]):
        pytest.skip(f"{name} is not installed")
    scenario = embedded(benchmark(["prime eggs"]), name).scenario("all", 2)
    assert rv.evaluate(rv.KNN(k=2), scenario).spec.encoder == name

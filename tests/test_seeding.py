"""Generators seeded from names."""

from __future__ import annotations

import hashlib

import numpy as np

from routereval.seeding import generator


def test_the_same_names_give_the_same_numbers_and_any_other_name_others() -> None:
    first = generator("knn", "mmlu/all_strong/5", 0).random(4)
    assert np.array_equal(generator("knn", "mmlu/all_strong/5", 0).random(4), first)
    others = [("knn", "mmlu/all_strong/5", 1), ("mlp", "mmlu/all_strong/5", 0), ("knn", "mmlu/all_strong/5")]
    others += [("mmlu/all_strong/5", "knn", 0), ("knnmmlu", "/all_strong/5", 0)]
    for names in others:
        assert not np.array_equal(generator(*names).random(4), first), names


def test_the_seed_is_the_hash_of_the_names_so_it_is_the_same_anywhere() -> None:
    digest = hashlib.sha256(b"a\x00b\x007").digest()
    expected = np.random.default_rng(int.from_bytes(digest[:16], "little")).integers(0, 1 << 60, 5)
    assert np.array_equal(generator("a", "b", 7).integers(0, 1 << 60, 5), expected)


def test_numpys_global_generator_is_left_alone() -> None:
    np.random.seed(0)  # noqa: NPY002
    generator("a").random(100)
    assert np.random.random_sample() == np.random.RandomState(0).random_sample()  # noqa: NPY002

"""Train, validation and test prompts."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import routereval as rv
from routereval import facts
from routereval.errors import DataError

PARTS = ("train", "val", "test")


def parts_of(split: rv.Split) -> list[list[int]]:
    return [getattr(split, part).tolist() for part in PARTS]


def test_each_group_is_shuffled_by_the_legacy_generator_and_cut_at_80_and_90_percent() -> None:
    # What np.random.seed(42) shuffles ten numbers into, then five: printed by NumPy itself, long since frozen.
    first = [8, 1, 5, 0, 7, 2, 9, 4, 3, 6]
    generator = np.random.RandomState(42)
    shuffled = np.arange(10)
    generator.shuffle(shuffled)
    assert shuffled.tolist() == first
    second = np.arange(10, 15)
    generator.shuffle(second)
    # Ten prompts: cuts after int(8.0) and int(9.0). Five prompts: after int(4.0) and int(4.5).
    assert parts_of(rv.Split.stratified(["a"] * 10 + ["b"] * 5)) == [
        [*first[:8], *second[:4].tolist()],
        [first[8]],
        [first[9], *second[4:].tolist()],
    ]


def test_a_group_is_wherever_its_prompts_are_and_groups_go_in_order_of_first_appearance() -> None:
    apart = rv.Split.stratified(["z", "a", "z", "a", "z"], (0.5, 1.0), seed=3)
    generator = np.random.RandomState(3)
    z, a = np.array([0, 2, 4]), np.array([1, 3])
    generator.shuffle(z)
    generator.shuffle(a)
    assert parts_of(apart) == [[z[0], a[0]], [*z[1:], a[1]], []]


def test_a_generator_goes_on_where_it_was() -> None:
    generator = np.random.RandomState(7)
    first, second = (rv.Split.stratified(["a"] * 30, seed=generator) for _ in range(2))
    assert parts_of(first) == parts_of(rv.Split.stratified(["a"] * 30, seed=7))
    assert parts_of(second) != parts_of(first)


def test_prompts_that_belong_together_go_with_the_first_of_them() -> None:
    # 0 and 3 belong together, and so do 1, 4 and 5; what is shuffled and cut are the firsts: 0, 1, 2, then 6.
    split = rv.Split.stratified([*"aaabbbb"], (0.5, 0.75), seed=1, clusters=np.array([0, 1, 2, 0, 1, 1, 6]))
    generator = np.random.RandomState(1)
    a = np.arange(3)
    generator.shuffle(a)
    together = {0: [0, 3], 1: [1, 4, 5], 2: [2], 6: [6]}
    train, val, test = parts_of(split)
    assert sorted(train) == together[a[0]]
    assert sorted(val) == together[a[1]]
    assert sorted(test) == sorted([*together[a[2]], *together[6]])


@settings(max_examples=30, deadline=None, database=None)
@given(st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_no_cluster_is_torn_and_clusters_of_one_change_nothing(n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    groups = rng.choice(["a", "b"], n).tolist()
    labels = rng.integers(0, n, n)
    clusters = np.array([int(np.flatnonzero(labels == label)[0]) for label in labels])
    parts = parts_of(rv.Split.stratified(groups, (0.4, 0.7), seed=3, clusters=clusters))
    assert sorted(parts[0] + parts[1] + parts[2]) == list(range(n))
    where = {prompt: name for name, part in zip(PARTS, parts, strict=True) for prompt in part}
    assert all(where[prompt] == where[int(leader)] for prompt, leader in enumerate(clusters))
    alone = rv.Split.stratified(groups, (0.4, 0.7), seed=3, clusters=np.arange(n))
    assert parts_of(alone) == parts_of(rv.Split.stratified(groups, (0.4, 0.7), seed=3))


def test_splitting_leaves_numpys_global_generator_alone() -> None:
    np.random.seed(0)  # noqa: NPY002
    expected = np.random.RandomState(0).random_sample()
    rv.Split.stratified(["a"] * 30)
    assert np.random.random_sample() == expected  # noqa: NPY002


@settings(max_examples=30, deadline=None, database=None)
@given(
    st.lists(st.sampled_from("abc"), min_size=1, max_size=60),
    st.tuples(st.floats(0, 1), st.floats(0, 1)).map(lambda pair: tuple(sorted(pair))),
    st.integers(0, 2**32 - 1),
)
def test_every_prompt_lies_in_one_part_and_every_group_is_cut_by_the_fractions(
    groups: list[str], fractions: tuple[float, float], seed: int
) -> None:
    split = rv.Split.stratified(groups, fractions, seed=seed)
    train, val, test = parts_of(split)
    assert sorted(train + val + test) == list(range(len(groups)))
    bounds = (0.0, *fractions, 1.0)
    for group, size in Counter(groups).items():
        found = [sum(groups[i] == group for i in part) for part in (train, val, test)]
        cuts = [int(bound * size) for bound in bounds]
        assert found == [after - before for before, after in pairwise(cuts)]


@pytest.mark.parametrize("key", sorted(facts.benchmarks()))
def test_the_published_splits_come_out_to_the_last_index(key: str, shared: Path) -> None:
    golden = json.loads((shared / "facts" / "split_golden.json").read_text())[key]
    groups = [subset for subset, size in facts.benchmarks()[key].subsets.items() for _ in range(size)]
    split = rv.Split.stratified(groups)
    assert [len(getattr(split, part)) for part in PARTS] == golden["sizes"]
    for part in ("train", "test"):
        assert getattr(split, part)[:5].tolist() == golden[f"{part}_first5"]
    for part, expected in golden["sha256_int64le"].items():
        assert hashlib.sha256(getattr(split, part).astype("<i8").tobytes()).hexdigest() == expected


@pytest.mark.parametrize(
    ("train", "val", "test"), [([0, 1], [1], [2]), ([0, 1], [2], [0]), ([0], [1, 2], [2]), ([0, 0], [1], [2])]
)
def test_a_prompt_in_two_places_is_refused(train: list[int], val: list[int], test: list[int]) -> None:
    with pytest.raises(DataError, match="a prompt lies in more than one of train, val and test"):
        rv.Split(np.array(train), np.array(val), np.array(test))


def test_a_split_prints_its_sizes() -> None:
    assert repr(rv.Split.stratified(["a"] * 10)) == "Split(8 train, 1 val, 1 test)"

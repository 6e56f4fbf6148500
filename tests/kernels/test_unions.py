"""Each compiled loop over rows of bits equals its plain NumPy twin, whatever the shape and the scores."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from routereval.data.scores import pack
from routereval.kernels.unions import _popcount, greedy_union, union_counts, window_union_counts

KINDS = ("mixed", "rare", "ones", "zeros")
SEEDS = st.integers(0, 9999)
PROMPTS = st.one_of(st.integers(1, 200), st.sampled_from([1, 63, 64, 65, 127, 128, 129]))
# Rows are worked on 64 at a time, windows 96 at a time.
MODELS = st.one_of(st.integers(1, 14), st.sampled_from([1, 63, 64, 65, 129, 143, 144, 250]))


def scores(n: int, m: int, kind: str, seed: int) -> NDArray[np.bool_]:
    """Right and wrong answers (n, m)."""
    share = {"mixed": 0.4, "rare": 0.02, "ones": 2.0, "zeros": -1.0}[kind]
    return np.random.default_rng(seed).random((n, m)) < share


def shapes(test):  # type: ignore[no-untyped-def]
    """Any shape and kind of scores; one prompt, one model, all ones and all zeros for certain."""
    cases = [(1, 1, "ones", 0), (1, 1, "zeros", 0), (65, 1, "mixed", 0), (1, 9, "mixed", 1)]
    cases += [(64, 7, "ones", 2), (130, 7, "zeros", 3), (63, 5, "rare", 4), (70, 250, "rare", 5)]
    for case in cases:
        test = example(*case)(test)
    test = given(PROMPTS, MODELS, st.sampled_from(KINDS), SEEDS)(test)
    return settings(max_examples=60, deadline=None)(test)


def counted(right: NDArray[np.bool_], index: NDArray[np.int64]) -> list[int]:
    """What ``union_counts`` says."""
    out = np.full(len(index), -1)
    union_counts(pack(right), index, out)
    return out.tolist()


def windows_counted(right: NDArray[np.bool_], size: int) -> list[int]:
    """What ``window_union_counts`` says."""
    out = np.full(right.shape[1] - size + 1, -1)
    window_union_counts(pack(right), size, out)
    return out.tolist()


def solved(right: NDArray[np.bool_], choices: NDArray[np.int64]) -> list[int]:
    """The twin: on how many prompts any model of each choice is right."""
    return [int(right[:, choice].any(axis=1).sum()) for choice in choices]


def every_window(models: int, size: int) -> NDArray[np.int64]:
    """Positions of the models of each window."""
    return np.arange(models - size + 1)[:, None] + np.arange(size)


@shapes
def test_counting_bits(n: int, m: int, kind: str, seed: int) -> None:
    right = scores(n, m, kind, seed)
    assert [_popcount(row) for row in pack(right)] == right.sum(axis=0).tolist()


@shapes
def test_the_or_of_a_few_rows(n: int, m: int, kind: str, seed: int) -> None:
    right = scores(n, m, kind, seed)
    index = np.random.default_rng(seed + 1).integers(0, m, size=(5, 1 + seed % 5))
    assert counted(right, index) == solved(right, index)


@shapes
def test_the_or_of_so_many_rows_that_all_choices_are_made_together(n: int, m: int, kind: str, seed: int) -> None:
    right = scores(n, m, kind, seed)
    # Members out of order and the same one more than once, then ascending.
    index = np.random.default_rng(seed + 1).integers(0, m, size=(3 + seed % 30, m))
    assert counted(right, index) == solved(right, index)
    assert counted(right, np.sort(index, axis=1)) == solved(right, index)


@shapes
def test_the_or_of_every_window(n: int, m: int, kind: str, seed: int) -> None:
    right = scores(n, m, kind, seed)
    size = 1 + seed % m
    assert windows_counted(right, size) == solved(right, every_window(m, size))


@pytest.mark.parametrize("size", [1, 2, 95, 96, 97, 143, 144, 145, 191, 192, 193, 240, 288, 300])
def test_the_or_of_windows_of_several_blocks(size: int) -> None:
    right = scores(90, 300, "rare", size)
    assert windows_counted(right, size) == solved(right, every_window(300, size))


@pytest.mark.parametrize("words", [256, 257, 513])
def test_the_or_of_rows_so_long_that_they_are_cut(words: int) -> None:
    right = scores(64 * words - 5, 70, "rare", words)
    index = np.sort(np.random.default_rng(words).integers(0, 70, size=(25, 10)), axis=1)
    assert counted(right, index) == solved(right, index)


@shapes
def test_choosing_rows_one_by_one(n: int, m: int, kind: str, seed: int) -> None:
    right = scores(n, m, kind, seed)
    size = 1 + seed % m
    out = np.full(size, -1)
    greedy_union(pack(right), size, out)
    covered, expected = np.zeros(n, dtype=bool), []
    for _ in range(size):
        gains = (right & ~covered[:, None]).sum(axis=0)
        gains[expected] = -1
        expected.append(m - 1 - int(np.argmax(gains[::-1])))
        covered |= right[:, expected[-1]]
    assert out.tolist() == expected

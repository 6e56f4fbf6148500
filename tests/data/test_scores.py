"""Scores packed and unpacked, cut and summed up, against plain NumPy on the dense array."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from routereval.data.scores import ScoreMatrix, pack, unpack
from routereval.errors import DataError

NAN = float("nan")
KINDS = ("binary", "binary with holes", "graded", "graded with holes")
SIZES = [(1, 1), (63, 3), (64, 2), (65, 4), (130, 5), (7, 300)]
"""Prompts x models: around the 64 prompts of a word, and more models than are unpacked at once."""


def dense_scores(kind: str, n: int, m: int) -> NDArray[np.float32]:
    """Random scores; with holes, the first model was never observed and neither was any model on the first prompt."""
    rng = np.random.default_rng([n, m])
    dense = rng.random((n, m), dtype=np.float32)
    if kind.startswith("binary"):
        dense = (dense < 0.4).astype(np.float32)
    if kind.endswith("holes"):
        dense[rng.random((n, m)) < 0.3] = np.nan
        dense[0, :] = dense[:, 0] = np.nan
    return dense


def matrix(dense: NDArray[np.float32]) -> ScoreMatrix:
    n, m = dense.shape
    return ScoreMatrix.from_dense(dense, [f"p{i}" for i in range(n)], [f"m{i}" for i in range(m)], missing=True)


def ignoring_empty_slices(function, values: NDArray[np.floating], **words):
    """A nan-function of NumPy without its warning that a row or column has nothing but nan."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return function(values.astype(np.float64), **words)


# Bits


def test_prompt_j_is_bit_j_of_its_models_words() -> None:
    flags = np.zeros((70, 2), dtype=np.bool_)
    flags[[0, 5, 63], 0] = True
    flags[[1, 64, 69], 1] = True
    assert pack(flags).tolist() == [[2**0 + 2**5 + 2**63, 0], [2**1, 2**0 + 2**5]]


@settings(max_examples=40, deadline=None, database=None)
@given(n=st.integers(0, 200), m=st.integers(0, 4), seed=st.integers(0, 2**32 - 1))
def test_what_is_packed_comes_back(n: int, m: int, seed: int) -> None:
    flags = np.random.default_rng(seed).random((n, m)) < 0.5
    bits = pack(flags)
    assert bits.shape == (m, (n + 63) // 64)
    assert bits.dtype == np.uint64
    assert np.bitwise_count(bits).sum() == flags.sum()  # nothing is set beyond the last prompt
    assert np.array_equal(unpack(bits, n), flags)


# One matrix


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("n", "m"), SIZES)
def test_a_matrix_knows_what_numpy_knows_of_the_dense_array(kind: str, n: int, m: int) -> None:
    dense = dense_scores(kind, n, m)
    scores = matrix(dense)
    seen = ~np.isnan(dense)
    assert scores.shape == (n, m)
    assert scores.complete == seen.all()
    assert scores.coverage == seen.mean()
    assert scores.dense().dtype == np.float32
    np.testing.assert_array_equal(scores.dense(), dense)
    np.testing.assert_array_equal(scores.mask(), seen)
    np.testing.assert_array_equal(unpack(scores.observed_bits(), n), seen)
    np.testing.assert_array_equal(scores.counts, seen.sum(axis=0))
    np.testing.assert_allclose(scores.model_means, ignoring_empty_slices(np.nanmean, dense, axis=0), rtol=1e-12, atol=0)
    best = ignoring_empty_slices(np.nanmax, dense, axis=1)
    assert scores.oracle_mean == pytest.approx(ignoring_empty_slices(np.nanmean, best), rel=1e-12, nan_ok=True)


def test_binary_scores_are_bits_and_graded_ones_are_not() -> None:
    binary, graded = (ScoreMatrix.from_dense([[0, 1], [1, top]], "ab", "xy") for top in (1.0, 0.5))
    assert (binary.binary, binary.values, binary.observed) == (True, None, None)
    assert (graded.binary, graded.bits) == (False, None)
    assert binary.bits is not None
    assert binary.bits.tolist() == [[0b10], [0b11]]


@pytest.mark.parametrize("dtype", [bool, np.int8, np.uint64, np.float16, np.float64])
def test_zeros_and_ones_of_any_type_are_the_same_bits(dtype: type) -> None:
    dense = dense_scores("binary", 70, 3)
    scores = ScoreMatrix.from_dense(dense.astype(dtype), [str(i) for i in range(70)], "xyz")
    np.testing.assert_array_equal(scores.bits, matrix(dense).bits)


def test_hand_made_scores_with_holes_have_the_means_worked_out_by_hand() -> None:
    rows = [[1, 0, NAN], [NAN, 1, NAN], [0, 0, NAN], [NAN, NAN, NAN]]
    scores = ScoreMatrix.from_dense(rows, "abcd", "xyz", missing=True)
    assert scores.counts.tolist() == [2, 3, 0]
    assert scores.model_means[:2].tolist() == [0.5, 1 / 3]
    assert np.isnan(scores.model_means[2])
    assert scores.oracle_mean == 2 / 3  # nobody was observed on d, so it does not count
    assert scores.coverage == 5 / 12


@pytest.mark.parametrize("kind", ["binary", "graded"])
def test_nothing_observed_leaves_no_mean(kind: str) -> None:
    start = np.array([[0.5 if kind == "graded" else 1.0, NAN], [NAN, NAN]])
    nothing = ScoreMatrix.from_dense(start, "ab", "xy", missing=True).columns(np.array([1]))
    assert nothing.binary == (kind == "binary")
    assert np.isnan(nothing.oracle_mean)
    assert np.isnan(nothing.model_means).all()
    assert (nothing.coverage, nothing.complete) == (0.0, False)


def test_a_models_mean_is_to_the_last_bit_the_same_whichever_others_are_there() -> None:
    scores = matrix(dense_scores("graded", 1000, 6))
    alone = [scores.columns(np.array([column])).model_means[0] for column in range(6)]
    assert alone == scores.model_means.tolist()


def test_a_matrix_of_no_prompts_is_one() -> None:
    empty = matrix(dense_scores("binary", 5, 2)).rows(np.array([], dtype=np.intp))
    assert empty.shape == (0, 2)
    assert empty.dense().shape == (0, 2)
    assert empty.coverage == 0.0
    assert np.isnan(empty.oracle_mean)
    assert np.isnan(empty.model_means).all()


@pytest.mark.parametrize(
    ("rows", "text"),
    [
        ([[0, 1], [1, 1]], "ScoreMatrix(2 prompts x 2 models, binary)"),
        ([[0, 0.5], [1, 1]], "ScoreMatrix(2 prompts x 2 models, graded)"),
        ([[0, NAN], [1, 1]], "ScoreMatrix(2 prompts x 2 models, binary, 75.0% observed)"),
    ],
)
def test_a_matrix_prints_its_size_and_kind(rows: list[list[float]], text: str) -> None:
    assert repr(ScoreMatrix.from_dense(rows, "ab", "xy", missing=True)) == text


# Cut from it


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("n", "m"), SIZES)
def test_rows_and_columns_are_those_of_the_dense_array_in_the_order_asked_for(kind: str, n: int, m: int) -> None:
    dense = dense_scores(kind, n, m)
    scores = matrix(dense)
    rng = np.random.default_rng(0)
    for rows in (rng.permutation(n), rng.permutation(n)[: n // 2], np.array([n - 1])):
        cut = scores.rows(rows)
        np.testing.assert_array_equal(cut.dense(), dense[rows])
        assert cut.prompt_ids == tuple(f"p{i}" for i in rows)
        assert cut.model_ids == scores.model_ids
        if cut.bits is not None:
            np.testing.assert_array_equal(cut.bits, pack(dense[rows] == 1))
    for columns in (rng.permutation(m), np.array([m - 1])):
        cut = scores.columns(columns)
        np.testing.assert_array_equal(cut.dense(), dense[:, columns])
        assert cut.model_ids == tuple(f"m{i}" for i in columns)
        assert cut.prompt_ids == scores.prompt_ids


@settings(max_examples=30, deadline=None, database=None)
@given(n=st.integers(1, 150), length=st.integers(0, 150), kind=st.sampled_from(KINDS), seed=st.integers(0, 2**32 - 1))
def test_sums_over_any_rows_are_those_of_numpy(n: int, length: int, kind: str, seed: int) -> None:
    dense = dense_scores(kind, n, 3)
    index = np.random.default_rng(seed).integers(0, n, length)
    cut, expected = matrix(dense).rows(index), dense[index]
    np.testing.assert_array_equal(cut.dense(), expected)
    np.testing.assert_array_equal(cut.counts, (~np.isnan(expected)).sum(axis=0))
    np.testing.assert_allclose(cut.model_means, ignoring_empty_slices(np.nanmean, expected, axis=0), rtol=1e-12)


def test_models_are_found_by_name() -> None:
    scores = ScoreMatrix.from_dense([[0, 1, 0], [1, 1, 0]], "ab", "xyz")
    assert scores.models(("z", "x")).dense().tolist() == [[0, 0], [0, 1]]
    assert scores.models(["z", "x"]).model_ids == ("z", "x")


def test_models_without_scores_are_named_the_first_five_of_them() -> None:
    scores = ScoreMatrix.from_dense([[0, 1]], "a", "xy")
    with pytest.raises(DataError, match=r"^6 models have no scores: a, b, c, d, e$"):
        scores.models(("x", *"abcdef"))


def test_a_cut_without_holes_is_complete() -> None:
    scores = ScoreMatrix.from_dense([[0, NAN], [1, 1]], "ab", "xy", missing=True)
    assert not scores.complete
    assert scores.rows(np.array([1])).complete
    assert scores.rows(np.array([1])).observed is None
    assert scores.columns(np.array([0])).observed is None
    assert not scores.columns(np.array([1])).complete


# What is no matrix


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([["a", "b"], ["c", "d"]], "scores have dtype <U1; expected numbers"),
        ([[1j, 0], [0, 1]], "scores have dtype complex128; expected numbers"),
        ([[0, 1]], r"scores have shape \(1, 2\), ids say \(2, 2\) \(prompts x models\)"),
        ([0, 1], r"scores have shape \(2,\), ids say \(2, 2\)"),
        (
            [[0, NAN], [NAN, 1]],
            r"2 of 4 scores are nan; leave a cell out if it was not observed \(first: prompt 'a', model 'y': nan\)",
        ),
        ([[0, 1], [np.inf, 0]], r"^1 of 4 scores are infinite \(first: prompt 'b', model 'x': inf\)$"),
        ([[0, 1], [1, 85]], r"1 of 4 scores lie outside \[0, 1\]; rescale them \(first: prompt 'b', model 'y': 85\)"),
        ([[0, 1], [-0.25, 0]], r"1 of 4 scores lie outside \[0, 1\]; rescale them \(first: .* 'x': -0\.25\)"),
    ],
)
def test_what_cannot_be_scores_is_refused_and_the_first_bad_cell_named(values: list[object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        ScoreMatrix.from_dense(values, "ab", "xy")


def test_several_faults_are_said_at_once() -> None:
    with pytest.raises(DataError) as caught:
        ScoreMatrix.from_dense([[NAN, -np.inf], [2, -1]], "ab", "xy")
    nan, infinite, outside = str(caught.value).split("); ")
    assert nan.startswith("1 of 4 scores are nan")
    assert infinite.startswith("1 of 4 scores are infinite")
    assert outside.startswith("2 of 4 scores lie outside [0, 1]; rescale them (first: prompt 'b', model 'x': 2")


def test_holes_that_were_declared_do_not_hide_other_faults() -> None:
    with pytest.raises(DataError, match=r"^1 of 4 scores lie outside"):
        ScoreMatrix.from_dense([[NAN, 1], [2, NAN]], "ab", "xy", missing=True)

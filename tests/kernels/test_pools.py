"""Each compiled loop over pools equals its plain NumPy twin, whatever the shape and the scores."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from routereval.data.scores import pack, unpack
from routereval.kernels.pools import best_sums, draw_pools, pool_choices, window_best_sums

KINDS = ("mixed", "rare", "ones", "zeros")
SEEDS = st.integers(0, 9999)
PROMPTS = st.one_of(st.integers(1, 200), st.sampled_from([1, 63, 64, 65, 127, 128, 129]))
MODELS = st.integers(1, 14)


def scores(n: int, m: int, kind: str, seed: int) -> NDArray[np.bool_]:
    """Right and wrong answers (n, m)."""
    share = {"mixed": 0.4, "rare": 0.02, "ones": 2.0, "zeros": -1.0}[kind]
    return np.random.default_rng(seed).random((n, m)) < share


def values(n: int, m: int, kind: str, seed: int) -> NDArray[np.float32]:
    """Graded scores (n, m), a third of the cells missing where the kind is mixed, nearly all where it is rare."""
    rng = np.random.default_rng(seed)
    made = rng.choice([0, 0.25, 0.5, 1], size=(n, m)).astype(np.float32)
    if kind in ("ones", "zeros"):
        return np.full((n, m), kind == "ones", dtype=np.float32)
    made[rng.random((n, m)) < (0.3 if kind == "mixed" else 0.95)] = np.nan
    return made


def choices(m: int, seed: int, size: int, count: int = 5) -> NDArray[np.int64]:
    """Some choices of models, (count, size), the same one perhaps more than once."""
    return np.random.default_rng(seed + 1).integers(0, m, size=(count, size))


def shapes(test):  # type: ignore[no-untyped-def]
    """Any shape and kind of scores; one prompt, one model, all ones and all zeros for certain."""
    cases = [(1, 1, "ones", 0), (1, 1, "zeros", 0), (65, 1, "mixed", 0), (1, 9, "mixed", 1)]
    cases += [(64, 7, "ones", 2), (130, 7, "zeros", 3), (63, 5, "rare", 4)]
    for case in cases:
        test = example(*case)(test)
    test = given(PROMPTS, MODELS, st.sampled_from(KINDS), SEEDS)(test)
    return settings(max_examples=60, deadline=None)(test)


def check_best(
    graded: NDArray[np.float32], index: NDArray[np.int64], sums: NDArray[np.float64], counts: NDArray[np.int64]
) -> None:
    """Sums and counts are those of the highest observed scores of each choice of models."""
    best = [np.fmax.reduce(graded[:, row], axis=1) for row in index]
    assert counts.tolist() == [int((~np.isnan(one)).sum()) for one in best]
    np.testing.assert_allclose(sums, [np.nansum(one.astype(np.float64)) for one in best], rtol=1e-12)


@shapes
def test_the_sum_of_the_best_of_any_models(n: int, m: int, kind: str, seed: int) -> None:
    graded = values(n, m, kind, seed)
    index = choices(m, seed, size=1 + seed % 5)
    sums, counts = np.full(len(index), -1.0), np.full(len(index), -1)
    best_sums(graded, index, sums, counts)
    check_best(graded, index, sums, counts)


@pytest.mark.parametrize("n", [511, 512, 513])
@pytest.mark.parametrize("m", [63, 64, 65, 140])
def test_the_sum_of_the_best_of_models_of_several_tiles(n: int, m: int) -> None:
    graded = values(n, m, "mixed", n + m)
    index = choices(m, n + m, size=30)
    for members in (index, np.sort(index, axis=1)):
        sums, counts = np.full(len(index), -1.0), np.full(len(index), -1)
        best_sums(graded, members, sums, counts)
        check_best(graded, members, sums, counts)


@shapes
def test_the_sum_of_the_best_of_every_window(n: int, m: int, kind: str, seed: int) -> None:
    graded = values(n, m, kind, seed)
    size = 1 + seed % m
    sums, counts = np.full(m - size + 1, -1.0), np.full(m - size + 1, -1)
    window_best_sums(graded, size, sums, counts)
    check_best(graded, np.arange(m - size + 1)[:, None] + np.arange(size), sums, counts)


@shapes
def test_what_the_models_with_the_highest_predictions_scored(n: int, m: int, kind: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    actual = values(n, m, kind, seed)
    # Few different predictions, so that most are tied; some infinitely low.
    predicted = rng.choice([-np.inf, -1.0, 0.0, 0.5, 2.0], size=(n, m))
    pools = choices(m, seed, size=1 + seed % 5)
    sums, counts = np.full(len(pools), -1.0), np.full(len(pools), -1)
    pool_choices(predicted, actual, pools, sums, counts)
    for pool, total, count in zip(pools, sums, counts, strict=True):
        picked = []
        for guess, score in zip(predicted[:, pool], actual[:, pool], strict=True):
            seen = np.flatnonzero(~np.isnan(score))
            if len(seen):
                picked.append(float(score[seen[np.argmax(guess[seen])]]))
        assert count == len(picked)
        assert total == pytest.approx(sum(picked), rel=1e-12)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 200), SEEDS, st.data())
@example(1, 0, None)
def test_drawing_subsets(models: int, seed: int, data: st.DataObject | None) -> None:
    m = 1 if data is None else data.draw(st.integers(1, models))
    out = np.full((4, m), -1)
    draw_pools(models, np.random.default_rng(seed), out)
    rng, order = np.random.default_rng(seed), np.arange(models)
    for drawn in out:
        for i in range(m):
            j = i + int(rng.random() * (models - i))
            order[[i, j]] = order[[j, i]]
        assert drawn.tolist() == sorted(order[:m].tolist())


@shapes
def test_packing_is_undone_by_unpacking_and_leaves_no_bit_behind(n: int, m: int, kind: str, seed: int) -> None:
    right = scores(n, m, kind, seed)
    bits = pack(right)
    assert bits.shape == (m, -(-n // 64))
    assert np.array_equal(unpack(bits, n), right)
    # Bits beyond the last prompt would be counted as prompts.
    assert not unpack(bits, bits.shape[1] * 64)[n:].any()

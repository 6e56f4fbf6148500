"""Candidate pools at the largest published shape, against a plain NumPy transcription of the published rule.

    python benchmarks/pools.py

14,042 prompts x 5,000 models, m = 1000: the draws of strong_to_weak, the windows of all_strong, and a point of a
scaling curve. The NumPy transcription runs a few draws only, and its time is multiplied up; the line says so.
"""

from __future__ import annotations

import time

import numpy as np
from numpy.typing import NDArray

from routereval.data.oracles import oracle_means
from routereval.data.pools import best_draw, best_window, draws_of
from routereval.data.scaling import random_pools
from routereval.data.scores import ScoreMatrix

PROMPTS, MODELS, M, DRAWS, SHOWN = 14_042, 5_000, 1_000, 1_000, 10


def main() -> None:
    """Print what each takes."""
    rng = np.random.default_rng(0)
    # A fifth of the prompts is all but out of reach, so that pools differ in their oracle.
    ability = np.sort(rng.uniform(0.1, 0.9, MODELS))
    reach = np.where(rng.random(PROMPTS) < 0.2, 0.001, 1.0)
    dense = rng.random((PROMPTS, MODELS)) < reach[:, None] * ability
    ranked = ScoreMatrix.from_dense(dense, tuple(map(str, range(PROMPTS))), tuple(map(str, range(MODELS))))
    best_draw(ranked.rows(np.arange(64)), draws_of(0, MODELS, 3, np.random.RandomState(0)))
    best_window(ranked.rows(np.arange(64)), 0, 10, 3)
    random_pools(9, 2, 1, rng)

    start = time.perf_counter()
    draws = draws_of(0, MODELS, M, np.random.RandomState(42))
    drawn = time.perf_counter()
    chosen = best_draw(ranked, draws)
    ended = time.perf_counter()
    print(f"{DRAWS} draws of {M} models: {drawn - start:.3f} s to draw, {ended - drawn:.3f} s to choose (at most 0.2)")

    start = time.perf_counter()
    best_window(ranked, MODELS - 2 * M, MODELS, M)
    print(f"{M + 1} windows of {M} models: {time.perf_counter() - start:.3f} s (at most 0.1)")

    floats = dense.astype(np.float64)
    start = time.perf_counter()
    scores = [floats[:, draw].max(axis=1).mean() for draw in draws[:SHOWN]]
    seconds = (time.perf_counter() - start) * DRAWS / SHOWN
    assert ranked.columns(draws[int(np.argmax(scores))]).oracle_mean == max(scores)
    ratio = seconds / (ended - drawn)
    print(
        f"plain NumPy over float64, from {SHOWN} draws: about {seconds:.0f} s for {DRAWS}, {ratio:,.0f} times as long"
    )
    print(f"the pool's oracle: {ranked.columns(chosen).oracle_mean:.4f}")
    scaling(ranked, floats)


def scaling(ranked: ScoreMatrix, floats: NDArray[np.float64]) -> None:
    """One size of a scaling curve: the oracle of 100 random pools."""
    start = time.perf_counter()
    pools = random_pools(MODELS, M, 100, np.random.default_rng(0))
    means = oracle_means(ranked, pools)
    ours = time.perf_counter() - start
    start = time.perf_counter()
    plain = [floats[:, pool].max(axis=1).mean() for pool in pools[:SHOWN]]
    seconds = (time.perf_counter() - start) * len(pools) / SHOWN
    np.testing.assert_allclose(means[:SHOWN], plain, rtol=1e-12)
    print(f"a point of a scaling curve, 100 random pools of {M}, drawn and scored: {ours:.4f} s")
    print(f"plain NumPy over float64, from {SHOWN} pools: about {seconds:.1f} s, {seconds / ours:,.0f} times as long")


if __name__ == "__main__":
    main()

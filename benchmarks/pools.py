"""Candidate pools at the largest published shape, against a plain NumPy transcription of the published rule.

    python benchmarks/pools.py

14,042 prompts x 5,000 models, m = 1000: the draws of strong_to_weak and the windows of all_strong. The NumPy
transcription runs a few draws only, and its time is multiplied up; the line says so.
"""

from __future__ import annotations

import time

import numpy as np

from routereval.data.pools import best_draw, best_window, draws_of
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
    print(f"plain NumPy over float64, from {SHOWN} draws: about {seconds:.0f} s for {DRAWS}")
    print(f"the pool's oracle: {ranked.columns(chosen).oracle_mean:.4f}")


if __name__ == "__main__":
    main()

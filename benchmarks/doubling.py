"""How cost grows with prompts and with models, from a quarter to four times the largest official benchmark.

    python benchmarks/doubling.py

Twice a series that doubles: prompts at 5,000 models, and models at 14,042 prompts. Scores are bits from the start,
pools have a fifth of the models, and knn is asked about the same number of prompts each time. Seconds are those of the
processors, all threads together, the least of several. The exponent of seconds is fitted by least squares, log on log:
1 is linear, 2 quadratic, 0 does not grow. A bare pass over the bits, from the first to the last, shows what memory
itself does: the bits of the smaller sizes stay in the processor's caches, those of the largest do not.
"""

from __future__ import annotations

import os
import resource
import tempfile
import time
from collections.abc import Callable

import numpy as np

import routereval as rv
from routereval.data import store
from routereval.data.benchmark import BenchmarkData
from routereval.data.oracles import oracle_means
from routereval.data.pools import best_draw, best_window, draws_of
from routereval.data.scaling import random_pools
from routereval.data.scores import ScoreMatrix, pack
from routereval.data.split import Split

PROMPTS, MODELS = 14_042, 5_000
STEPS = (0.25, 0.5, 1.0, 2.0, 4.0)
"""Times the official number."""
DRAWS, DIMENSIONS, ASKED = 100, 64, 1_404


def world(prompts: int, models: int, rng: np.random.Generator) -> ScoreMatrix:
    """Bits of models whose ability rises from 0.1 to 0.9, made in blocks of models: never an array of all cells."""
    ability = np.linspace(0.1, 0.9, models, dtype=np.float32)
    reach = np.where(rng.random(prompts) < 0.2, 0.001, 1.0).astype(np.float32)
    blocks = []
    for start in range(0, models, 250):
        drawn = rng.random((prompts, len(ability[start : start + 250])), dtype=np.float32)
        blocks.append(pack(drawn < reach[:, None] * ability[start : start + 250]))
    return ScoreMatrix(tuple(map(str, range(prompts))), tuple(map(str, range(models))), bits=np.concatenate(blocks))


def timed(work: Callable[[], object]) -> float:
    """Seconds of processor time: the least of five, or of as many as fit into two seconds."""
    seconds: list[float] = []
    while len(seconds) < 5 and sum(seconds) < 2:
        start = time.process_time()
        work()
        seconds.append(time.process_time() - start)
    return min(seconds)


def measured(prompts: int, models: int) -> dict[str, float]:
    """Seconds of each kind of work at one size."""
    rng = np.random.default_rng(0)
    scores = world(prompts, models, rng)
    bits = scores.bits
    assert bits is not None
    m = models // 5
    draws = draws_of(0, models, m, np.random.RandomState(42))[:DRAWS]
    pools = random_pools(models, m, DRAWS, rng)
    embeddings = rng.normal(size=(prompts, DIMENSIONS)).astype(np.float32)
    queries = rv.Queries(scores.prompt_ids, embeddings)
    split = Split.stratified(("",) * prompts)
    key = store.content_key("doubling", str(prompts), str(models))
    data = BenchmarkData("doubling", scores, queries, split, {}, "made up", key)
    store.save(data)
    train = rv.Partition(queries.take(split.train), scores.rows(split.train))
    asked = queries.take(np.arange(min(ASKED, prompts)))

    def column_means() -> None:
        # A fresh one each time: means are kept once they are known.
        _ = ScoreMatrix(scores.prompt_ids, scores.model_ids, bits=scores.bits).model_means

    return {
        "a bare pass over the bits": timed(lambda: bits.max()),
        "strong_to_weak, 100 draws": timed(lambda: best_draw(scores, draws)),
        "every window": timed(lambda: best_window(scores, 0, models, m)),
        "oracle of 100 random pools": timed(lambda: oracle_means(scores, pools)),
        "means of all models": timed(column_means),
        "open the store": timed(lambda: store.find(key)),
        "knn, all models": timed(lambda: rv.KNN().fit(train).predict_scores(asked)),
    }


def fitted(sizes: list[int], seconds: list[float]) -> tuple[float, float]:
    """Slope of log seconds against log size by least squares, and its R^2."""
    x, y = np.log(sizes), np.log(seconds)
    slope, level = np.polyfit(x, y, 1)
    left = y - (slope * x + level)
    return float(slope), float(1 - left.var() / y.var())


def series(what: str, sizes: list[int], shape_of: Callable[[int], tuple[int, int]]) -> None:
    """Measure each size, print seconds and fits."""
    rows = [measured(*shape_of(size)) for size in sizes]
    print(f"{what:30}" + "".join(f"{size:10,}" for size in sizes) + "   exponent   R^2")
    for name in rows[0]:
        seconds = [row[name] for row in rows]
        slope, r2 = fitted(sizes, seconds)
        print(f"  {name:28}" + "".join(f"{one:10.4f}" for one in seconds) + f"   {slope:8.2f}  {r2:.2f}")


def main() -> None:
    """Both series, in a store of their own."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["ROUTEREVAL_HOME"] = folder
        measured(256, 500)  # compiles
        series("prompts", [int(PROMPTS * step) for step in STEPS], lambda prompts: (prompts, MODELS))
        series("models", [int(MODELS * step) for step in STEPS], lambda models: (PROMPTS, models))
    print(f"peak memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB")


if __name__ == "__main__":
    main()

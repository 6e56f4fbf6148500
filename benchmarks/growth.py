"""What grows how: unit costs measured here, and what they come to at sizes nobody has measured yet.

    python benchmarks/growth.py

Each kind of work is measured once at a size that fits, divided by the number of its elementary steps (the formula
beside it), and multiplied up. Bytes are exact. Seconds are those of one core at the speed of these small problems:
beyond what the memory holds they are hopes.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

import routereval as rv
from routereval.data.oracles import oracle_means
from routereval.data.scaling import random_pools
from routereval.data.scores import ScoreMatrix, pack

PROMPTS, MODELS, DIMENSIONS, POOL, POOLS = 4_000, 2_000, 384, 250, 100
ASKED = PROMPTS // 10
SIZES = ((14_042, 5_000), (100_000, 10_000), (1_000_000, 100_000), (1_000_000, 1_000_000))
"""Prompts x models: the largest published one first."""


@dataclass(frozen=True)
class Work:
    """One kind of work: what it is, its formula, its steps at (n, M), and a way to do it."""

    what: str
    formula: str
    steps: Callable[[float, float], float]
    do: Callable[[], object]


def seconds(work: Callable[[], object]) -> float:
    """Processor seconds: the least of three, compiled before."""
    work()
    found = []
    for _ in range(3):
        start = time.process_time()
        work()
        found.append(time.process_time() - start)
    return min(found)


def kinds() -> list[Work]:
    """Everything that is measured, on one made-up world."""
    rng = np.random.default_rng(0)
    ability = np.linspace(0.1, 0.9, MODELS, dtype=np.float32)
    bits = pack(rng.random((PROMPTS, MODELS), dtype=np.float32) < ability)
    scores = ScoreMatrix(tuple(map(str, range(PROMPTS))), tuple(map(str, range(MODELS))), bits=bits)
    vectors = rng.normal(size=(PROMPTS, DIMENSIONS)).astype(np.float32)
    queries = rv.Queries(scores.prompt_ids, vectors)
    train = rv.Partition(queries, scores)
    asked = queries.take(np.arange(ASKED))
    pools = random_pools(MODELS, POOL, POOLS, rng)
    d, q = DIMENSIONS, 0.1

    def means() -> None:
        _ = ScoreMatrix(scores.prompt_ids, scores.model_ids, bits=bits).model_means

    return [
        Work("means of all models", "n M / 64", lambda n, m: n * m / 64, means),
        Work(
            "oracles of 100 pools of M / 8",
            "100 n M / (8 64)",
            lambda n, m: 100 * n * m / 512,
            lambda: oracle_means(scores, pools),
        ),
        Work(
            "knn: fit, a tenth of the prompts asked",
            "n^2 d / 10 + n M k / 10",
            lambda n, m: q * n * (n * d + 5 * m),
            lambda: rv.KNN().fit(train).predict_scores(asked),
        ),
        Work(
            "ridge: fit, a tenth asked",
            "n d^2 + n d M",
            lambda n, m: n * d * d + (1 + q) * n * d * m,
            lambda: rv.Ridge().fit(train).predict_scores(asked),
        ),
    ]


def print_bytes() -> None:
    """What scores and embeddings take, exactly."""
    print(f"{'bytes':44}" + "".join(f"{f'{n:,} x {m:,}':>24}" for n, m in SIZES))
    print(f"  {'scores as bits: n M / 8':42}" + "".join(f"{n * m / 8 / 1e9:21.3f} GB" for n, m in SIZES))
    print(f"  {'scores as float32: 4 n M':42}" + "".join(f"{4 * n * m / 1e9:21.3f} GB" for n, m in SIZES))
    print(f"  {'embeddings, 768-d: 3072 n':42}" + "".join(f"{3072 * n / 1e9:21.3f} GB" for n, _ in SIZES))
    print(f"  {'a run stored: about 18 n / 10':42}" + "".join(f"{1.8 * n / 1e6:21.3f} MB" for n, _ in SIZES))


def main() -> None:
    """Print bytes and seconds at each size."""
    print_bytes()
    print(f"\n{'seconds of one core':44}" + "".join(f"{f'{n:,} x {m:,}':>24}" for n, m in SIZES))
    for work in kinds():
        unit = seconds(work.do) / work.steps(PROMPTS, MODELS)
        print(f"  {work.what + ': ' + work.formula}")
        print(" " * 44 + "".join(f"{unit * work.steps(n, m):22.2f} s" for n, m in SIZES), flush=True)


if __name__ == "__main__":
    main()

"""Time of 1000 bootstraps of 20 routers over 36,000 prompts, beside a plain NumPy loop, and of a whole comparison.

python benchmarks/comparing.py
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import routereval as rv
from routereval.data.outcome import Outcome
from routereval.results import StoredRun
from routereval.stats.clustered import Clusters, resampled_ratios

ROUTERS, PROMPTS, DRAWS, ALLOWED = 20, 36_000, 1000, 5.0


def seconds_of(work: Callable[[], Any], times: int = 3) -> tuple[float, float]:
    """Seconds of the fastest of several calls: on the clock, and of the processors, which others add nothing to."""
    clock, processors = [], []
    for _ in range(times):
        start, used = time.perf_counter(), time.process_time()
        work()
        clock.append(time.perf_counter() - start)
        processors.append(time.process_time() - used)
    return min(clock), min(processors)


def looped(scores: np.ndarray, draws: int) -> np.ndarray:
    """The bootstrap as one would write it: draw prompts, take their mean."""
    rng = np.random.default_rng(0)
    return np.array([scores[rng.integers(0, len(scores), len(scores))].mean(axis=0) for _ in range(draws)])


def clustered(scores: np.ndarray, clusters: Clusters) -> np.ndarray:
    """The same of whole clusters, as ``compare`` does it."""
    sizes = clusters.sums(np.ones((len(scores), 1)))
    return resampled_ratios(clusters.sums(scores), sizes, np.random.default_rng(0), DRAWS)


def runs_of(scores: np.ndarray) -> list[StoredRun]:
    """A run for each column."""
    n = len(scores)
    runs = []
    for i, column in enumerate(scores.T):
        common = {name: np.ones(n) for name in ("oracle", "best_single", "best_single_train", "baseline")}
        outcome = Outcome(
            tuple(map(str, range(n))), ("a", "b"), np.ones(n, dtype=bool), common | {"chosen": column}, np.full(2, 0.5)
        )
        spec = rv.RunSpec("speed/all/2", "knn", {"k": i + 1}, "none", "strict", 0, "0" * 64)
        runs.append(StoredRun(spec, {}, {}, 0.0, None, (), {}, outcome))
    return runs


def main() -> int:
    """Measure and compare with what is allowed."""
    rng = np.random.default_rng(0)
    hard = rng.random(PROMPTS)[:, None]
    binary = (rng.random((PROMPTS, ROUTERS)) < hard).astype(np.float64)
    graded = np.clip(hard + rng.normal(0, 0.2, (PROMPTS, ROUTERS)), 0, 1)
    each, grouped = Clusters.singletons(PROMPTS), Clusters.of(rng.integers(0, 30_000, PROMPTS))
    part = 20
    plain, used = (part * one for one in seconds_of(lambda: looped(binary, DRAWS // part), 2))
    print(f"{DRAWS} bootstraps of {ROUTERS} routers over {PROMPTS:,} prompts: seconds on the clock, of the processors")
    print(f"  {'plain NumPy loop':<44} {plain:6.2f} {used:6.2f}   (1/{part} of it, times {part})")
    late = False
    for about, clusters in (("prompts", each), (f"{len(grouped):,} clusters", grouped)):
        clock, processors = seconds_of(lambda clusters=clusters: clustered(binary, clusters))
        # On a machine with nothing else to do the clock shows less than the processors' sum, elsewhere anything.
        late |= processors > ALLOWED
        print(
            f"  {about:<44} {clock:6.2f} {processors:6.2f}   ({used / processors:.0f} times as fast; at most {ALLOWED})"
        )
    for about, scores in (("binary scores, exact tests", binary), ("graded scores, 18,999 sign flips", graded)):
        runs = runs_of(scores)
        clock, processors = seconds_of(lambda runs=runs: rv.compare(runs, oracles=False), 2)
        print(f"  {f'rv.compare, 190 pairs, {about}':<44} {clock:6.2f} {processors:6.2f}")
    print(f"  most memory held: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")
    return int(late)


if __name__ == "__main__":
    sys.exit(main())

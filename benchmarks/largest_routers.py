"""Routers at the shape of the largest benchmark: 11,233 training prompts, 768-d, one pool of 1000 models.

    python benchmarks/largest_routers.py            # each, with the limits it has to keep
    python benchmarks/largest_routers.py ridge knn  # some of them

Each measurement runs in a process of its own, on synthetic data made once and then memory-mapped from the store.
Seconds count from after the imports and a first small fit, which compiles the loops, to the last metric and interval:
parameters chosen, fitted, 1,400 test prompts predicted. Memory is the peak of the whole process.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import routereval as rv
from routereval.sources.synthetic import Synthetic, SyntheticSpec

SPEC = SyntheticSpec("largest", prompts=14042, models=5000, skills=8, dimensions=768, sizes=(3, 5, 10, 100, 1000))
SMALL = SyntheticSpec("small", prompts=300, models=50, skills=4, dimensions=32, sizes=(5,))
MEMORY_GB = 2.0


class EightK(rv.KNN):
    """knn with eight values of k to choose from."""

    search_space: ClassVar[Mapping[str, Sequence[Any]]] = {"k": (5, 10, 20, 40, 80, 120, 160, 200)}


class SixClusterings(rv.KMeans):
    """kmeans with six numbers of clusters to choose from."""

    search_space: ClassVar[Mapping[str, Sequence[Any]]] = {"clusters": (3, 8, 16, 32, 48, 64)}


# name: (router, combinations to try, seconds allowed, what it is)
CASES: dict[str, tuple[Any, int, float, str]] = {
    "ridge": (rv.Ridge(), 0, 10.0, "ridge, its penalty chosen per model"),
    "knn": (EightK(), 8, 5.0, "knn, k tuned over 8 values"),
    "kmeans": (SixClusterings(), 6, 30.0, "kmeans, clusters tuned over 6 values"),
    "mf": (rv.MatrixFactorisation(), 0, 60.0, "mf, matrix factorisation"),
    "mirt": (rv.MIRT(), 0, 120.0, "mirt, item response"),
}


def measure(name: str) -> None:
    """Print seconds and peak memory of one case as JSON."""
    router, tune, _, _ = CASES[name]
    rv.evaluate(router, Synthetic(SMALL).data.scenario("strong_to_weak", 5), tune=min(tune, 2))
    scenario = Synthetic(SPEC).data.scenario("strong_to_weak", 1000)
    start = time.perf_counter()
    result = rv.evaluate(router, scenario, tune=tune)
    assert result.intervals
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(json.dumps({"seconds": seconds, "peak_gb": peak, "mu": result.mu, "gap": result.gap_closed}))


def main(names: list[str]) -> int:
    """Measure the named cases and compare with what is allowed."""
    start = time.perf_counter()
    print(f"{Synthetic(SPEC).data!r} (ready after {time.perf_counter() - start:.1f} s)")
    late = 0
    for name in names or CASES:
        _, _, allowed, about = CASES[name]
        command = [sys.executable, __file__, "--measure", name]
        out = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
        got = json.loads(out.splitlines()[-1])
        kept = got["seconds"] <= allowed and got["peak_gb"] <= MEMORY_GB
        late += not kept
        print(
            f"{about:<38} {got['seconds']:7.2f} s (at most {allowed:g}) "
            f"{got['peak_gb']:5.2f} GB (at most {MEMORY_GB:g})   "
            f"mu {got['mu']:.3f}, gap closed {got['gap']:.2f}   {'ok' if kept else 'TOO MUCH'}",
            flush=True,
        )
    return late


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        measure(sys.argv[2])
    else:
        sys.exit(main(sys.argv[1:]))

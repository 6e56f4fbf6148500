"""Speed and memory at the shape of the largest benchmark: 14,042 prompts, 768-d, 15 pools of up to 1000 of 5000 models.

    python benchmarks/largest.py            # everything, with the limits each has to keep
    python benchmarks/largest.py knn        # one of them

Each measurement runs in a process of its own, on synthetic data made once and then memory-mapped from the store.
Seconds count from after the imports to the last metric and interval; memory is the peak of the whole process.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time

from routereval.sources.synthetic import Synthetic, SyntheticSpec

SPEC = SyntheticSpec("largest", prompts=14042, models=5000, skills=8, dimensions=768, sizes=(3, 5, 10, 100, 1000))
EASY, ALL = (3, 5), (3, 5, 10, 100, 1000)
REFERENCES = ("oracle", "r_o:p=0.5", "random", "best_single_hindsight", "best_single")
# name: (routers, sizes of the pools, seconds allowed, what it is)
CASES = {
    "knn": (("knn", *REFERENCES), ALL, 3.0, "knn and the references, 15 pools"),
    "kmeans": (("kmeans",), ALL, 5.0, "kmeans, 15 pools"),
    "linear": (("linear",), EASY, 60.0, "linear as published, 6 easy pools"),
    "minibatch": (("linear:recipe=minibatch",), EASY, 60.0, "linear, mini-batch recipe, 6 easy pools"),
}
MEMORY_GB = 1.5


def measure(name: str) -> None:
    """Print seconds and peak memory of one case as JSON."""
    import sklearn.cluster  # noqa: F401

    from routereval.datasets import Selection
    from routereval.policies import PolicySpec
    from routereval.runner.execute import perform
    from routereval.runner.plan import Task, plan

    routers, sizes, _, _ = CASES[name]
    policies = [PolicySpec.parse(text).build() for text in routers]
    data = Synthetic(SPEC).data
    selection = Selection(data, tuple(pool for pool in data.pools if pool[1] in sizes))
    start = time.perf_counter()
    tasks: list[Task] = plan([selection], policies, protocol="paper", encoder="shipped")
    results = [result for task in tasks for result in perform(task)]
    seconds = time.perf_counter() - start
    assert all(result.error is None and result.intervals for result in results)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(json.dumps({"runs": len(results), "seconds": seconds, "peak_gb": peak}))


def main(names: list[str]) -> int:
    """Measure the named cases and compare with what is allowed."""
    start = time.perf_counter()
    print(f"{Synthetic(SPEC).data!r} (ready after {time.perf_counter() - start:.1f} s)")
    late = 0
    for name in names or CASES:
        _, _, allowed, about = CASES[name]
        command = [sys.executable, __file__, "--measure", name]
        out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        got = json.loads(out.splitlines()[-1])
        kept = got["seconds"] <= allowed and got["peak_gb"] <= MEMORY_GB
        late += not kept
        print(
            f"{about:<45} {got['runs']:>4} runs {got['seconds']:7.2f} s (at most {allowed:g}) "
            f"{got['peak_gb']:5.2f} GB (at most {MEMORY_GB:g}) {'ok' if kept else 'TOO MUCH'}"
        )
    return late


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        measure(sys.argv[2])
    else:
        sys.exit(main(sys.argv[1:]))

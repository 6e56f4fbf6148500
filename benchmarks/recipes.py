"""The two training recipes on real scenarios: seconds of fit and predict, and mean mu over all pools.

    python benchmarks/recipes.py linear --data FOLDER
    python benchmarks/recipes.py mlp --data FOLDER

FOLDER holds official router datasets. Both recipes run in the same process, one after the other, scenario by scenario.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

import routereval as rv
from routereval import protocols
from routereval.datasets import Datasets
from routereval.evaluation import evaluate_prediction, spec_of
from routereval.policies import PolicySpec, prepared
from routereval.union import unite

RECIPES = ("published", "minibatch")


def measure(name: str, data: rv.BenchmarkData, recipe: str, seed: int) -> tuple[float, list[float]]:
    """Seconds of fitting and predicting, and mu of every pool."""
    router = prepared(PolicySpec(name, {"recipe": recipe}).build(), protocols.PAPER, seed)
    scenarios = [data.scenario(*pool) for pool in data.pools]
    groups = [scenarios] if router.columnwise else [[scenario] for scenario in scenarios]
    seconds, scores = 0.0, []
    for group in groups:
        union = unite(group, protocols.PAPER)
        queries = group[0].test.queries
        start = time.perf_counter()
        router.fit(union.train)
        predictions = router.predict_slices(queries, union.slices) if router.columnwise else [router.predict(queries)]
        seconds += time.perf_counter() - start
        for scenario, prediction in zip(group, predictions, strict=True):
            spec = spec_of(router, scenario, "paper", seed)
            scores.append(evaluate_prediction(spec, scenario, prediction, protocols.PAPER).mu)
    return seconds, scores


def main() -> None:
    """Compare the recipes on every benchmark at hand."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("router", choices=("linear", "mlp"))
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=1)
    options = parser.parse_args()
    datasets = Datasets(options.data)
    keys = [key for key, origin in datasets.origins.items() if origin == "official"]
    total = dict.fromkeys(RECIPES, 0.0)
    means: dict[str, list[float]] = {recipe: [] for recipe in RECIPES}
    for recipe in RECIPES:  # compiled before anything is timed
        measure(options.router, rv.load_benchmark("demo_math"), recipe, 0)
    for key in keys:
        data = datasets.benchmark(key)
        for recipe in RECIPES:
            for seed in range(options.seeds):
                seconds, scores = measure(options.router, data, recipe, seed)
                total[recipe] += seconds
                means[recipe] += scores
            print(
                f"{key:<10} {recipe:<10} {seconds:8.3f} s   mean mu {np.mean(scores):.4f} over {len(scores)} pools",
                flush=True,
            )
    for recipe in RECIPES:
        print(f"{'all':<10} {recipe:<10} {total[recipe]:8.3f} s   mean mu {np.mean(means[recipe]):.4f}")
    print(f"minibatch is {total['published'] / total['minibatch']:.0f} times faster")


if __name__ == "__main__":
    main()

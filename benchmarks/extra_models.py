"""Does it help a router of five models to learn from what all others of the leaderboard scored?

    routereval build gsm8k arc mmlu_pro --data official --out built
    python benchmarks/extra_models.py built 0 500 10000

``attention`` with so many extra models at most, judged on training prompts that were left out: three times two halves,
each learned from and judged on in turn, with another seed each time; validation prompts say when to stop. Test prompts
are not looked at. Per benchmark, over its pools of five: cross-entropy of the predicted probabilities, mean score of
the chosen models, and the difference of each to the first number of extra models, with a 95 % interval that resamples
the prompts.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np

import routereval as rv
from routereval.data.prediction import choose
from routereval.datasets import Datasets
from routereval.protocols import STRICT
from routereval.routers.neural.attention import Attention
from routereval.seeding import generator
from routereval.union import unite

REPEATS = 3


def left_out(scenario: rv.Scenario, extra: int, seed: int) -> np.ndarray:
    """Cross-entropy and score of the choice on every training prompt, (n, 2), each predicted from the other half."""
    union = unite([scenario], STRICT, extra=True)
    train, values = union.train, np.zeros((len(union.train), 2))
    order = generator("extra models", scenario.benchmark, seed).permutation(len(train))
    for half in (0, 1):
        aside, rest = np.sort(order[half::2]), np.sort(order[1 - half :: 2])
        part = train.rows(rest)
        scores = Attention(extra=extra, seed=seed).fit(part, union.val).predict(train.queries.take(aside)).scores
        targets = train.targets[aside]
        p = np.clip(scores, 1e-6, 1 - 1e-6)
        values[aside, 0] = -(targets * np.log(p) + (1 - targets) * np.log(1 - p)).mean(axis=1)
        values[aside, 1] = targets[np.arange(len(aside)), choose(scores, part.target_means)]
    return values


def shown(values: np.ndarray) -> str:
    """A mean over prompts and its interval."""
    rng = generator("extra models", "bootstrap")
    means = [values[rng.integers(len(values), size=len(values))].mean() for _ in range(2000)]
    low, high = np.quantile(means, [0.025, 0.975])
    return f"{values.mean():+.4f} [{low:+.4f}, {high:+.4f}]"


def main(folder: Path, numbers: list[int]) -> None:
    """Print a table."""
    print("| benchmark | extra | cross-entropy | mu | difference in cross-entropy | difference in mu | seconds a fit |")
    print("|---|---|---|---|---|---|---|")
    for selection in Datasets(folder).select([f"{path.name}/*/5" for path in sorted(folder.iterdir())]):
        first = None
        for extra in numbers:
            start = time.process_time()
            scenarios = [selection.data.scenario(*pool) for pool in selection.pools]
            fits = [left_out(scenario, extra, seed) for scenario in scenarios for seed in range(REPEATS)]
            seconds = (time.process_time() - start) / (2 * len(fits))
            values = np.mean(fits, axis=0)  # over pools and seeds: the prompts are the same
            first = values if first is None else first
            apart = ["", ""] if values is first else [shown(values[:, i] - first[:, i]) for i in (0, 1)]
            cells = [selection.data.benchmark, str(extra), *(f"{v:.4f}" for v in values.mean(axis=0)), *apart]
            print(f"| {' | '.join([*cells, f'{seconds:.0f}'])} |", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), [int(number) for number in sys.argv[2:]] or [0, 10_000])

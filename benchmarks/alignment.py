"""How closely choices follow the test answers: honest routers of a study, beside oracles that know a share of them.

python benchmarks/which_router.py --data official --tables tables --out study
python benchmarks/alignment.py study
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from routereval.data.scenario import Scenario
from routereval.results import ResultStore
from routereval.seeding import generator
from routereval.sources import built_folders
from routereval.submissions.alignment import DOUBT, LIMIT, SIGNIFICANCE, Hits, hits_of

AT_LEAST = (20, 30, 50, 60, 100, 200, 400)
SHARES = (0.3, 0.5, 0.8, 1.0)
DRAWS = 5


def honest(study: Path, scenarios: dict[str, Scenario]) -> list[Hits]:
    """The hits of every run of the study that chose; fills ``scenarios``."""
    found = []
    benchmarks = {name: built_folders.load(name, study / "scenarios") for name in _names(study)}
    with ResultStore(study / "results.sqlite", create=False) as store:
        for run in store.iter_runs():
            if run.outcome is None or run.outcome.choices is None:
                continue
            name = run.spec.scenario
            if name not in scenarios:
                benchmark, strategy, m = name.split("/")
                scenarios[name] = benchmarks[benchmark].scenario(strategy, int(m))
            found.append(hits_of(run.outcome.choices, scenarios[name].test))
    return found


def _names(study: Path) -> list[str]:
    return list(built_folders.benchmarks(study / "scenarios"))


def knowing(scenario: Scenario, share: float, draw: int) -> Hits:
    """The hits of an oracle with this probability, else any model that was observed."""
    rng = generator("alignment", scenario.id, share, draw)
    dense = scenario.test.scores.dense()
    seen = ~np.isnan(dense)
    best = seen & (dense == np.fmax.reduce(dense, axis=1)[:, None])
    chosen = np.where(rng.random(len(dense)) < share, _one_of(best, rng), _one_of(seen, rng))
    return hits_of(chosen.astype(np.int32), scenario.test)


def _one_of(allowed: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.intp]:
    column = np.where(allowed, rng.random(allowed.shape), -1.0).argmax(axis=1)
    return np.where(allowed.any(axis=1), column, -1)


def main() -> None:
    """Print the table of docs/submissions.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path, help="the --out folder of which_router.py")
    given = parser.parse_args()
    scenarios: dict[str, Scenario] = {}
    runs = honest(given.study, scenarios)
    warned, failed = (sum(one.p_at(LIMIT) < level for one in runs) for level in (DOUBT, SIGNIFICANCE))
    print(f"{len(runs)} honest runs, {warned} of them warned of, {failed} failed (limit {LIMIT})")
    for least in AT_LEAST:
        here = [one.alignment for one in runs if one.contested >= least]
        print(f"at least {least} contested prompts: {len(here)} runs, highest alignment {max(here, default=0):.2f}")
    for share in SHARES:
        drawn = [knowing(one, share, draw) for one in scenarios.values() for draw in range(DRAWS)]
        found = {
            least: np.mean([one.p_at(LIMIT) < SIGNIFICANCE for one in drawn if one.contested >= least])
            for least in AT_LEAST
        }
        print(f"r_o({share}) fails: {', '.join(f'{part:.0%} from {least}' for least, part in found.items())}")


if __name__ == "__main__":
    main()

"""Which router should I use? Every router and control on every benchmark at hand: same data, same splits, same budget.

    python benchmarks/which_router.py --data official --tables tables --out FOLDER

DATA holds leaderboard files as published, TABLES tables of scores with FILE.embeddings.npy beside them. FOLDER gets
scenarios (pools of 3 to 1000 models picked without test prompts), results.sqlite, standings.md and ranks.svg; the same
command carries on where it was stopped.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl

from routereval.data.benchmark import BenchmarkData
from routereval.data.building import PoolPlan, built
from routereval.data.folders import write_folder
from routereval.datasets import Datasets, Selection
from routereval.encoders import embedded
from routereval.errors import DataError
from routereval.policies import PolicySpec
from routereval.report.critical_difference import save_diagram
from routereval.report.standings import Standings, standings_of
from routereval.report.standings_table import gain_rows, markdown, overall_rows, sentences
from routereval.results import ResultStore
from routereval.runner.execute import execute
from routereval.runner.plan import Task, plan
from routereval.sources import built_folders
from routereval.sources.tables import load_table

PUBLISHED = ("best_single", "knn", "kmeans", "linear")
"""As published, parameters and all; ties are strict's."""
CONTROLS = (
    *("shuffled_labels:router=ridge", "random_embeddings:router=ridge"),
    *("prompt_length", "subset_only", "majority"),
)
TUNED = (
    *("knn", "ridge", "logistic", "linear:recipe=minibatch", "mlp:recipe=minibatch"),
    *("kmeans", "gmm", "avengers", "uniroute", "uniroute_learned", "mirt", "ranking", "boosting"),
    *("bradley_terry", "similarity_bt", "elo", "eagle", "mf", "auto:seconds=5", "stack", "forest", "svm"),
)
SLOW_PUBLISHED = ("mlp",)
SLOW_TUNED = ("satzilla", "rorf")
"""These come last, small pools first: whoever stops early has all others."""
FEW_MODELS = 3


def tables_in(folder: Path, work: Path) -> Iterator[BenchmarkData]:
    """Every table of the folder as a benchmark; prompts that lie in a file of their own are put into it."""
    for path in sorted(folder.iterdir()):
        stem = path.name.split(".")[0]
        bare = stem.removesuffix("_wide").removesuffix("_long")
        beside = folder / f"{bare}_prompts.parquet"
        if path.suffix not in (".parquet", ".csv", ".gz") or path == beside or stem.endswith("_prompts"):
            continue
        if beside.is_file():
            joined = work / path.name
            pl.read_parquet(path).join(pl.read_parquet(beside), on="prompt_id", maintain_order="left").write_parquet(
                joined
            )
            path = joined
        vectors = folder / f"{stem.removesuffix('_wide').removesuffix('_long')}.embeddings.npy"
        name = stem if stem.endswith("_wide") else stem.removesuffix("_long").removesuffix("_subset")
        yield load_table(path, name=name, embeddings=vectors if vectors.is_file() else None)


def make_scenarios(data: Path, tables: Path, scenarios: Path) -> None:
    """Pools of every benchmark, picked without its test prompts; a table of few models keeps its own pool."""
    work = scenarios.parent / "joined"
    work.mkdir(parents=True, exist_ok=True)
    official = Datasets(data)
    names = [name for name, origin in official.origins.items() if origin != "demo"]
    for raw in (*(official.unpooled(name) for name in names), *tables_in(tables, work)):
        if (scenarios / raw.benchmark).exists():
            continue
        # Never a pool that came with the data: published ones were picked with the test prompts in view.
        try:
            made = built(raw, PoolPlan(fallback=True))
        except DataError:
            made = raw
        print(f"{raw.benchmark}: {', '.join(f'{s}/{m}' for s, m in made.pools)}", flush=True)
        write_folder(scenarios / raw.benchmark, made)


def tasks_for(scenarios: Path, sizes: Sequence[int], budget: int, seeds: int) -> list[Task]:
    """Every run there is to do: quick routers first, slow ones on small pools next; of each few prompts first."""
    found = [embedded(built_folders.load(name, scenarios)) for name in built_folders.benchmarks(scenarios)]
    found.sort(key=lambda data: len(data.split.train))
    every, few, many = range(10**6), range(FEW_MODELS + 1), range(FEW_MODELS + 1, 10**6)
    groups = (
        (PUBLISHED + CONTROLS, 0, every),
        *(((text,), budget, every) for text in TUNED),
        (SLOW_PUBLISHED, 0, every),
        *(((text,), budget, few) for text in SLOW_TUNED),
        *(((text,), budget, many) for text in SLOW_TUNED),
    )
    tasks: list[Task] = []
    for specs, tune, models in groups:
        for data in found:
            lacking = {"subset_only": data.subsets, "prompt_length": data.queries.texts}
            possible = [text for text in specs if lacking.get(text, "it needs neither") is not None]
            pools = tuple(pool for pool in data.pools if (pool[1] in sizes or pool[0] == "all") and pool[1] in models)
            if pools:
                policies = [PolicySpec.parse(text).build() for text in possible]
                selection = Selection(data, pools)
                tasks += plan([selection], policies, seeds=range(seeds), encoder=data.encoder, tune=tune)
    return tasks


def write_report(out: Path, standings: Standings) -> None:
    """standings.md and ranks.svg."""
    note = f"{standings.cells} cells (benchmark and pool size) of {len(standings.benchmarks)} benchmarks"
    ranks = {one.label: one.rank for one in standings.complete}
    save_diagram(ranks, standings.critical_difference, out / "ranks.svg", note=note)
    save_diagram(ranks, standings.critical_difference, out / "ranks.png", note=note)
    said = "\n".join(f"- {line}" for line in sentences(standings))
    parts = [said, markdown(overall_rows(standings)), markdown(gain_rows(standings))]
    (out / "standings.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def main() -> None:
    """Make scenarios, run what is missing, write the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--tables", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--sizes", type=int, nargs="+", default=[3, 5, 10, 100, 1000], help="pools of so many models")
    parser.add_argument("--budget", type=int, default=6, help="combinations of parameters each router may try")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--routers", nargs="+", metavar="NAME", help="run these alone this time; the tables are of all")
    parser.add_argument("--benchmarks", nargs="+", metavar="NAME", help="the same for benchmarks")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    given = parser.parse_args()
    start = time.monotonic()
    make_scenarios(given.data, given.tables, given.out / "scenarios")
    tasks = tasks_for(given.out / "scenarios", given.sizes, given.budget, given.seeds)
    with ResultStore(given.out / "results.sqlite") as file:
        done = file.done()
        left = [one for one in (task.without(done) for task in tasks) if one is not None]
        left = [task for task in left if not given.routers or task.specs[0].router in given.routers]
        left = [task for task in left if not given.benchmarks or task.data.benchmark in given.benchmarks]
        total, count = sum(len(task.specs) for task in left), 0
        print(f"{sum(len(task.specs) for task in tasks)} runs, {total} of them to do", flush=True)

        def advance(result: object) -> None:
            nonlocal count
            count += 1
            if count % 200 == 0:
                print(f"{count} of {total}, {time.monotonic() - start:.0f} s", flush=True)

        execute(left, file, jobs=given.jobs, on_result=advance)
        keys = {spec.key for task in tasks for spec in task.specs}
        standings = standings_of(file.runs(keys))
    write_report(given.out, standings)
    print(f"{time.monotonic() - start:.0f} s; {given.out / 'standings.md'}, {given.out / 'ranks.svg'}")
    for line in standings.errors:
        print(f"failed: {line}", file=sys.stderr)


if __name__ == "__main__":
    main()

"""The report of 100,000 runs: seconds and memory to make it; in Chromium, to load the leaderboard and to sort it.

    python benchmarks/site.py FOLDER [--runs 100000] [--only-pages]

The runs are made up (100 routers on 180 scenarios of twelve benchmarks, the published numbers of test prompts, several
seeds), with every per-prompt column that real runs have; seeds of a router share theirs, which is as much to read.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from routereval.results import ResultStore, RunSpec
from routereval.results.run import canonical_json
from routereval.seeding import generator

MAIN = "import sys; sys.argv = ['routereval', *sys.argv[1:]]; from routereval.cli import main; main()"
PROMPTS = {
    **{"arc": 118, "hellaswag": 1005, "mmlu": 1430, "harness_truthfulqa_mc_0": 82, "winogrande": 127, "gsm8k": 132},
    **{"ifeval": 55, "bbh": 577, "gpqa": 120, "musr": 76, "math": 136, "mmlu_pro": 1204},
}
SIZES = (3, 5, 10, 100, 1000)
STRATEGIES = ("all_strong", "all_weak", "strong_to_weak")
ROUTERS = 100
COLUMNS = ("oracle", "best_single", "best_single_train", "baseline", "reference", "chosen", "predicted", "entropy")
METRICS = ("mu", "V_R", "V_B", "V_B_train", "gap_closed", "regret", "E_p")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--only-pages", action="store_true")
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    results, out = asked.folder / "runs.sqlite", asked.folder / "report"
    if not results.exists():
        start = time.perf_counter()
        make(results, asked.runs)
        print(
            f"made {asked.runs:,} runs, {results.stat().st_size / 1e6:.0f} MB, in {time.perf_counter() - start:.0f} s"
        )
    command = [sys.executable, "-c", MAIN, "report", str(results), "--out", str(out)]
    start = time.perf_counter()
    subprocess.run(command + ["--only-pages"] * asked.only_pages, check=True)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6
    print(f"report: {seconds:.1f} s, {peak:.2f} GB")
    print(json.dumps(in_browser(out), indent=1))


def make(path: Path, runs: int) -> None:
    """A results file of so many runs."""
    with ResultStore(path):
        pass  # the tables
    import sqlite3

    connection = sqlite3.connect(path)
    batch: list[dict[str, Any]] = []
    for row in rows(runs):
        batch.append(row)
        if len(batch) == 5000:
            write(connection, batch)
    write(connection, batch)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


def write(connection: Any, batch: list[dict[str, Any]]) -> None:
    if batch:
        names = list(batch[0])
        marks = ", ".join("?" * len(names))
        values = [tuple(row.values()) for row in batch]
        with connection:
            connection.executemany(f"INSERT INTO runs ({', '.join(names)}) VALUES ({marks})", values)
        batch.clear()


def rows(runs: int) -> Iterator[dict[str, Any]]:
    scenarios = [(b, s, m) for b, s, m in product(PROMPTS, STRATEGIES, SIZES)]
    left = runs
    for benchmark, strategy, m in scenarios:
        rng = generator("benchmarks/site", benchmark, strategy, m)
        shared = common(rng, PROMPTS[benchmark])
        for number in range(1, ROUTERS + 1):
            share = -(-left // ((len(scenarios) - scenarios.index((benchmark, strategy, m))) * ROUTERS - number + 1))
            one = router_row(rng, shared, m, number)
            for seed in range(min(share, left)):
                yield keyed(one, f"{benchmark}/{strategy}/{m}", number, seed)
            left -= min(share, left)


def common(rng: np.random.Generator, n: int) -> dict[str, Any]:
    difficulty = rng.random(n)
    single = (difficulty < 0.6).astype(float)
    return {
        "oracle": (difficulty < 0.9).astype(float),
        "best_single": single,
        "best_single_train": single,
        "baseline": single,
        "reference": np.full(n, 0.8),
    }


def router_row(rng: np.random.Generator, shared: dict[str, Any], m: int, number: int) -> dict[str, Any]:
    n = len(shared["oracle"])
    keeps = rng.random(n) < 0.75 + number / 1000
    chosen = np.where(keeps, shared["best_single"], shared["oracle"] * (rng.random(n) < 0.6))
    predicted, entropy = rng.normal(0.6, 0.1, n).round(4), np.log2(m) * rng.random(n)
    stacked = np.stack([*shared.values(), chosen, predicted, entropy])
    choices = rng.integers(0, m, n).astype(np.int32)
    mean = float(chosen.mean())
    values = dict.fromkeys(METRICS, mean) | {"choice_entropy": 1.0, "models_used": float(m), "largest_share": 0.5}
    return {
        "metrics": canonical_json(values),
        "intervals": canonical_json({name: [mean - 0.05, mean + 0.05] for name in METRICS}),
        "prompts": n,
        "models": m,
        "columns": canonical_json(COLUMNS),
        "per_prompt": zlib.compress(stacked.tobytes(), 1),
        "counted": zlib.compress(np.ones(n, dtype=np.uint8).tobytes(), 1),
        "share": zlib.compress((np.bincount(choices, minlength=m) / n).tobytes(), 1),
        "choices": zlib.compress(choices.tobytes(), 1),
    }


def keyed(row: dict[str, Any], scenario: str, number: int, seed: int) -> dict[str, Any]:
    params = {"k": number, "metric": "cosine", "shrinkage": 0.0, "temperature": 0.1, "ties": "protocol"}
    spec = RunSpec(scenario, "knn", params | {"weights": "uniform"}, "shipped", "strict", seed, "0" * 64)
    failed = {"error": "RouterError: a made-up failure"} if (number, seed, spec.m) == (100, 0, 1000) else {}
    empty = dict.fromkeys(("per_prompt", "counted", "share", "choices")) if failed else {}
    return {
        "key": spec.key,
        "scenario": scenario,
        "router": spec.router,
        "params": canonical_json(dict(spec.params)),
        "encoder": spec.encoder,
        "protocol": spec.protocol,
        "seed": seed,
        "data_hash": spec.data_hash,
        "code": "",
        "error": None,
        "seconds": 0.5,
        "ended": "2026-01-01T00:00:00+00:00",
        "notes": canonical_json(["the pool was selected on all prompts, test included; strict cannot undo that"]),
        "versions": canonical_json({"routereval": "0.1.0", "numpy": "2.0", "scikit-learn": "1.5", "numba": "0.61"}),
        "tuning": None,
        "predict_seconds": 0.1,
        "train_size": None,
        **row,
        **failed,
        **empty,
    }


def in_browser(report: Path) -> dict[str, Any]:
    """Megabytes of the leaderboard page with all it loads, seconds until it can be used, milliseconds of a sort."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        return {"browser": "playwright is not installed: pip install 'routereval[dev]'"}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        page = browser.new_page()
        start = time.perf_counter()
        page.goto((report / "index.html").as_uri())
        page.wait_for_selector("#filters:not([hidden])")
        loaded = time.perf_counter() - start
        sorts = page.evaluate(
            """async () => {
              const times = [];
              for (const button of document.querySelectorAll('#board thead button')) {
                const start = performance.now();
                button.click();
                document.body.getBoundingClientRect();
                times.push(performance.now() - start);
              }
              return times;
            }"""
        )
        filters = page.evaluate(
            """() => {
              const form = document.getElementById('filters'), start = performance.now();
              form.elements.benchmark.value = '1';
              form.dispatchEvent(new Event('input', { bubbles: true }));
              document.body.getBoundingClientRect();
              return performance.now() - start;
            }"""
        )
        rows = page.locator("#board tbody tr").count()
        browser.close()
    parts = [report / "index.html", *(report / "assets").iterdir()]
    return {
        "page_and_assets_mb": round(sum(part.stat().st_size for part in parts) / 1e6, 1),
        "rows": rows,
        "load_seconds": round(loaded, 2),
        "sort_ms_worst": round(max(sorts), 1),
        "filter_ms": round(filters, 1),
    }


if __name__ == "__main__":
    main()

"""Several models and a log of how they did: does routing pay, with which router, over which models, how sure is that?

    python examples/own_data.py                        # makes up the log of five models
    python examples/own_data.py --table my_scores.csv  # takes yours: a row per prompt, a column per model

A table has a column of texts, one of scores between 0 and 1 for each model and, where prompts are of several kinds, a
column `subset`; docs/data.md says what else there may be. Everything is written to the folder `own_data`.
"""

from __future__ import annotations

import argparse
import itertools
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

import routereval as rv

SUBJECTS = {
    "code": (
        ["Write a Python function that", "Fix this SQL query so that it", "Write a unit test for a class that"],
        ["sorts", "parses", "validates", "merges", "compresses", "counts", "deletes", "caches"],
        ["a list of dates", "JSON records", "log files", "user names", "binary trees", "HTTP headers", "table rows"],
    ),
    "maths": (
        ["Prove that", "Compute step by step how", "Find the condition under which"],
        ["the integral of", "the derivative of", "the determinant of", "the limit of", "the expected value of"],
        [
            "a polynomial vanishes",
            "a matrix is positive",
            "a series grows",
            "a cubic is zero",
            "a random walk is finite",
        ],
    ),
    "law": (
        ["Summarise the clause on", "Which statute governs", "Draft a letter to the court about"],
        ["liability for", "termination after", "damages due to", "notice of", "the warranty against"],
        [
            "late delivery of goods",
            "a breach of contract",
            "an eviction of tenants",
            "an unpaid invoice",
            "a trademark",
        ],
    ),
    "support": (
        ["Answer politely: a customer asks about", "Reply to a guest who complains about", "Apologise for"],
        ["a refund for", "the late arrival of", "a scratch on", "the missing manual of", "a discount on"],
        ["her new kettle", "a hotel booking", "the red bicycle", "a pair of shoes", "his birthday present"],
    ),
}
ENDINGS = ["", ", as briefly as you can", ", with an example", ", for a beginner", ", and say why"]
# What each model gets right: an all-rounder, two specialists, a solid small one, a weak one.
ABILITY = {
    "atlas-70b": {"code": 0.72, "maths": 0.66, "law": 0.78, "support": 0.80},
    "cedar-code": {"code": 0.88, "maths": 0.55, "law": 0.45, "support": 0.55},
    "dune-maths": {"code": 0.60, "maths": 0.90, "law": 0.50, "support": 0.50},
    "birch-8b": {"code": 0.55, "maths": 0.50, "law": 0.62, "support": 0.76},
    "ember-1b": {"code": 0.35, "maths": 0.30, "law": 0.40, "support": 0.66},
}
ROUTERS = {"knn": rv.KNN(), "ridge": rv.Ridge(), "logistic": rv.Logistic()}
NEW_PROMPTS = (
    "Write a Python function that reverses a linked list",
    "Prove that the limit of a bounded sequence exists",
    "Which statute governs a dispute about a lease?",
    "A customer asks for a new pair of gloves",
)


def make_table(path: Path, prompts: int, seed: int = 0) -> None:
    """Write the log of five models: prompts of four kinds, half to learn from, a fifth to choose on, the rest to test.

    Some prompts are harder than others for every model, so that models fail together more often than by chance.
    """
    rng = np.random.default_rng(seed)
    texts = [
        (kind, " ".join(parts) + ending)
        for kind, lists in SUBJECTS.items()
        for parts in itertools.product(*lists)
        for ending in ENDINGS
    ]
    if not 100 <= prompts <= len(texts):
        raise SystemExit(f"--prompts is {prompts}; expected 100 to {len(texts)}")
    rows = []
    for i, place in enumerate(rng.permutation(len(texts))[:prompts]):
        kind, text = texts[place]
        hardness = rng.normal(0, 1)
        log_odds = {name: np.log(able[kind] / (1 - able[kind])) for name, able in ABILITY.items()}
        right = {name: int(rng.random() < 1 / (1 + np.exp(hardness - odds))) for name, odds in log_odds.items()}
        split = "train" if i % 10 < 5 else "val" if i % 10 < 7 else "test"
        rows.append({"prompt_id": f"q{i}", "text": text, "subset": kind, "split": split, **right})
    pl.DataFrame(rows).write_csv(path)


def best_on_validation(runs: list[Any]) -> Any:
    """The run whose tuned router did best on the validation prompts: the choice must not look at the test prompts."""
    tuned = [run for run in runs if run.tuning is not None]
    return max(tuned, key=lambda run: run.tuning.trials[run.tuning.chosen].score)


def say_whether_it_pays(results: Path, runs: list[Any], best: Any) -> None:
    """The router beside the best single model, chance and the oracle, and whether the difference is more than luck."""
    print("Does routing pay? Mean scores on the test prompts, 95 % intervals:")
    for run in sorted(runs, key=lambda run: -run.metrics["mu"]):
        low, high = run.intervals["mu"]
        print(f"  {run.spec.router:<12} {run.metrics['mu']:.3f} [{low:.3f}, {high:.3f}]")
    found = rv.compare(results, routers=[best.spec.router], scenarios=[best.spec.scenario], baseline="best_single")
    (pair,) = found.pairs
    verdict = "not shown" if not pair.significant else "yes" if pair.difference > 0 else "no, it does harm"
    print(
        f"  {verdict}: {pair.first} - {pair.second} = {pair.difference:+.3f} [{pair.low:+.3f}, {pair.high:+.3f}], "
        f"p = {pair.p:.2g}; {100 * best.metrics['gap_closed']:.0f} % of the way to the oracle"
    )
    print(f"  {found.detectable[0].sentence}")


def say_which_models(data: rv.BenchmarkData, scenario: rv.Scenario, router: Any) -> None:
    """How often each model is picked, and what is lost without it."""
    whole = rv.evaluate(router, scenario).outcome
    print("Which models? Score alone, share of the prompts it is picked for, what is lost without it:")
    for i, model in enumerate(scenario.pool.model_ids):
        others = tuple(name for name in scenario.pool.model_ids if name != model)
        pools = {("without", len(others)): rv.CandidatePool(others, "without")}
        smaller = replace(data, pools=pools, train_labels={}).scenario("without", len(others))
        lost = whole.columns["chosen"] - rv.evaluate(router, smaller).outcome.columns["chosen"]
        half = 1.96 * lost.std(ddof=1) / np.sqrt(len(lost))
        alone = scenario.test.scores.model_means[i]
        print(
            f"  {model:<12} {alone:.3f}  {100 * whole.share[i]:3.0f} %  "
            f"{lost.mean():+.3f} [{lost.mean() - half:+.3f}, {lost.mean() + half:+.3f}]"
        )


def put_to_use(router: Any, scenario: rv.Scenario, folder: Path) -> None:
    """Fit the router, keep it in a folder, read it back and ask it."""
    fitted = rv.fit_router(router, scenario)
    if (folder / "router.json").exists():
        shutil.rmtree(folder)
    rv.save_router(fitted.router, folder, model_ids=fitted.model_ids, about=fitted.about)
    print(f"Saved in {folder}. New prompts:")
    for text, route in zip(NEW_PROMPTS, rv.route(rv.load_router(folder), NEW_PROMPTS), strict=True):
        print(f"  {route.model:<12} {text}")


def main() -> None:
    """Answer the four questions."""
    parser = argparse.ArgumentParser(description="Does routing pay on your own data?")
    parser.add_argument("--table", type=Path, help="scores of your models; without it a log is made up")
    parser.add_argument("--prompts", type=int, default=1200, help="how many prompts the made-up log has")
    parser.add_argument("--tune", type=int, default=8, help="how many parameters of each router are tried")
    parser.add_argument("--out", type=Path, default=Path("own_data"), help="folder for the runs and the router")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    table = given.table or given.out / "scores.csv"
    if given.table is None:
        make_table(table, given.prompts)

    data = rv.load_table(table)
    scenario = data.scenario("all", data.scores.shape[1])
    print(scenario)
    # Named after the data, so that runs on an earlier state of the table stay apart.
    results = given.out / f"runs-{scenario.data_hash[:8]}.sqlite"
    policies = ["oracle", "random", rv.BestSingle(), *ROUTERS.values()]
    runs = rv.run([str(table)], policies, results=results, tune=given.tune)
    for run in runs:
        if run.error:
            raise SystemExit(f"{run.spec.router} failed: {run.error}")
    best = best_on_validation(runs)
    print(f"Which router? On the validation prompts {best.spec.router} is best: {best.tuning}")
    say_whether_it_pays(results, runs, best)
    router = replace(ROUTERS[best.spec.router], **best.tuning.params)
    say_which_models(data, scenario, router)
    put_to_use(router, scenario, given.out / "router")


if __name__ == "__main__":
    main()

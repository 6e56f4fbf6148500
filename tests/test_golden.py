"""What the published code computed on real scores, and what ours computes on the same files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import routereval as rv
from routereval.evaluation import evaluate_many
from routereval.policies import PolicySpec

BENCHMARKS = ("gsm8k", "arc", "mmlu_pro")


@pytest.fixture(scope="module")
def golden(shared: Path) -> dict[str, Any]:
    return dict(json.loads((shared / "golden" / "routers.json").read_text()))


def ours(router: str, name: str, shared: Path, seed: int = 0) -> dict[str, rv.RunResult]:
    data = rv.load_benchmark(name, shared / "data" / "official")
    scenarios = [data.scenario(*pool) for pool in data.pools]
    results = evaluate_many(PolicySpec.parse(router).build(), scenarios, protocol="paper", seed=seed)
    return {result.spec.scenario: result for result in results if isinstance(result, rv.RunResult)}


@pytest.mark.parametrize("name", BENCHMARKS)
@pytest.mark.parametrize("router", ["oracle", "knn"])
def test_references_and_knn_equal_the_published_code_on_every_pool(
    router: str, name: str, golden: dict[str, Any], shared: Path
) -> None:
    results = ours(router, name, shared)
    assert len(results) == 15
    for scenario, result in results.items():
        expected = golden[scenario][router]
        found = {name: result.metrics[name] for name in expected}
        assert found == pytest.approx(expected, abs=1e-9), scenario


@pytest.mark.parametrize("name", BENCHMARKS)
def test_kmeans_equals_the_published_code_where_the_clusters_do(
    name: str, golden: dict[str, Any], shared: Path
) -> None:
    results = ours("kmeans", name, shared)
    pairs = [(result, golden[scenario]["kmeans"]) for scenario, result in results.items()]
    assert np.mean([abs(result.mu - expected["mu"]) for result, expected in pairs]) < 0.02
    same = [(result, expected) for result, expected in pairs if abs(result.E_p - expected["E_p"]) < 1e-6]
    # The published code adds up distances in float32, ours in float64: E_p agrees to 1e-6, the rest exactly.
    for result, expected in same:
        assert result.mu == pytest.approx(expected["mu"], abs=1e-9)
        assert result.V_B == pytest.approx(expected["V_B"], abs=1e-9)
    assert len(same) == 15


@pytest.mark.parametrize("name", [*BENCHMARKS, "mmlu"])
def test_random_and_the_best_single_model_equal_the_published_pools(name: str, shared: Path) -> None:
    pools = json.loads((shared / "golden" / "pools.json").read_text())[name]["pools"]
    random, best = (ours(router, name, shared) for router in ("random", "best_single_hindsight"))
    for pool, expected in pools.items():
        scenario = f"{name}/{pool}"
        assert random[scenario].mu == pytest.approx(expected["random_test"], abs=1e-9)
        assert random[scenario].E_p == pytest.approx(np.log2(int(pool.rsplit("/")[-1])), abs=1e-9)
        assert best[scenario].mu == pytest.approx(expected["best_single_test"], abs=1e-9)
        assert best[scenario].V_B == 1.0
        assert best[scenario].E_p == 0.0


@pytest.mark.parametrize(("router", "bits"), [("linear", 0.01), ("mlp", 0.06)])
def test_trained_routers_lie_within_the_spread_of_the_published_ones(
    router: str, bits: float, golden: dict[str, Any], shared: Path
) -> None:
    """The range of our three seeds and that of the recorded runs meet, give or take one test prompt.

    The published code does not seed: three runs of linear were recorded and one of mlp, which says nothing of its own
    spread: 16 more seeds of ours on gsm8k/strong_to_weak/5 reached mu from 0.80 to 0.91, the recorded run 0.80.
    """
    recorded = {scenario: runs[router] for scenario, runs in golden.items() if router in runs}
    assert len(recorded) == {"linear": 12, "mlp": 3}[router]
    for name in {scenario.split("/")[0] for scenario in recorded}:
        data = rv.load_benchmark(name, shared / "data" / "official")
        scenarios = [data.scenario(s, m) for s, m in data.pools if f"{name}/{s}/{m}" in recorded]
        policy = PolicySpec.parse(router).build()
        seeds = [evaluate_many(policy, scenarios, protocol="paper", seed=seed) for seed in range(3)]
        for scenario, *ours_ in zip(scenarios, *seeds, strict=True):
            theirs = recorded[scenario.id]
            prompt = 1.001 / len(scenario.test)
            for metric, slack in (("mu", prompt), ("V_B", prompt * theirs[0]["V_B"] / theirs[0]["mu"]), ("E_p", bits)):
                found = [result.metrics[metric] for result in ours_ if isinstance(result, rv.RunResult)]
                expected = [run[metric] for run in theirs]
                assert max(found) >= min(expected) - slack, (scenario.id, metric, found, expected)
                assert min(found) <= max(expected) + slack, (scenario.id, metric, found, expected)


def test_breaking_ties_by_the_train_mean_undoes_the_published_collapse_of_knn(shared: Path) -> None:
    """The finding of docs/findings.md: at m = 1000 a bare argmax hands almost every prompt to a weak model."""
    for name in BENCHMARKS:
        scenario = f"{name}/strong_to_weak/1000"
        first, mean = (ours(f"knn:ties={ties}", name, shared)[scenario].mu for ties in ("first", "train_mean"))
        train_best = ours("best_single", name, shared)[scenario].mu
        assert mean - first > 0.2
        assert first < train_best - 0.2

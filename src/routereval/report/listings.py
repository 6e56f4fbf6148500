"""What there is (benchmarks, suites, routers, metrics, encoders), and what is in one of them, as rows."""

from __future__ import annotations

import dataclasses
import inspect
import typing
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from routereval import facts
from routereval.catalogue import unknown_name
from routereval.data.scores import ScoreMatrix
from routereval.datasets import Datasets, is_scenario, is_table
from routereval.encoders import ENCODERS, SHIPPED
from routereval.encoders.contract import absent
from routereval.errors import UnknownNameError
from routereval.metrics import METRICS
from routereval.policies import defaults_of, routers
from routereval.references import REFERENCES, BestSingleHindsight, Oracle, Random

Row = dict[str, Any]


def benchmarks(datasets: Datasets) -> list[Row]:
    """Every published benchmark and every one at hand."""
    rows = []
    published = facts.benchmarks()
    for key in [*published, *(k for k in datasets.origins if k not in published)]:
        known = published.get(key)
        rows.append(
            {
                "benchmark": key,
                "title": known.title if known else "synthetic",
                "leaderboard": known.leaderboard if known else None,
                "models": known.models if known else None,
                "prompts": known.prompts if known else None,
                "reference": f"{known.reference_model} {known.reference_score}" if known else None,
                "at_hand": datasets.origins.get(key, "no"),
            }
        )
    return rows


def suites(datasets: Datasets) -> list[Row]:
    """Every suite."""
    return [
        {"suite": name, "sizes": list(suite["sizes"]), "about": suite["about"]}
        for name, suite in facts.suites().items()
    ]


def all_routers(datasets: Datasets) -> list[Row]:
    """Every router, then every reference."""
    rows = []
    for kind, catalogue in (("router", routers()), ("reference", REFERENCES)):
        for name in catalogue:
            params = _parameters(name, catalogue[name])
            rows.append({"router": name, "kind": kind, "parameters": params, "about": _about(catalogue[name])})
    return rows


def metrics(datasets: Datasets) -> list[Row]:
    """Every metric."""
    better = {True: "higher", False: "lower", None: "-"}
    return [
        {"metric": metric.name, "better": better[metric.higher_is_better], "about": metric.about}
        for metric in METRICS.values()
    ]


def encoders(datasets: Datasets) -> list[Row]:
    """Every encoder, with what has to be installed for it."""
    rows = [{"encoder": SHIPPED, "available": "yes", "about": "The embeddings that came with the data."}]
    for name in ENCODERS:
        cls = ENCODERS[name]
        rows.append({"encoder": name, "available": cls.install if absent(cls) else "yes", "about": _about(cls)})
    return rows


LISTINGS: dict[str, Callable[[Datasets], list[Row]]] = {
    "benchmarks": benchmarks,
    "suites": suites,
    "routers": all_routers,
    "metrics": metrics,
    "encoders": encoders,
}


def details(name: str, datasets: Datasets) -> Row:
    """What is in a scenario, a benchmark, a table, a suite, a router or a metric.

    Raises
    ------
    UnknownNameError, MissingDataError : nothing has that name; its data are not at hand.
    """
    if name in facts.suites():
        return {"suite": name, **facts.suites()[name]}
    if name in METRICS:
        return next(row for row in metrics(datasets) if row["metric"] == name)
    for catalogue in (routers(), REFERENCES):
        if name in catalogue:
            return _router(name, catalogue[name])
    for row in encoders(datasets):
        if row["encoder"] == name:
            return row | _encoder(name)
    if is_scenario(name):
        return _scenario(name, datasets)
    try:
        return _benchmark(name, datasets)
    except UnknownNameError as error:
        everything = [
            *facts.suites(),
            *METRICS,
            *routers(),
            *REFERENCES,
            *ENCODERS,
            *facts.benchmarks(),
            *datasets.origins,
        ]
        raise unknown_name("scenario, benchmark, suite, router, metric or encoder", name, everything) from error


def _router(name: str, cls: Any) -> Row:
    hints = typing.get_type_hints(cls)
    return {
        "router": name,
        "about": inspect.getdoc(cls),
        "parameters": {k: f"{v}  ({_type(hints[k])})" for k, v in _parameters(name, cls).items()},
        "columnwise": getattr(cls, "columnwise", None),
        "citation": _CITATION,
    }


def _encoder(name: str) -> Row:
    if name not in ENCODERS:
        return {}
    cls = ENCODERS[name]
    return {"about": inspect.getdoc(cls), "parameters": {f.name: f.default for f in dataclasses.fields(cls) if f.init}}


def _benchmark(name: str, datasets: Datasets) -> Row:
    known = facts.benchmarks().get(name)
    row: Row = {"benchmark": name}
    if known:
        row |= {
            "title": known.title,
            "leaderboard": known.leaderboard,
            "reference": f"{known.reference_model}: {known.reference_score}",
            "published": f"{known.prompts} prompts in {len(known.subsets)} subsets, {known.models} models",
            "citation": known.citation,
        }
    if known and name not in datasets.origins:
        return row | {"at_hand": "no; give its data with --data"}
    data = datasets.benchmark(name)
    return row | {
        "benchmark": data.benchmark,
        "source": data.source,
        "prompts": data.scores.shape[0],
        "models": data.scores.shape[1],
        "scores": "binary" if data.scores.binary else "graded",
        "observed": f"{data.scores.coverage:.1%}",
        "split": {part: len(getattr(data.split, part)) for part in ("train", "val", "test")},
        "embeddings": None if data.queries.embeddings is None else f"{data.queries.embeddings.shape[1]}-d",
        "texts": data.queries.texts is not None,
        "planes": {name: _plane(plane) for name, plane in data.planes.items()} or None,
        "scenarios": list(data.scenario_ids),
        "notes": list(data.missing),
        "data_hash": data.data_hash,
    }


def _plane(plane: NDArray[np.float32]) -> str:
    known = int(np.count_nonzero(~np.isnan(plane)))
    return f"{known / plane.size:.1%} known, mean {np.nansum(plane, dtype=np.float64) / max(known, 1):.4g}"


def _mean(reference: Any, scores: ScoreMatrix) -> float:
    """Mean score over the prompts on which any model was observed."""
    expected, _ = reference.expected(scores)
    return float(np.asarray(expected)[scores.mask().any(axis=1)].mean())


def _scenario(scenario_id: str, datasets: Datasets) -> Row:
    scenario = datasets.scenario(scenario_id)
    test = scenario.test.scores
    means = test.model_means
    known = facts.benchmarks().get(scenario.benchmark)
    return {
        "scenario": scenario.id,
        "strategy": scenario.strategy,
        "m": scenario.m,
        "split": {
            "train": len(scenario.train),
            "val": 0 if scenario.val is None else len(scenario.val),
            "test": len(scenario.test),
        },
        "scores": "binary" if test.binary else "graded",
        "observed": f"{test.coverage:.1%}",
        "encoder": scenario.encoder,
        "reference": None
        if scenario.reference_score is None
        else f"{scenario.reference_model}: {scenario.reference_score:.4g}",
        "test_mean": {
            "oracle": _mean(Oracle(), test),
            "best single (hindsight)": _mean(BestSingleHindsight(), test),
            "random": _mean(Random(), test),
        },
        "pool": {
            name: None if np.isnan(mean) else float(mean)
            for name, mean in zip(scenario.pool.model_ids, means, strict=True)
        },
        "pool_saw_test_prompts": scenario.pools_saw_test,
        "citation": known.citation if known else None,
        "data_hash": scenario.data_hash,
    }


def test_queries(scenario_id: str, datasets: Datasets) -> list[Row]:
    """The test prompts of a scenario, without scores: what a router in another language has to answer."""
    if is_table(scenario_id) and len(pools := datasets.benchmark(scenario_id).pools) == 1:
        # A table has one pool; its own name is enough.
        scenario_id = f"{scenario_id}/{'/'.join(map(str, next(iter(pools))))}"
    scenario = datasets.scenario(scenario_id)
    queries = scenario.test.queries
    texts = [None] * len(queries) if queries.texts is None else list(queries.texts)
    return [{"scenario": scenario.id, "prompt": i, "text": text} for i, text in zip(queries.ids, texts, strict=True)]


def _parameters(name: str, cls: Any) -> dict[str, Any]:
    """Every parameter but the seed with its default; None where it has none."""
    defaults = defaults_of(name)
    return {k: defaults.get(k) for k in inspect.signature(cls).parameters if k != "seed"}


def _type(hint: Any) -> str:
    if typing.get_origin(hint) is typing.Literal:
        return " | ".join(map(str, typing.get_args(hint)))
    return hint.__name__ if isinstance(hint, type) else str(hint)


def _about(cls: Any) -> str:
    return (inspect.getdoc(cls) or "").split("\n\n")[0].replace("\n", " ")


_CITATION = "Huang et al., RouterEval, Findings of EMNLP 2025, arXiv 2503.10657"

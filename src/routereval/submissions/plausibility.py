"""Which scenarios of a submission look as if their answers had been known, told in words.

A high alignment alone proves nothing: where prompts say which model can do them, an honest router has one too. So where
one is found, routers of this package are trained on the same training prompts, and it is asked how far beyond the best
of them the submission goes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from routereval.data.scenario import Scenario
from routereval.evaluation import evaluate_many
from routereval.policies import PolicySpec, needs_embeddings, needs_subsets
from routereval.results import RunResult, RunSpec
from routereval.submissions.alignment import DOUBT, LIMIT, SIGNIFICANCE, Hits, hits_of, together

HONEST = ("knn:k=20", "ridge", "kmeans", "subset_only")
"""Routers that show how far one comes that does not know the answers."""

HEADROOM = 0.25
"""How much of the way from the best of them to the oracle a better router may go, where that is beyond the limit."""

Verdict = Literal["plausible", "doubtful", "implausible"]


@dataclass(frozen=True)
class Plausibility:
    """What the hits on one scenario, or on all pools of a benchmark together, look like.

    Parameters
    ----------
    name : the scenario's id, or the benchmark with how many pools.
    gap_closed : of the scenario; None for several together.
    limit : the alignment it was held against.
    p : how likely so many hits are at that alignment.
    honest : alignment of routers of this package by name; None where there was no need to run them, empty where the
        data have nothing they could go by.
    """

    name: str
    hits: Hits
    gap_closed: float | None
    limit: float
    p: float
    honest: Mapping[str, float] | None = None

    @property
    def verdict(self) -> Verdict:
        """``implausible`` beyond the limit; ``doubtful`` where too few prompts, or no honest router, say so."""
        if self.p >= DOUBT:
            return "plausible"
        return "implausible" if self.honest and self.p < SIGNIFICANCE else "doubtful"

    def __str__(self) -> str:
        hits = self.hits
        if hits.contested == 0:
            return f"{self.name}: all models score alike on every prompt; nothing shows where choices come from"
        told = (
            f"{self.name}: {hits.contested} prompts are answered right by some of the models and wrong by others. Its "
            f"choices are right on {hits.hits} of them; dealt out at random within each subset they would be on "
            f"{hits.expected:.1f} (z = {hits.z:.1f}). That is {hits.alignment:.0%} of the way to the oracle"
        )
        if hits.hard:
            told += (
                f". On the {hits.hard} prompts that at most a quarter of the models answer right it is right on "
                f"{hits.hard_hits}, expected {hits.hard_expected:.1f}"
            )
        if self.honest:
            reached, best = max((value, name) for name, value in self.honest.items())
            told += f". Of {', '.join(self.honest)}, trained here, the best is {best} with {reached:.0%} of the way"
        elif self.honest is not None:
            told += ". No honest router could be run here to hold beside it: none has what it needs to go by"
        return (
            f"{told}. A router that goes {self.limit:.0%} of the way would be right so often with probability "
            f"{self.p:.2g}"
        )


def plausibility(results: Sequence[RunResult], scenarios: Mapping[str, Scenario]) -> list[Plausibility]:
    """Judge every scenario, the pools of each benchmark together, and all benchmarks together.

    Parameters
    ----------
    results : of one submission, with their choices.
    scenarios : by id, those of the results.
    """
    hits = {one.spec.scenario: _hits(one, scenarios[one.spec.scenario]) for one in results}
    gaps = {one.spec.scenario: one.metrics["gap_closed"] for one in results}
    by_benchmark: dict[str, list[str]] = {}
    for one in hits:
        by_benchmark.setdefault(scenarios[one].benchmark, []).append(one)
    cells = {one: [[one]] for one in hits}
    cells |= {f"{name} ({len(ids)} pools)": [ids] for name, ids in by_benchmark.items() if len(ids) > 1}
    if len(by_benchmark) > 1:
        cells[f"all {len(hits)} scenarios"] = list(by_benchmark.values())
    told = {name: _of_cell(hits, blocks) for name, blocks in cells.items()}
    suspicious = {name for name, one in told.items() if one.p_at(LIMIT) < DOUBT}
    asked = {scenarios[ids[0]].benchmark for name in suspicious for ids in cells[name]}
    honest: dict[str, dict[str, Hits]] = {}
    for benchmark in asked:
        for router, reached in _honest([scenarios[one] for one in by_benchmark[benchmark]], results[0].spec).items():
            honest.setdefault(router, {}).update(reached)
    judged = []
    for name, blocks in cells.items():
        if name not in suspicious:
            judged.append(Plausibility(name, told[name], gaps.get(name), LIMIT, told[name].p_at(LIMIT)))
            continue
        beside = {
            router: _of_cell(reached, blocks).alignment
            for router, reached in honest.items()
            if all(one in reached for ids in blocks for one in ids)
        }
        best = max(0.0, *beside.values()) if beside else 0.0
        limit = max(LIMIT, best + HEADROOM * (1 - best))
        judged.append(Plausibility(name, told[name], gaps.get(name), limit, told[name].p_at(limit), beside))
    return judged


def _of_cell(hits: Mapping[str, Hits], blocks: Sequence[Sequence[str]]) -> Hits:
    """The hits on blocks of scenarios, those of one block on the same prompts."""
    each = [together([hits[one] for one in ids], same_prompts=True) for ids in blocks]
    return together(each, same_prompts=False)


def _honest(scenarios: Sequence[Scenario], like: RunSpec) -> dict[str, dict[str, Hits]]:
    """Hits of honest routers by scenario; those that cannot be run here are left out."""
    queries = scenarios[0].train.queries
    found = {}
    for text in HONEST:
        router = PolicySpec.parse(text).build()
        if (needs_embeddings(router) and queries.embeddings is None) or (
            needs_subsets(router) and queries.subsets is None
        ):
            continue
        results = evaluate_many(router, scenarios, protocol=like.protocol)
        hits = {
            scenario.id: _hits(result, scenario)
            for scenario, result in zip(scenarios, results, strict=True)
            if isinstance(result, RunResult)
        }
        if hits:
            found[text.partition(":")[0]] = hits
    return found


def _hits(result: RunResult, scenario: Scenario) -> Hits:
    assert result.outcome is not None
    assert result.outcome.choices is not None
    return hits_of(result.outcome.choices, scenario.test)

"""Routers compared in pairs over what is stored: differences, tests, ranks, what the benchmarks can tell at all."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from routereval.errors import ParameterError
from routereval.report.compared_cells import ComparedCell, FailedRun, Gathered, RunSource, gather
from routereval.report.detectable import Detectable, detectable_of
from routereval.report.oracle_estimates import OracleEstimate, oracle_estimates
from routereval.report.pair_differences import (
    Asked,
    CellDraws,
    PairRow,
    overall_rows,
    resample,
    scenario_rows,
    weights_of,
)
from routereval.report.prompt_sets import ClusterBy, PromptSet, prompt_sets
from routereval.report.provenance import Provenance, provenance_of
from routereval.results import ResultStore, RunResult, StoredRun
from routereval.stats.bootstrap import DRAWS
from routereval.stats.corrections import Correction
from routereval.stats.paired import DRAWS as FLIPS
from routereval.stats.ranks import friedman, mean_ranks, nemenyi

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True)
class RouterRow:
    """One router among those compared.

    Parameters
    ----------
    rank : mean rank over the cells (benchmark, protocol, encoder, data, pool size); nan where it lacks any.
    mean : its mean score over the scenarios it has: strategies first, then pool sizes, then benchmarks.
    scenarios : how many it has; seeds : at most.
    """

    router: str
    rank: float
    mean: float
    scenarios: int
    seeds: int


@dataclass(frozen=True)
class Comparison:
    """Everything :func:`compare` finds.

    Parameters
    ----------
    pairs : every two routers over all scenarios that both have.
    by_scenario : the same in each scenario.
    routers : best first.
    cells : how many the ranks are over; friedman_p, critical_difference : of these ranks.
    detectable : the minimum detectable difference of each benchmark.
    oracles : what choosing in hindsight scores, observed and corrected.
    failed, notes : runs that failed, and what a reader should know.
    settings : how it was computed; provenance : of the runs it was computed from.
    """

    pairs: tuple[PairRow, ...]
    by_scenario: tuple[PairRow, ...]
    routers: tuple[RouterRow, ...]
    cells: int
    friedman_p: float
    critical_difference: float
    detectable: tuple[Detectable, ...]
    oracles: tuple[OracleEstimate, ...]
    failed: tuple[FailedRun, ...] = field(default=())
    notes: tuple[str, ...] = field(default=())
    settings: dict[str, Any] = field(default_factory=dict)
    provenance: tuple[Provenance, ...] = field(default=())

    @property
    def ranks(self) -> dict[str, float]:
        """Mean rank of every router that has all cells."""
        return {one.router: one.rank for one in self.routers if not math.isnan(one.rank)}

    def frame(self) -> pl.DataFrame:
        """The pairs over all scenarios, a row each, with protocol, encoder, seeds, data and version of its runs."""
        return _frame(self.pairs, PairRow)

    def scenario_frame(self) -> pl.DataFrame:
        """The pairs in each scenario, a row each, with the same."""
        return _frame(self.by_scenario, PairRow)

    def oracle_frame(self) -> pl.DataFrame:
        """What choosing in hindsight scores, a row per scenario and kind."""
        return _frame(self.oracles, OracleEstimate)

    def to_json(self) -> dict[str, Any]:
        """All of it as plain values; what does not exist is null."""
        found = asdict(self)
        for row, one in zip(found["detectable"], self.detectable, strict=True):
            row["sentence"] = one.sentence
        found["provenance"] = [one.to_json() for one in self.provenance]
        plain: dict[str, Any] = _plain(found)
        return plain

    def __str__(self) -> str:
        from routereval.report.comparison_table import as_text

        return as_text(self)


def compare(
    results: str | Path | Iterable[StoredRun | RunResult],
    routers: Sequence[str] | None = None,
    scenarios: Sequence[str] | None = None,
    *,
    cluster: str = "duplicates",
    correction: str = "holm",
    baseline: str | None = None,
    protocol: str | None = None,
    encoder: str | None = None,
    draws: int = DRAWS,
    flips: int | None = None,
    oracles: bool = True,
    seed: int = 0,
) -> Comparison:
    """Compare routers in pairs, prompt by prompt, on what both were tested on; nothing is run.

    Per prompt a router's score is the mean over its seeds. Runs on a part of the training prompts are left out.

    Parameters
    ----------
    results : a results file, or runs, as ``rv.run`` returns them and ``rv.evaluate`` its result.
    routers : labels (``"knn:k=50"``), names (``"knn"``, with any parameters) or globs; None: every router that is no
        reference.
    scenarios : globs of scenario ids, or benchmarks.
    cluster : what is resampled as a whole: ``prompts``, ``duplicates`` (near-duplicate prompts) or ``subset``.
    correction : over all pairs: ``holm`` or ``bh``.
    baseline : compare every router with this one only.
    protocol, encoder : only runs by these rules, with these embeddings; None: all there are. Runs by several protocols,
        or with several encoders on the same data, are never averaged: one has to be chosen then.
    draws, flips : resamples of the bootstrap; random sign flips where a test is not exact, by default 9,999 or, with
        more than 100 pairs, 100 per pair.
    oracles : whether to estimate what choosing in hindsight scores.

    Raises
    ------
    ResultsError : no such file, or not one of ours.
    UnknownNameError : a router nobody ran, a protocol that does not exist, an encoder that no run has.
    ParameterError : a value that is none of those above, nothing to compare, or protocols or encoders to choose from.

    Examples
    --------
    >>> import routereval as rv
    >>> scenario = rv.load_scenario("demo_math/all_strong/5")
    >>> found = rv.compare([rv.evaluate(router, scenario) for router in (rv.KNN(k=5), rv.BestSingle())])
    >>> found.frame().columns[3:5]
    ['first', 'second']
    """
    by, how = _one_of(ClusterBy, "cluster", cluster), _one_of(Correction, "correction", correction)
    for name, value in (("draws", draws), ("flips", flips)):
        if value is not None and value < 1:
            raise ParameterError(f"{name} is {value}; expected 1 or more")

    def found_in(source: RunSource) -> Comparison:
        gathered = gather(source, routers, scenarios, baseline, protocol, encoder)
        return _comparison(gathered, source, by, how, draws, flips, oracles, seed)

    if isinstance(results, str | Path):
        with ResultStore(Path(results), create=False) as store:
            return found_in(RunSource(store.runs(outcomes=False), store.iter_runs, store.record))
    runs = [StoredRun.of(one) if isinstance(one, RunResult) else one for one in results]
    return found_in(RunSource(runs, lambda keys: (one for one in runs if _key(one) in keys), lambda spec: None))


def _comparison(
    gathered: Gathered,
    source: RunSource,
    by: ClusterBy,
    correction: Correction,
    draws: int,
    flips: int | None,
    oracles: bool,
    seed: int,
) -> Comparison:
    rows, cells, p, difference = _ranked(gathered)
    order = tuple(row.router for row in rows)
    count = len(order) - 1 if gathered.baseline is not None else len(order) * (len(order) - 1) // 2
    # So many that the smallest p is below 1 % even after it was multiplied by the number of pairs.
    flips = flips if flips is not None else max(FLIPS, 100 * count - 1)
    asked = Asked(order, gathered.baseline, correction, draws, flips, seed)
    sets, notes = prompt_sets(gathered.cells, source.record, by)
    drawn: list[tuple[PromptSet, list[CellDraws]]] = [(one, resample(one, asked)) for one in sets]
    by_scenario = [row for prompts, parts in drawn for one in parts for row in scenario_rows(prompts, one, asked)]
    pairs = overall_rows(drawn, by_scenario, asked)
    estimates = [
        row for cell in gathered.cells if oracles for row in oracle_estimates(cell, source.record, draws, seed)
    ]
    return Comparison(
        pairs=tuple(pairs),
        by_scenario=tuple(by_scenario),
        routers=tuple(rows),
        cells=cells,
        friedman_p=p,
        critical_difference=difference,
        detectable=tuple(detectable_of(prompts, parts, gathered.asked) for prompts, parts in drawn),
        oracles=tuple(estimates),
        failed=gathered.failed,
        notes=(*gathered.notes, *notes, *_notes(gathered, rows)),
        settings=_settings(gathered, asked, by),
        provenance=provenance_of(gathered.origins),
    )


def _ranked(gathered: Gathered) -> tuple[list[RouterRow], int, float, float]:
    """Routers best first, over how many cells they are ranked, Friedman's p and the critical difference.

    Cells and who takes part are those of ``routereval rank``: cells that half of the routers have, routers that have
    every one of them.
    """
    by_size: dict[tuple[Any, ...], dict[str, list[float]]] = {}
    for cell in gathered.cells:
        for label, mean in _means(cell).items():
            by_size.setdefault(cell.pool_size_cell, {}).setdefault(label, []).append(mean)
    counted = Counter(label for scores in by_size.values() for label in scores)
    having = Counter({key: len(scores) for key, scores in by_size.items()})
    wanted = sorted(key for key, n in having.items() if 2 * n >= max(having.values()))
    complete = [label for label in gathered.routers if counted[label] and all(label in by_size[key] for key in wanted)]
    matrix = np.array([[np.mean(by_size[key][label]) for label in complete] for key in wanted])
    ranks = dict(zip(complete, mean_ranks(matrix).tolist(), strict=True)) if complete else {}
    rows = []
    for label in gathered.routers:
        own = [cell for cell in gathered.cells if label in cell.scores]
        mean = float(weights_of(own) @ np.array([_means(cell)[label] for cell in own]))
        seeds = max(cell.seeds[label] for cell in own)
        rows.append(RouterRow(label, ranks.get(label, math.nan), mean, len(own), seeds))
    rows.sort(key=lambda row: (math.isnan(row.rank), row.rank if row.rank == row.rank else 0.0, -row.mean, row.router))
    p = friedman(matrix) if complete else math.nan
    return rows, len(wanted), p, nemenyi(len(complete), len(wanted))


def _means(cell: ComparedCell) -> dict[str, float]:
    prompts = max(1, int(cell.counted.sum()))
    return {label: float(scores.sum() / prompts) for label, scores in cell.scores.items()}


def _notes(gathered: Gathered, rows: Sequence[RouterRow]) -> list[str]:
    notes = []
    if max(row.seeds for row in rows) > 1:
        counts = Counter(row.seeds for row in rows if row.seeds > 1)
        several = ", ".join(f"{n} seeds of {routers} router{'s' * (routers > 1)}" for n, routers in counts.items())
        notes.append(f"scores are averaged over seeds first, prompt by prompt: {several}")
    total = len(gathered.cells)
    if partial := [f"{row.router} ({row.scenarios})" for row in rows if row.scenarios < total]:
        shown = ", ".join(partial[:8]) + (f" and {len(partial) - 8} more" if len(partial) > 8 else "")
        notes.append(f"compared on what both of a pair have, not on all {total} scenarios: {shown}")
    return notes


def _settings(gathered: Gathered, asked: Asked, by: ClusterBy) -> dict[str, Any]:
    from routereval import __version__

    specs = [cell.spec for cell in gathered.cells]
    origins = gathered.origins
    return {
        "cluster": str(by),
        "correction": str(asked.correction),
        "baseline": asked.baseline,
        "draws": asked.draws,
        "flips": asked.flips,
        "seed": asked.seed,
        "protocols": sorted({spec.protocol for spec in specs}),
        "encoders": sorted({spec.encoder for spec in specs}),
        "run_seeds": sorted({one.seed for one in origins}),
        "run_versions": sorted({one.version for one in origins}),
        "data": {spec.benchmark: spec.data_hash for spec in specs},
        "version": __version__,
    }


def _key(run: StoredRun) -> str:
    return run.key or run.spec.key


def _one_of(kind: Callable[[str], Any], name: str, value: str) -> Any:
    known = [str(one) for one in kind]  # type: ignore[attr-defined]
    if value not in known:
        raise ParameterError(f"{name} is {value!r}; expected {' or '.join(known)}")
    return kind(value)


def _frame(rows: Sequence[Any], kind: Any) -> pl.DataFrame:
    """A column per field, also of no rows; an interval as two."""
    import polars as pl

    columns: dict[str, list[Any]] = {one.name: [] for one in fields(kind)}
    for row in rows:
        for name in columns:
            columns[name].append(getattr(row, name))
    split: dict[str, list[Any]] = {}
    for name, values in columns.items():
        if name.endswith("_interval"):
            head = name.removesuffix("_interval")
            split |= {f"{head}_low": [one[0] for one in values], f"{head}_high": [one[1] for one in values]}
        else:
            split[name] = values
    return pl.DataFrame(split)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, float) and math.isnan(value):
        return None
    return value

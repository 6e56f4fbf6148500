"""A comparison on a terminal: pairs, ranks, what benchmarks can tell apart, what hindsight is worth."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence

from rich import box
from rich.console import Console, RenderableType
from rich.console import Group as Stack
from rich.table import Table
from rich.text import Text

from routereval.report.comparison import Comparison
from routereval.report.oracle_estimates import ORACLE, ROUTER, SINGLE, SUBSET, Interval, OracleEstimate
from routereval.report.pair_differences import PairRow
from routereval.report.printable import printable

WIDE = 110
"""From so many columns on an interval stands beside its number, not below it."""

MOST_PAIRS, MOST_SCENARIOS = 40, 12
"""How many rows are shown; the others are in the JSON and the frames."""

CORRECTIONS = {"holm": "Holm", "bh": "BH"}


def comparison_tables(found: Comparison, width: int) -> RenderableType:
    """Everything that fits on a screen or two, with what it means below."""
    blocks: list[RenderableType] = [_pair_table(found, width)]
    if len(found.pairs) > MOST_PAIRS:
        blocks.append(_dim(f"{len(found.pairs) - MOST_PAIRS} more pairs: --json, or fewer by --router and --baseline"))
    if len(found.pairs) == 1 and len(found.by_scenario) > 1:
        blocks.append(_scenario_table(found, width))
    blocks += [*map(_dim, legend(found)), Text("")]
    blocks += [*map(_plain, sentences(found)), Text("")]
    if found.oracles:
        blocks.append(_oracles(found.oracles, width))
        blocks += [*map(_dim, oracle_legend(found.oracles)), Text("")]
    blocks += [_dim(f"note: {note}") for note in found.notes]
    blocks += [Text(printable(f"failed: {line}"), style="red") for line in failures(found)]
    return Stack(*blocks, *map(_dim, statement(found)))


def as_text(found: Comparison, width: int = 120) -> str:
    """The same without colours."""
    buffer = io.StringIO()
    Console(file=buffer, width=width, color_system=None, force_jupyter=False).print(comparison_tables(found, width))
    return "\n".join(line.rstrip() for line in buffer.getvalue().splitlines())


def _pair_table(found: Comparison, width: int) -> Table:
    """Every two routers over all scenarios that both have."""
    wide = width >= WIDE
    columns = ["A", "B"] if wide else []
    columns += ["A - B", *_p_columns(found, wide), "+/=/-"]
    table = _table(["router A", "router B"], columns)
    for row in found.pairs[:MOST_PAIRS]:
        means = [f"{row.first_mean:.3f}", f"{row.second_mean:.3f}"] if wide else []
        counts = f"{row.wins}/{row.ties}/{row.losses}"
        names = (Text(printable(name)) for name in (row.first, row.second))
        table.add_row(*names, *means, _difference(row, wide), *_ps(row, found, wide), counts)
    return table


def _scenario_table(found: Comparison, width: int) -> Table:
    """One pair in each scenario."""
    wide = width >= WIDE
    columns = ["A", "B"] if wide else []
    columns += ["A - B", *_p_columns(found, wide), "differ on", *(["test"] if wide else [])]
    table = _table(["scenario"], columns)
    for row in found.by_scenario:
        means = [f"{row.first_mean:.3f}", f"{row.second_mean:.3f}"] if wide else []
        last = [f"{row.differ} of {row.clusters}", *([row.test] if wide else [])]
        table.add_row(Text(printable(row.scenario)), *means, _difference(row, wide), *_ps(row, found, wide), *last)
    return table


def _table(names: Sequence[str], numbers: Sequence[str]) -> Table:
    table = Table(pad_edge=False, box=box.SIMPLE_HEAD)
    for name in names:
        table.add_column(name, overflow="fold")
    for number in numbers:
        table.add_column(number, justify="right", no_wrap=True)
    return table


def _p_columns(found: Comparison, wide: bool) -> list[str]:
    if len(found.pairs) == 1:
        return ["p"]
    return [*(["p"] if wide else []), f"p {CORRECTIONS[found.settings['correction']]}"]


def _ps(row: PairRow, found: Comparison, wide: bool) -> list[str]:
    own = [_p(row.p)] if wide and len(found.pairs) > 1 else []
    return [*own, _p(row.p_adjusted) + (" *" if row.significant else "  ")]


def _difference(row: PairRow, wide: bool) -> Text:
    return _number(row.difference, (row.low, row.high), " " if wide else "\n", "+")


def legend(found: Comparison) -> list[str]:
    """What stands in the tables of pairs."""
    settings, pairs = found.settings, len(found.pairs)
    drawn = {
        "prompts": "prompts resampled",
        "duplicates": "near-duplicate prompts resampled together",
        "subset": "whole subsets resampled",
    }[settings["cluster"]]
    kept = {
        "holm": "any false alarm among them at most 5 %",
        "bh": "at most 5 % of the marked ones false alarms",
    }[settings["correction"]]
    over = f", corrected for {pairs} pairs ({kept})" if pairs > 1 else ""
    return [
        f"A - B: difference of the mean scores on the same prompts; [ ]: 95 % bootstrap interval, {drawn}",
        f"*: p below 0.05{over}; +/=/-: in how many scenarios A is above, at, below B",
    ]


def sentences(found: Comparison) -> list[str]:
    """Ranks and what each benchmark can tell apart, in words."""
    marked = sum(row.significant for row in found.pairs)
    said = [f"{marked} of {len(found.pairs)} pairs differ at 5 %"]
    tests = sorted({f"{row.test} ({row.draws:,})" if row.draws else row.test for row in found.pairs})
    said[0] += f"; tested by {', '.join(tests)}" if tests else ""
    if len(found.ranks) > 1:
        ranks = ", ".join(f"{router} {rank:.1f}" for router, rank in list(found.ranks.items())[:10])
        more = f" and {len(found.ranks) - 10} more" if len(found.ranks) > 10 else ""
        line = f"mean ranks over {found.cells} cells: {ranks}{more}"
        if not math.isnan(found.friedman_p):
            line += f"; Friedman p = {found.friedman_p:.2g}, ranks further apart than "
            line += f"{found.critical_difference:.2f} differ (Nemenyi, 5 %)"
        said.append(line)
    said += [one.sentence for one in found.detectable]
    if found.detectable:
        said.append("told apart: found in 4 of 5 such tests at 5 %, two-sided, before any correction for several pairs")
    return said


def failures(found: Comparison) -> list[str]:
    """Runs that failed, those that failed alike in one line."""
    alike: dict[tuple[str, str], list[str]] = {}
    for one in found.failed:
        alike.setdefault((one.router, one.error), []).append(one.scenario)
    said = []
    for (router, error), scenarios in alike.items():
        more = f" and {len(scenarios) - 3} more" if len(scenarios) > 3 else ""
        said.append(f"{router} on {', '.join(scenarios[:3])}{more}: {error}")
    return said


def statement(found: Comparison) -> list[str]:
    """Which runs it was computed from, and how."""
    one = found.settings
    how = f"{one['draws']:,} resamples, their seed {one['seed']}; computed by routereval {one['version']}"
    return [*(each.sentence() for each in found.provenance), how]


def oracle_legend(rows: Sequence[OracleEstimate]) -> list[str]:
    """What stands in the table of hindsight."""
    scenarios = len({(row.scenario, row.protocol, row.encoder) for row in rows})
    said = [
        "in hindsight: chosen and scored on the same prompts, which flatters; corrected: chosen on one half, scored on"
    ]
    said[0] += " the other. The oracle has no other half: an upper bound."
    if scenarios > MOST_SCENARIOS:
        said.append(f"{scenarios - MOST_SCENARIOS} more scenarios: --scenario, --json")
    return said


def _oracles(rows: Sequence[OracleEstimate], width: int) -> Table:
    """A row per scenario; narrow terminals show the corrected values only."""
    by_scenario: dict[tuple[str, str, str], dict[str, OracleEstimate]] = {}
    for row in rows:
        by_scenario.setdefault((row.scenario, row.protocol, row.encoder), {})[row.kind] = row
    kinds = [kind for kind in (ROUTER, SINGLE, SUBSET) if any(kind in one for one in by_scenario.values())]
    if width < WIDE and SUBSET in kinds:
        # Names of scenarios need the room; this one is not about the pool.
        kinds.remove(ROUTER)
    table = Table(pad_edge=False, box=box.SIMPLE_HEAD)
    table.add_column("scenario", overflow="fold")
    for kind in kinds:
        if width >= WIDE:
            table.add_column(f"{kind},\nin hindsight", justify="right", no_wrap=True)
        table.add_column(f"{kind},\ncorrected", justify="right", no_wrap=True)
    if with_oracle := any(ORACLE in one for one in by_scenario.values()):
        table.add_column("oracle,\nat most", justify="right", no_wrap=True)
    for (scenario, _, _), one in list(by_scenario.items())[:MOST_SCENARIOS]:
        cells: list[str | Text] = []
        for kind in kinds:
            found = one.get(kind)
            if width >= WIDE:
                cells.append("" if found is None else f"{found.observed:.3f}")
            cells.append("" if found is None else _number(found.corrected, found.corrected_interval, "\n"))
        if with_oracle:
            top = one.get(ORACLE)
            cells.append("" if top is None else _number(top.observed, top.observed_interval, "\n"))
        table.add_row(Text(printable(scenario)), *cells)
    return table


def _number(value: float, interval: Interval, between: str, sign: str = "") -> Text:
    if math.isnan(value):
        return Text("-")
    low, high = interval
    spread = "" if math.isnan(low) else f"{between}[{low:{sign}.3f}, {high:{sign}.3f}]"
    # Text, never a string: what stands in [ ] would be taken for markup.
    return Text(f"{value:{sign}.3f}{spread}")


def _p(value: float) -> str:
    return "-" if math.isnan(value) else "<0.001" if value < 0.001 else f"{value:.3f}"


def _dim(text: str) -> Text:
    return Text(printable(text), style="dim")


def _plain(text: str) -> Text:
    return Text(printable(text))

"""Paired tests of a benchmark's routers against the best single model and the leader, corrected for how many."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from routereval.errors import RouterEvalError
from routereval.report.comparison import Comparison, compare
from routereval.report.pair_differences import ALL, PairRow
from routereval.report.site.boards import BoardMaker
from routereval.report.site.formatting import MISSING, fixed, shown
from routereval.report.site.inventory import BASELINE, Inventory

MOST_RUNS = 20_000
"""Of larger files no tests are made for the pages: ``routereval compare`` does them, a benchmark at a time."""

COLUMNS = (
    ("router", "text"),
    ("difference", "number"),
    ("p", "number"),
    ("p, corrected", "number"),
    ("better / equal / worse", "number"),
    ("scenarios", "number"),
)


@dataclass(frozen=True)
class Tested:
    """What a benchmark's page shows of the tests.

    Parameters
    ----------
    tables : for the template.
    detectable : which difference the benchmark can tell at all, in a sentence; empty where nobody knows.
    note : why there are none, else empty.
    """

    tables: tuple[dict[str, Any], ...] = ()
    detectable: str = ""
    note: str = ""


def tested(results: Path, inventory: Inventory, maker: BoardMaker, advance: Callable[[], None]) -> Mapping[str, Tested]:
    """The tests of each benchmark; of a file with runs by several protocols none, since they would be mixed."""
    why = ""
    if inventory.runs > MOST_RUNS:
        why = f"the file has {inventory.runs:,} runs; paired tests: routereval compare RESULTS --scenario BENCHMARK"
    elif len(inventory.protocols) > 1:
        why = "runs by two protocols are not tested together: routereval compare on a file of one"
    found = {}
    for benchmark in inventory.benchmarks:
        found[benchmark] = Tested(note=why) if why else _of_benchmark(results, inventory, maker, benchmark)
        advance()
    return found


def _of_benchmark(results: Path, inventory: Inventory, maker: BoardMaker, benchmark: str) -> Tested:
    board = maker.board(inventory.protocols[0], benchmark=benchmark)
    if board is None or board.leader < 0:
        return Tested()
    present = [inventory.routers[row] for row in board.rows]
    singles = [router.label for router in present if router.kind == BASELINE]
    leader = inventory.routers[board.leader].label
    labels = [router.label for router in present if router.competes]
    if len(labels) < 2:
        return Tested()
    tables, detectable = [], ""
    for baseline in dict.fromkeys([*singles, leader]):
        try:
            # Globs match the name alone: a bracket in it stands for itself.
            one = compare(results, labels, [_literal(benchmark) + "/*"], baseline=baseline, oracles=False)
        except RouterEvalError as error:
            return Tested(note=str(error))
        tables.append(_table(one, baseline, "the best single model" if baseline in singles else "the leader"))
        detectable = detectable or "; ".join(row.sentence for row in one.detectable)
    return Tested(tuple(tables), detectable)


def _table(found: Comparison, baseline: str, who: str) -> dict[str, Any]:
    rows = [row for row in found.pairs if row.scenario == ALL] or list(found.pairs)
    return {
        "title": f"Paired tests against {who}, {baseline}",
        "about": (
            f"mu less that of {baseline}, with its 95 % interval, near-duplicate prompts resampled together; p by "
            "random sign flips or McNemar’s exact test, corrected by Holm for all rows; * where that is below 0.05. "
            "Better, equal, worse: in how many scenarios."
        ),
        "columns": COLUMNS,
        "rows": [_row(row) for row in rows],
    }


def _row(row: PairRow) -> list[tuple[str, str, str]]:
    """Each cell's text, what its column is sorted by, and the interval below it."""
    difference = shown(row.difference, row.low, row.high, signed=True)
    return [
        (row.first, row.first, ""),
        (difference.value, difference.sort, difference.interval),
        (_p(row.p), f"{row.p:.6g}", ""),
        (_p(row.p_adjusted) + (" *" if row.significant else ""), f"{row.p_adjusted:.6g}", ""),
        (f"{row.wins} / {row.ties} / {row.losses}", str(row.wins), ""),
        (str(row.scenarios), str(row.scenarios), ""),
    ]


def _p(value: float) -> str:
    return MISSING if math.isnan(value) else "< 0.001" if value < 0.001 else fixed(value)


def _literal(name: str) -> str:
    return "".join(f"[{one}]" if one in "*?[" else one for one in name)

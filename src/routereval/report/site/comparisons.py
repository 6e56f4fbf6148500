"""Paired tests of a benchmark's routers against the best single model and the leader, corrected for how many.

Runs by several protocols, or with several embeddings, are never mixed: each has tests of its own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from routereval.errors import RouterEvalError
from routereval.report.comparison import Comparison, compare
from routereval.report.pair_differences import ALL, PairRow
from routereval.report.site.boards import Board, BoardMaker
from routereval.report.site.formatting import MISSING, fixed, shown
from routereval.report.site.inventory import BASELINE, Inventory
from routereval.report.site.stated import as_lines

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
    note : why there are none, or not all, else empty.
    """

    tables: tuple[dict[str, Any], ...] = ()
    detectable: str = ""
    note: str = ""


def tested(results: Path, inventory: Inventory, maker: BoardMaker, advance: Callable[[], None]) -> Mapping[str, Tested]:
    """The tests of each benchmark."""
    why = ""
    if inventory.runs > MOST_RUNS:
        why = f"the file has {inventory.runs:,} runs; paired tests: routereval compare RESULTS --scenario BENCHMARK"
    found = {}
    for benchmark in inventory.benchmarks:
        found[benchmark] = Tested(note=why) if why else _of_benchmark(results, inventory, maker, benchmark)
        advance()
    return found


def _of_benchmark(results: Path, inventory: Inventory, maker: BoardMaker, benchmark: str) -> Tested:
    settings = inventory.settings(benchmark)
    protocols, encoders = map(set, zip(*settings, strict=True))
    parts = []
    for setting in settings:
        board = maker.board(setting, benchmark=benchmark)
        # Only what there are several of is asked for, and said.
        asked = {"protocol": setting.protocol} if len(protocols) > 1 else {}
        asked |= {"encoder": setting.encoder} if setting.encoder is not None and len(encoders) > 1 else {}
        if board is not None and board.leader >= 0:
            parts.append(_of_board(results, inventory, board, benchmark, asked))
    return Tested(
        tuple(table for part in parts for table in part.tables),
        "; ".join(part.detectable for part in parts if part.detectable),
        "; ".join(part.note for part in parts if part.note),
    )


def _of_board(results: Path, inventory: Inventory, board: Board, benchmark: str, asked: Mapping[str, str]) -> Tested:
    """The tests of the runs of one protocol and encoder, which are ``asked`` for where there are others."""
    present = [inventory.routers[row] for row in board.rows]
    singles = [router.label for router in present if router.kind == BASELINE]
    leader = inventory.routers[board.leader].label
    labels = [router.label for router in present if router.competes]
    if len(labels) < 2:
        return Tested()
    tables, detectable = [], ""
    said = ", ".join(f"{name} {value}" for name, value in asked.items())
    before, after = (f"{said}: ", f" ({said})") if said else ("", "")
    for baseline in dict.fromkeys([*singles, leader]):
        try:
            # Globs match the name alone: a bracket in it stands for itself.
            where = [_literal(benchmark) + "/*"]
            one = compare(
                results,
                labels,
                where,
                baseline=baseline,
                oracles=False,
                protocol=asked.get("protocol"),
                encoder=asked.get("encoder"),
            )
        except RouterEvalError as error:
            return Tested(note=f"{before}{error}")
        tables.append(_table(one, baseline, "the best single model" if baseline in singles else "the leader", after))
        detectable = detectable or "; ".join(f"{before}{row.sentence}" for row in one.detectable)
    return Tested(tuple(tables), detectable)


def _table(found: Comparison, baseline: str, who: str, of: str) -> dict[str, Any]:
    rows = [row for row in found.pairs if row.scenario == ALL] or list(found.pairs)
    return {
        "title": f"Paired tests against {who}, {baseline}{of}",
        "about": (
            f"mu less that of {baseline}, with its 95 % interval, near-duplicate prompts resampled together; p by "
            "random sign flips or McNemar’s exact test, corrected by Holm for all rows; * where that is below 0.05. "
            "Better, equal, worse: in how many scenarios."
        ),
        "columns": COLUMNS,
        "rows": [_row(row) for row in rows],
        "stated": as_lines(found.provenance),
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

"""What each page shows: templates and the values they are filled with."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from routereval import facts, protocols
from routereval.report.site.boards import COLUMNS, Board, BoardMaker
from routereval.report.site.comparisons import Tested
from routereval.report.site.credits import Credit
from routereval.report.site.embedding import script_json
from routereval.report.site.failures import failure_rows
from routereval.report.site.formatting import DIGITS, Shown, above_zero, shown, whole
from routereval.report.site.inventory import REFERENCE, Inventory, RouterEntry
from routereval.report.site.naming import slug
from routereval.report.site.stated import STATED, stated, stated_cells

SCALE = 10**DIGITS
"""Numbers within a page are whole numbers of so many parts: short, and more digits than are shown."""
_LAST = SCALE // 1000
"""So many parts are one of the last digit that is shown."""

POLICY = (
    "default-src 'none'; script-src 'self' file:; style-src 'self' file: 'unsafe-inline'; "
    "img-src 'self' file: data: blob:; base-uri 'none'; form-action 'none'"
)
"""Scripts and styles out of files of the site alone: ``file:`` stands for the site where it is opened from disk, and
means nothing where it is served. plotly writes styles into the page."""

FEW = 200
"""Fewer test prompts than this tell only large differences apart; a page says so."""

_SIGNED = ("gain", "behind")


@dataclass(frozen=True)
class Page:
    """One page, ready to be written: its path within the site, its template, and the values in it."""

    path: str
    template: str
    values: Mapping[str, Any]


def pages_of(
    inventory: Inventory, maker: BoardMaker, tests: Mapping[str, Tested], credits: Mapping[int, Credit]
) -> Iterator[Page]:
    """Every page but the one about method and data, which lists what was written.

    Parameters
    ----------
    tests : by benchmark.
    credits : of the routers that were submitted, by index.
    """
    yield _index(inventory, maker, credits)
    benchmarks = benchmark_table(inventory, maker)
    yield Page("benchmarks.html", "benchmarks", {"here": "benchmarks"} | benchmarks)
    failures = failure_rows(inventory)
    yield Page("failures.html", "failures", {"here": "failures"} | vars(failures))
    from routereval.report.site.benchmark_page import benchmark_page
    from routereval.report.site.router_page import router_pages

    for benchmark in inventory.benchmarks:
        yield benchmark_page(inventory, maker, benchmark, tests.get(benchmark, Tested()))
    yield from router_pages(inventory, maker, credits)


def title_of(benchmark: str) -> str:
    """How a benchmark is called on a page."""
    known = facts.benchmarks().get(benchmark)
    return benchmark if known is None else known.title


def benchmark_path(benchmark: str) -> str:
    """Where its page is."""
    return f"benchmarks/{slug(benchmark)}.html"


def router_path(router: RouterEntry) -> str:
    """Where its page is."""
    return f"routers/{slug(router.label, router.code)}.html"


def numbers(values: NDArray[np.float64]) -> list[Shown]:
    """The columns of a row (7, 3) as cells."""
    return [shown(*values[i].tolist(), signed=name in _SIGNED[:1]) for i, name in enumerate(COLUMNS[: len(values)])]


def scaled(values: NDArray[np.float64]) -> list[int | None]:
    """Numbers for the scripts of a page, as one flat list; a script shows the digits that the page shows of each."""
    flat = np.asarray(values, dtype=np.float64).ravel()
    known = np.isfinite(flat)
    rounded = np.rint(np.where(known, flat, 0.0) * SCALE).astype(np.int64)
    # Half way between two numbers that may be shown, one part more or less says which of them it is.
    for i in np.flatnonzero(rounded % _LAST == _LAST // 2).tolist():
        text = f"{flat[i]:.3f}"
        rounded[i] += 1 if float(text) > rounded[i] / SCALE else -1
    return [value if ok else None for value, ok in zip(rounded.tolist(), known.tolist(), strict=True)]


def summary(inventory: Inventory) -> str:
    """How much there is, in a sentence."""
    routers = sum(router.kind != REFERENCE for router in inventory.routers)
    failed = len(inventory.failed)
    return (
        f"{whole(routers, 'router')} on {whole(len({s.scenario for s in inventory.scenes}), 'scenario')} of "
        f"{whole(len(inventory.benchmarks), 'benchmark')}; {whole(inventory.runs, 'run')}, "
        f"{'none' if not failed else f'{failed:,}'} failed."
    )


def _index(inventory: Inventory, maker: BoardMaker, credits: Mapping[int, Credit]) -> Page:
    axes = _axes(inventory, maker)
    found = ((setting, maker.board(setting)) for setting in inventory.settings())
    setting, board = next(((one, made) for one, made in found if made is not None), (None, None))
    by = "" if setting is None else f"protocol {setting.protocol}"
    by += "" if setting is None or setting.encoder is None else f", encoder {setting.encoder}"
    embedded = {
        "routers": [[router.label, router_path(router), router.kind] for router in inventory.routers],
        "credits": {router: credit.embedded for router, credit in credits.items()},
        "axes": axes,
        "columns": list(COLUMNS),
        "stated": list(STATED),
        "groups": [list(group) for group in GROUPS],
        "first": "" if board is None else _key(axes, board),
        "boards": {_key(axes, board): _embedded(board) for board in maker.boards.values()},
    }
    groups = [] if board is None else board_groups(board_rows(inventory, board, credits))
    return Page(
        "index.html",
        "index",
        {
            "here": "index",
            "summary": summary(inventory),
            "axes": axes,
            "board": groups,
            "credited": bool(credits),
            "status": "" if board is None else f"{whole(board.scenes, 'scenario')}, {by}.",
            "stated": "" if board is None else stated(board.origins),
            **benchmark_table(inventory, maker),
            "data": script_json(embedded),
        },
    )


def _axes(inventory: Inventory, maker: BoardMaker) -> list[dict[str, Any]]:
    """What the leaderboard is filtered by; what no mean is taken over has no choice of all."""
    axes = [{"name": "protocol", "title": "Protocol", "all": False, "values": inventory.protocols}]
    titles = {"benchmark": "Benchmark", "m": "Pool size m", "strategy": "Strategy", "encoder": "Encoder"}
    for name, title in titles.items():
        apart = name == "encoder" and inventory.encoders_apart
        have = inventory.encoders if apart else maker.axes[name] if len(maker.axes[name]) > 1 else []
        axes.append({"name": name, "title": title, "all": not apart, "values": [str(value) for value in have]})
    return axes


def board_rows(inventory: Inventory, board: Board, credits: Mapping[int, Credit]) -> list[dict[str, Any]]:
    """The rows of a leaderboard, highest mu first."""
    rows = []
    for i in _order(board).tolist():
        router = inventory.routers[int(board.rows[i])]
        low, high = board.values[i, -1, 1:].tolist()
        rows.append(
            {
                "label": router.label,
                "href": router_path(router),
                "kind": router.kind,
                "credit": credits.get(router.index),
                "position": int(board.position[i]),
                "numbers": numbers(board.values[i]),
                "leads": router.index == board.leader,
                "same": not (math.isnan(low) or above_zero(low) or above_zero(-high)),
                "have": int(board.have[i]),
                "scenes": board.scenes,
                "partial": bool(board.have[i] < board.scenes),
            }
        )
    return rows


GROUPS = (
    ("", "routers"),
    ("Not on every scenario: means over fewer, no place", "partial"),
    ("References, which read the answers", "references"),
)
"""The parts of a leaderboard in their order: what stands above each, and what it is called in the page."""


def board_groups(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The rows in their parts; a mean over fewer scenarios never stands among the others."""

    def part(row: Mapping[str, Any]) -> str:
        return "references" if row["kind"] == REFERENCE else "partial" if row["partial"] else "routers"

    return [
        {"title": title, "name": name, "rows": [row for row in rows if part(row) == name]} for title, name in GROUPS
    ]


def benchmark_table(inventory: Inventory, maker: BoardMaker) -> dict[str, Any]:
    """The table of benchmarks, and the line below it."""
    rows = benchmark_rows(inventory, maker)
    return {"benchmarks": rows, "benchmarks_stated": stated(one for row in rows for one in row["origins"])}


def benchmark_rows(inventory: Inventory, maker: BoardMaker) -> list[dict[str, Any]]:
    """A row for each benchmark by each protocol, with each encoder where they are apart: how large, and who is best."""
    rows = []
    for benchmark in inventory.benchmarks:
        for setting in inventory.settings(benchmark):
            board = maker.board(setting, benchmark=benchmark)
            if board is None:
                continue
            competing = [i for i, row in enumerate(board.rows) if inventory.routers[row].competes]
            first = int(np.flatnonzero(board.rows == board.leader)[0]) if board.leader >= 0 else None
            few, many = board.prompts
            rows.append(
                {
                    "name": benchmark,
                    "title": title_of(benchmark),
                    "href": benchmark_path(benchmark),
                    "setting": inventory.said(setting),
                    "scenes": board.scenes,
                    "prompts": few,
                    "prompts_text": str(few) if few == many else f"{few} to {many}",
                    "routers": len(competing),
                    "best": "" if first is None else inventory.routers[board.leader].label,
                    "best_href": "" if first is None else router_path(inventory.routers[board.leader]),
                    "mu": shown(math.nan, math.nan, math.nan) if first is None else numbers(board.values[first])[0],
                    "gain": shown(math.nan, math.nan, math.nan) if first is None else numbers(board.values[first])[1],
                    "better": sum(above_zero(float(board.values[i, 1, 1])) for i in competing),
                    "origins": board.origins,
                }
            )
    return rows


def about_page(
    inventory: Inventory,
    files: Sequence[Mapping[str, Any]],
    figures: Sequence[Mapping[str, Any]],
    missing: Sequence[str],
) -> Page:
    """How numbers came about, and every file."""
    notes = [
        (note, whole(len(where), "scenario") if len(where) > 1 else next(iter(where)))
        for note, where in sorted(inventory.notes.items())[:100]
    ]
    return Page(
        "about.html",
        "about",
        {
            "here": "about",
            "summary": summary(inventory),
            "protocols": [
                (name, protocols.PROTOCOLS[name].about) for name in inventory.protocols if name in protocols.PROTOCOLS
            ],
            "files": files,
            "figures": figures,
            "missing": missing,
            "notes": notes,
            "left_out": inventory.left_out[:100],
            "versions": ", ".join(sorted(inventory.versions)) or "unknown",
        },
    )


def _key(axes: Sequence[Mapping[str, Any]], board: Board) -> str:
    parts = []
    for axis in axes:
        value = getattr(board.choice, axis["name"])
        parts.append("" if value is None else str(axis["values"].index(str(value))))
    return ",".join(parts)


def _order(board: Board) -> NDArray[np.intp]:
    """Highest mu first."""
    return np.argsort(-np.nan_to_num(board.values[:, 0, 0], nan=-1.0), kind="stable")


def _embedded(board: Board) -> dict[str, Any]:
    # In this order, so that a sort by rounded numbers leaves equal ones as they rank.
    order = _order(board)
    return {
        "rows": board.rows[order].tolist(),
        "values": scaled(board.values[order]),
        "have": board.have[order].tolist(),
        "position": board.position[order].tolist(),
        "leader": board.leader,
        "scenes": board.scenes,
        "benchmarks": board.benchmarks,
        "prompts": list(board.prompts),
        "stated": stated(board.origins),
        "cells": stated_cells(board.origins),
    }

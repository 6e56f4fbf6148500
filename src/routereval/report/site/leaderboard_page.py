"""The first page: leaderboards to choose from, and the benchmarks they are of."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from routereval.report.site.benchmark_rows import benchmark_table
from routereval.report.site.boards import COLUMNS, Board, BoardMaker
from routereval.report.site.credits import Credit
from routereval.report.site.embedding import script_json
from routereval.report.site.formatting import above_zero, whole
from routereval.report.site.inventory import REFERENCE, Inventory
from routereval.report.site.page import Page, numbers, router_path, scaled, summary
from routereval.report.site.stated import STATED, stated, stated_cells


def leaderboard_page(inventory: Inventory, maker: BoardMaker, credits: Mapping[int, Credit]) -> Page:
    """The leaderboard that comes first, the data of all others, and the table of benchmarks."""
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

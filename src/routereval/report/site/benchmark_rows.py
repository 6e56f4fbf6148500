"""The table of benchmarks: how large each is, and which router is best there."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from routereval.report.site.boards import BoardMaker
from routereval.report.site.formatting import above_zero, shown
from routereval.report.site.inventory import Inventory
from routereval.report.site.page import benchmark_path, numbers, router_path, title_of
from routereval.report.site.stated import stated


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

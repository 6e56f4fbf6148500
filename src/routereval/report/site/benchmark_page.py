"""The page of a benchmark: scores by pool size, charts, how to make them again."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from routereval import facts
from routereval.report.perf_ref import perf_ref
from routereval.report.site.boards import COLUMNS, Board, BoardMaker
from routereval.report.site.commands import commands_of, needs_data
from routereval.report.site.comparisons import Tested
from routereval.report.site.embedding import script_json
from routereval.report.site.failures import reasons
from routereval.report.site.formatting import whole
from routereval.report.site.inventory import REFERENCE, Inventory, Scene, Setting
from routereval.report.site.page import Page, benchmark_path, numbers, router_path, scaled, title_of
from routereval.report.site.stated import stated

_MU, _V_R = COLUMNS.index("mu"), COLUMNS.index("V_R")

DRAWN = 5
"""How many of the best routers a chart of many shows at first."""

FEW = 200
"""Fewer test prompts than this tell only large differences apart; a page says so."""


def benchmark_page(inventory: Inventory, maker: BoardMaker, benchmark: str, tests: Tested) -> Page:
    """One benchmark under every protocol it was run by, with every encoder where these are apart."""
    scenes = [scene for scene in inventory.scenes if scene.benchmark == benchmark]
    made = [
        _part(inventory, maker, benchmark, setting, [scene for scene in scenes if setting.holds(scene)])
        for setting in inventory.settings(benchmark)
    ]
    parts = [(shown, drawn) for shown, drawn in made if shown["rows"]]
    runs = [run for scene in scenes for members in inventory.scenes[scene].values() for run in members]
    failed = [run for run in runs if run.error is not None]
    prompts = sorted({one.prompts for one in maker.scene_rows if one.scene.benchmark == benchmark})
    return Page(
        benchmark_path(benchmark),
        "benchmark",
        {
            "here": "benchmarks",
            "title": title_of(benchmark),
            "about": _about(benchmark, scenes, prompts),
            "few": tests.detectable or _few(prompts),
            "parts": [shown for shown, _ in parts],
            "comparisons": tests.tables,
            "untested": tests.note,
            "failed": reasons(failed),
            "needs": needs_data(benchmark),
            "commands": _commands(inventory, scenes),
            "data": script_json({"parts": [drawn for _, drawn in parts]}),
        },
    )


def _about(benchmark: str, scenes: list[Scene], prompts: list[int]) -> str:
    tested = (
        ""
        if not prompts
        else f" with {prompts[0] if len(prompts) == 1 else f'{prompts[0]} to {prompts[-1]}'} test prompts each"
    )
    text = f"{whole(len({scene.scenario for scene in scenes}), 'scenario')}{tested}."
    known = facts.benchmarks().get(benchmark)
    if known is not None:
        text += f" Perf(ref) is the published {known.reference_score:g} of {known.reference_model}."
        text += f" Source: {known.citation}"
    return text


def _few(prompts: list[int]) -> str:
    if not prompts or prompts[0] >= FEW:
        return ""
    half = 1.96 * (0.25 / prompts[0]) ** 0.5
    return (
        f"With {prompts[0]} test prompts a score near 0.5 is known to ±{half:.2f} only, so small differences here mean "
        "little; look at the intervals"
    )


def _part(
    inventory: Inventory, maker: BoardMaker, benchmark: str, setting: Setting, scenes: list[Scene]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The table of one protocol and encoder, and what its charts draw."""
    sizes = sorted({scene.m for scene in scenes})
    boards = [maker.board(setting, benchmark=benchmark, m=m) for m in sizes]
    skip = int(len(sizes) > 1)
    if skip:
        boards.insert(0, maker.board(setting, benchmark=benchmark))
    rows = _rows(inventory, boards)
    found = [board for board in boards if board is not None]
    below = stated(one for board in found for one in board.origins)
    strategies = sorted({scene.strategy for scene in scenes})
    seeds = {run.spec.seed for scene in scenes for runs in inventory.scenes[scene].values() for run in runs}
    over = f"the strategies {', '.join(strategies)}" if len(strategies) > 1 else f"strategy {strategies[0]}"
    over += f" and {whole(len(seeds), 'seed')}" if len(seeds) > 1 else ""
    shown = {
        "setting": ", ".join(inventory.said(setting) or [setting.protocol]),
        "sizes": sizes,
        "over": over,
        "stated": below,
        "rows": [row for row, _ in rows],
    }
    drawn = {
        "sizes": sizes,
        "skip": skip,
        "stated": below,
        "reference": _reference(benchmark, found),
        "rows": [values for _, values in rows],
    }
    return shown, drawn


def _reference(benchmark: str, boards: Sequence[Board]) -> dict[str, Any] | None:
    """The line of Perf(ref); it has the model's name where it is the published one."""
    # What is damaged has no mu and says nothing.
    rows = [row for board in boards for row in board.values if not math.isnan(row[_MU, 0])]
    value = perf_ref(benchmark, [(row[_MU, 0], row[_V_R, 0]) for row in rows])
    if value is None:
        return None
    known = facts.benchmarks().get(benchmark)
    published = known is not None and math.isclose(value, known.reference_score, rel_tol=1e-5)
    return {"name": f"Perf(ref) {known.reference_model}" if known and published else "Perf(ref)", "value": value}


def _rows(inventory: Inventory, boards: list[Board | None]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    place = [{} if board is None else {int(row): i for i, row in enumerate(board.rows)} for board in boards]
    present = sorted({row for one in place for row in one})
    nothing = np.full(3, np.nan)

    def values(router: int, column: int) -> list[np.ndarray[Any, Any]]:
        return [
            nothing if board is None or router not in one else board.values[one[router], column]
            for board, one in zip(boards, place, strict=True)
        ]

    def key(router: int) -> tuple[bool, float]:
        mu = values(router, 0)[0][0]
        return inventory.routers[router].kind == REFERENCE, -mu if mu == mu else 1.0

    ordered = sorted(present, key=key)
    competing = [router for router in ordered if inventory.routers[router].competes][:DRAWN]
    rows = []
    for index in ordered:
        router = inventory.routers[index]
        cells: list[dict[str, Any] | None] = []
        for board, one in zip(boards, place, strict=True):
            if board is None or index not in one:
                cells.append(None)
                continue
            shown = numbers(board.values[one[index]])
            cells.append({"mu": shown[0], "mark": shown[1].mark, "best": board.position[one[index]] == 1})
        named = {"label": router.label, "kind": router.kind}
        drawn = named | {
            "mu": scaled(np.array(values(index, 0))),
            "gain": scaled(np.array(values(index, 1))),
            "shown": index in competing or router.name in ("oracle", "random", "best_single"),
        }
        rows.append((named | {"href": router_path(router), "cells": cells}, drawn))
    return rows


def _commands(inventory: Inventory, scenes: list[Scene]) -> list[str]:
    """A command for each router, over all its scenarios."""
    by_router: dict[int, list[Any]] = {}
    for scene in scenes:
        for index, runs in inventory.scenes[scene].items():
            by_router.setdefault(index, []).extend(run.spec for run in runs)
    return [command for index in sorted(by_router) for command in commands_of(by_router[index])]

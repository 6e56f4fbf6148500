"""The page of a router: all its numbers, charts, failures, and the command of each run."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from routereval.references import REFERENCES
from routereval.report.site.boards import BoardMaker, SceneRows
from routereval.report.site.commands import commands_of, needs_data
from routereval.report.site.credits import Credit
from routereval.report.site.embedding import script_json
from routereval.report.site.failures import described, reasons
from routereval.report.site.formatting import seconds
from routereval.report.site.inventory import Inventory, RouterEntry, Run, Scene
from routereval.report.site.page import Page, benchmark_path, numbers, router_path, scaled, title_of
from routereval.report.site.stated import stated
from routereval.results.run import PREDICTIONS_FILE
from routereval.routers.catalogue import OURS, routers

SUMMARY = (("mu", 0), ("gain", 1), ("gap closed", 2), ("V_R", 3), ("V_B", 4), ("E_p", 5))
_LISTED_FAILURES = 200


def router_pages(inventory: Inventory, maker: BoardMaker, credits: Mapping[int, Credit]) -> Iterator[Page]:
    """A page for each."""
    rows: dict[int, list[tuple[SceneRows, int]]] = {}
    for one in maker.scene_rows:
        for i, router in enumerate(one.rows.tolist()):
            rows.setdefault(router, []).append((one, i))
    runs: dict[int, dict[Scene, list[Run]]] = {}
    for scene, by_router in inventory.scenes.items():
        for index, members in by_router.items():
            runs.setdefault(index, {})[scene] = members
    for router in inventory.routers:
        of = rows.get(router.index, []), runs.get(router.index, {})
        yield _page(inventory, maker, router, *of, credits.get(router.index))


def _page(
    inventory: Inventory,
    maker: BoardMaker,
    router: RouterEntry,
    rows: list[tuple[SceneRows, int]],
    runs: dict[Scene, list[Run]],
    credit: Credit | None,
) -> Page:
    # What looks at no embeddings stands beside several encoders, and is one run all the same.
    every = list({run.key: run for members in runs.values() for run in members}.values())
    failed = [run for run in every if run.error is not None]
    benchmarks = sorted({scene.benchmark for scene in runs})
    scenes = [_scene(one, i, runs[one.scene]) for one, i in rows]
    seeds = {scene["seeds"] for scene in scenes}
    rules = {f"protocol {scene['protocol']}, encoder {scene['encoder']}" for scene in scenes}
    below = stated(run.origin for one, _ in rows for run in runs[one.scene])
    return Page(
        router_path(router),
        "router",
        {
            "here": "",
            "label": router.label,
            "kind": router.kind,
            "code": router.code,
            "about": about(router.name),
            "credit": credit,
            "params": [(name, _text(value)) for name, value in json.loads(router.params).items()],
            "summaries": _summaries(inventory, maker, router, runs),
            "scenes": scenes,
            # What is the same everywhere is said once; else it has a column.
            "several": len(seeds) > 1,
            "over": _over(seeds),
            "rules": rules.pop() if len(rules) == 1 else "",
            "stated": below,
            "failed": described(failed[:_LISTED_FAILURES]),
            "reasons": reasons(failed),
            "commands": commands_of(run.spec for run in every),
            "needs": " ".join(dict.fromkeys(needs_data(benchmark) for benchmark in benchmarks)),
            "data": script_json({"cells": _cells(inventory, maker, router, list(runs)), "stated": below}),
        },
    )


def _over(seeds: set[str]) -> str:
    if len(seeds) != 1:
        return "Mean over the seeds"
    (same,) = seeds
    return f"Mean over seeds {same}" if "," in same else f"Seed {same}"


def about(name: str) -> str:
    """What a router does, in the first sentence of its documentation; ours only, nobody else's code is imported."""
    if name.startswith(PREDICTIONS_FILE):
        return "A router that took part by a file of predictions."
    cls = routers()[name] if name in OURS else dict(REFERENCES).get(name)
    if cls is None:
        return f"A router from outside the catalogue: {name}."
    text = (inspect.getdoc(cls) or "").split("\n\n")[0].replace("\n", " ")
    # Roles of the documentation's markup, and its code marks.
    return re.sub(r":\w+:`~?(?:[\w.]*\.)?(\w+)`", r"\1", text).replace("``", "").replace("`", "")


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _summaries(
    inventory: Inventory, maker: BoardMaker, router: RouterEntry, runs: dict[Scene, list[Run]]
) -> list[dict[str, Any]]:
    found = []
    for setting in inventory.settings():
        board = maker.board(setting)
        done = [run for scene, members in runs.items() if setting.holds(scene) for run in members if run.error is None]
        if board is None or router.index not in board.rows or not done:
            continue
        i = int(np.flatnonzero(board.rows == router.index)[0])
        ranked = int((board.position > 0).sum())
        place = f"{board.position[i]} of {ranked}" if board.position[i] else "none"
        if board.have[i] < board.scenes:
            place = f"none: {board.have[i]} of {board.scenes} scenarios"
        shown = numbers(board.values[i])
        found.append(
            {
                "setting": ", ".join(inventory.said(setting) or [setting.protocol]),
                "place": place,
                "numbers": [(name, shown[column]) for name, column in SUMMARY],
                "seconds": _seconds([run.seconds for run in done]),
                "predicting": _seconds([run.predict_seconds for run in done]),
            }
        )
    return found


def _seconds(measured: list[float]) -> str:
    """The mean; of what nobody measured, as with predictions out of a file, none."""
    return seconds(float(np.mean(measured))) if any(measured) else ""


def _scene(one: SceneRows, i: int, runs: list[Run]) -> dict[str, Any]:
    scene = one.scene
    return {
        "benchmark": title_of(scene.benchmark),
        "href": benchmark_path(scene.benchmark),
        "strategy": scene.strategy,
        "m": scene.m,
        "numbers": numbers(one.values[i])[:6],
        "prompts": one.prompts,
        "seeds": ", ".join(map(str, sorted({run.spec.seed for run in runs}))),
        "protocol": scene.protocol,
        "encoder": scene.encoder,
        "commands": commands_of(run.spec for run in runs),
    }


def _cells(inventory: Inventory, maker: BoardMaker, router: RouterEntry, scenes: list[Scene]) -> list[dict[str, Any]]:
    """mu and gain in each cell of benchmark and pool size, for the charts."""
    settings = [one for one in inventory.settings() if any(one.holds(scene) for scene in scenes)]
    # What all of this router's runs have in common is not said of each.
    common = set.intersection(*(set(inventory.said(one)) for one in settings)) if settings else set()
    cells = []
    for benchmark, setting, m in sorted(
        {(scene.benchmark, settings.index(one), scene.m) for scene in scenes for one in settings if one.holds(scene)}
    ):
        board = maker.board(settings[setting], benchmark=benchmark, m=m)
        if board is None or router.index not in board.rows:
            continue
        values = board.values[int(np.flatnonzero(board.rows == router.index)[0])]
        cells.append(
            {
                "benchmark": title_of(benchmark),
                "part": ", ".join(said for said in inventory.said(settings[setting]) if said not in common),
                "m": m,
                "mu": scaled(values[0]),
                "gain": scaled(values[1]),
            }
        )
    return cells

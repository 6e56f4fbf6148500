"""The data behind the pages as CSV: a row for each run, for each scenario and router, and for each leaderboard row."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from routereval.report.formats.escaping import csv_text
from routereval.report.printable import printable
from routereval.report.provenance import version_of
from routereval.report.site.boards import COLUMNS, BoardMaker
from routereval.report.site.commands import command_of
from routereval.report.site.inventory import Inventory
from routereval.report.site.stated import STATED, seeds_cell, stated_cells, versions_cell
from routereval.results import StoredRun

RUN_METRICS = ("mu", "V_R", "V_B", "V_B_train", "E_p", "gap_closed", "regret")


def safe(value: Any) -> Any:
    """A cell as CSV has it: names are no formulas, and what does not exist is empty."""
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.6g}"
    if isinstance(value, str):
        return _text(value)
    return "" if value is None else value


# Most texts of a file occur in it thousands of times.
_text = lru_cache(maxsize=65536)(csv_text)


def _numbers(values: Sequence[float]) -> list[str]:
    """As ``safe`` has them, all at once: there are millions."""
    return ["" if text == "nan" else text for text in (("%.6g " * len(values)) % tuple(values)).split()]


class RunsFile:
    """``runs.csv``, written while runs are read."""

    def __init__(self, path: Path):
        self._file = path.open("w", encoding="utf-8", newline="")
        self._write = csv.writer(self._file).writerow
        spec = ("scenario", "router", "params", "protocol", "encoder", "seed", "train_size", "data_hash", "code")
        ends = (f"{name}{end}" for name in RUN_METRICS for end in ("", "_low", "_high"))
        self._write(
            ["key", "label", *spec, "version", *ends, "seconds", "predict_seconds", "ended", "error", "command"]
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def add(self, run: StoredRun, label: str, params: str) -> None:
        """One run."""
        spec = run.spec
        numbers: list[float] = []
        for name in RUN_METRICS:
            numbers += (run.metrics.get(name, math.nan), *run.intervals.get(name, _NONE))
        numbers += (run.seconds, run.predict_seconds)
        who = map(_text, (run.key, label, spec.scenario, spec.router, params, spec.protocol, spec.encoder))
        made = map(_text, (spec.data_hash, spec.code, version_of(run)))
        ends = map(_text, (run.ended, run.error or ""))
        # A command begins with "routereval" or "#", and what it names is quoted.
        command = printable(command_of(spec, params))
        self._write([*who, spec.seed, spec.train_size, *made, *_numbers(numbers), *ends, command])


_NONE = (math.nan, math.nan)


def write_boards(path: Path, inventory: Inventory, maker: BoardMaker) -> None:
    """Every row of every leaderboard."""
    header = ["protocol", "benchmark", "m", "strategy", "encoder", "router", "kind", "place", "scenarios", "of"]
    # Of one encoder alone there is no choice, and the column says which it is all the same.
    encoder = inventory.encoders[0] if len(inventory.encoders) == 1 else None
    rows = (
        [
            c.protocol,
            *("all" if part is None else part for part in (c.benchmark, c.m, c.strategy, c.encoder or encoder)),
            *(router.label, router.kind, board.position[i] or None, board.have[i], board.scenes),
            *board.values[i].ravel().tolist(),
            *below,
        ]
        for c, board in maker.boards.items()
        for below in (stated_cells(board.origins),)
        for i, router in enumerate(inventory.routers[row] for row in board.rows)
    )
    _write(path, [*header, *_ends(COLUMNS), *STATED], rows)


def write_scenes(path: Path, inventory: Inventory, maker: BoardMaker) -> None:
    """Every router on every scenario, means over seeds."""
    rows = (
        [
            *(
                one.scene.scenario,
                one.scene.protocol,
                one.scene.encoder,
                one.scene.data_hash,
                router.label,
                router.kind,
            ),
            *(one.prompts, seeds_cell(run.spec.seed for run in runs), versions_cell(run.version for run in runs)),
            *one.values[i, :-1].ravel().tolist(),
        ]
        for one in maker.scene_rows
        for i, router in enumerate(inventory.routers[row] for row in one.rows)
        for runs in (inventory.scenes[one.scene][router.index],)
    )
    header = ["scenario", "protocol", "encoder", "data_hash", "router", "kind", "prompts", "seeds", "versions"]
    _write(path, [*header, *_ends(COLUMNS[:-1])], rows)


def _ends(names: Sequence[str]) -> list[str]:
    return [f"{name}{end}" for name in names for end in ("", "_low", "_high")]


def _write(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows([safe(value) for value in row] for row in rows)

"""Which scenarios have a panel, where there is one for each: a few of every benchmark before many of one."""

from __future__ import annotations

from collections.abc import Sequence

from routereval.report.figures.frames import near
from routereval.report.figures.strategies import ORDER
from routereval.report.figures.style import benchmark_shown, counted, name_shown
from routereval.report.figures.view import CellKey, ResultsView
from routereval.results import StoredRun

Scenario = tuple[str, str, int, str]
"""Benchmark, data, pool size, strategy."""


def scenarios_of(view: ResultsView) -> list[Scenario]:
    """All of a view: first one strategy of every benchmark, then the next."""
    found = list(dict.fromkeys(key[:4] for key in view.by_cell))
    turn: dict[Scenario, int] = {}
    for task in dict.fromkeys(scenario[:2] for scenario in found):
        mine = sorted((one for one in found if one[:2] == task), key=lambda one: near(ORDER, one[3]))
        turn |= {one: place for place, one in enumerate(mine)}
    return sorted(found, key=lambda one: turn[one])


def in_order(scenarios: Sequence[Scenario]) -> list[Scenario]:
    """As panels stand: benchmark by benchmark."""
    return sorted(scenarios, key=lambda one: (one[0], one[1], one[2], near(ORDER, one[3])))


def title(scenario: Scenario) -> str:
    """Of a panel, for matplotlib."""
    benchmark, _, m, strategy = scenario
    return f"{benchmark_shown(benchmark, 26)}, {name_shown(strategy, 20)}, m = {m}"


def a_run_of(view: ResultsView, scenario: Scenario) -> StoredRun:
    """Any run of it."""
    return next(runs[0] for key, runs in view.by_cell.items() if key[:4] == scenario)


def more_scenarios(everything: Sequence[Scenario], shown: Sequence[Scenario]) -> list[str]:
    """A sentence on those without a panel, where there are any."""
    rest = len(everything) - len(shown)
    return [f"{counted(rest, 'more scenario')} not shown (--scenario chooses)."] if rest else []


def of_scenario(key: CellKey, scenario: Scenario) -> bool:
    """Whether a cell is of this scenario."""
    return key[:4] == scenario

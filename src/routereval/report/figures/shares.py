"""Selection shares: which models routers pick, and which the oracle would."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from routereval.data.scores import ScoreMatrix
from routereval.report.figures.frames import frame_of, grouped
from routereval.report.figures.scenarios import a_run_of, in_order, more_scenarios, scenarios_of, title
from routereval.report.figures.spec import Drawn, FigureSpec, Missing
from routereval.report.figures.statement import left_out, statement
from routereval.report.figures.style import (
    NO_RECORD,
    NORMAL,
    NOTHING_RAN,
    SMALL,
    counted,
    distinct,
    mark,
    name_shown,
    panels,
    put_note,
    short,
)
from routereval.report.figures.view import BASE, Choice, ResultsView

if TYPE_CHECKING:
    import polars as pl
    from matplotlib.axes import Axes

MOST_ROUTERS, MOST_MODELS, MOST_PANELS = 5, 12, 9
OTHERS = "all others"
TOGETHER = "the other models together"
ABOUT = (
    "Models from most to least accurate on test; no mark: never picked. The oracle's pick of a prompt is split evenly "
    "among the models that are best on it."
)
LARGE = f" Of large pools the {MOST_MODELS} that are picked most, by anyone, and {OTHERS} together."
SCHEMA = {
    **{"benchmark": str, "data_hash": str, "m": int, "strategy": str, "model": str, "models": int},
    **{"accuracy": float, "policy": str, "share": float},
}


def oracle_share(scores: ScoreMatrix) -> NDArray[np.float64]:
    """How often the oracle picks each model, (m,), sums to one: a prompt is split evenly among those that are best.

    Prompts on which no model was observed do not count.
    """
    dense = scores.dense()
    seen = ~np.isnan(dense).all(axis=1)
    best = np.fmax.reduce(dense, axis=1, keepdims=True)
    winners = (dense == best)[seen].astype(np.float64)
    shares: NDArray[np.float64] = (winners / winners.sum(axis=1, keepdims=True)).sum(axis=0) / max(1, int(seen.sum()))
    return shares


def draw(view: ResultsView) -> Drawn | Missing:
    """A panel for each scenario: models from best to worst, a bar for the oracle's share, a mark for each router's."""
    if not view.runs:
        return Missing(NOTHING_RAN)
    choice = _choice(view)
    cells = view.cells(choice.routers)
    everything = scenarios_of(view)
    rows: dict[Any, list[dict[str, Any]]] = {}
    for scenario in everything:
        record = view.record(a_run_of(view, scenario).spec)
        shares = {key.label: cell.outcome.share for key, cell in cells.items() if key[:4] == scenario}
        if record is not None and shares:
            mine = {name: shares[name] for name in choice.routers if name in shares}
            rows[scenario] = _rows(scenario, record.scores, mine)
        if len(rows) == MOST_PANELS:
            break
    if not rows:
        return Missing(NO_RECORD)
    shown = in_order(list(rows))
    height = 0.23 * max(len(grouped_models(one)) for one in rows.values()) + 0.75
    figure, all_axes = panels(len(shown), 3, (4.0, height), margin=(0.3, 0.6))
    for axes, scenario in zip(all_axes, shown, strict=True):
        _panel(axes, rows[scenario], choice)
        axes.set_title(title(scenario), fontsize=NORMAL, loc="right")
    _legend(figure, choice)
    figure.supxlabel("share of test prompts", fontsize=NORMAL)
    notes = [ABOUT + (LARGE if any(row["models"] > 1 for one in rows.values() for row in one) else "")]
    of_shown = {key: cell for key, cell in cells.items() if key[:4] in rows}
    more = more_scenarios(everything, shown)
    said = statement(view, of_shown)
    note = "\n".join([*notes, *left_out(choice.left_out), *more, said.text])
    put_note(figure, note)
    return Drawn(figure, frame_of([row for one in shown for row in rows[one]], SCHEMA), note, said)


def _choice(view: ResultsView) -> Choice:
    """The best routers; the best single model's share is 1 of one model, which is no news."""
    choice = view.choice(MOST_ROUTERS)
    if view.routers or len(choice.routers) == 1:
        return choice
    return Choice(tuple(label for label in choice.routers if label != BASE), choice.references, choice.left_out)


def _rows(
    scenario: tuple[str, str, int, str], scores: ScoreMatrix, shares: Mapping[str, NDArray[np.float64]]
) -> list[dict[str, Any]]:
    """Of each model, most accurate first, the oracle's share and each router's; then of all others together."""
    benchmark, data, m, strategy = scenario
    columns = {"oracle": oracle_share(scores), **shares}
    accuracy = scores.model_means
    by_accuracy = np.argsort(-np.nan_to_num(accuracy, nan=-1.0), kind="stable")
    most = np.max(list(columns.values()), axis=0)
    kept = set(np.argsort(-most, kind="stable")[:MOST_MODELS].tolist())
    if m == MOST_MODELS + 1:
        kept = set(range(m))
    groups = [(scores.model_ids[i], [int(i)]) for i in by_accuracy if int(i) in kept]
    if rest := [int(i) for i in by_accuracy if int(i) not in kept]:
        groups.append((OTHERS, rest))
    return [
        {
            **{"benchmark": benchmark, "data_hash": data, "m": m, "strategy": strategy, "model": model},
            **{"models": len(index), "accuracy": float(np.mean(accuracy[index]))},
            **{"policy": policy, "share": float(values[index].sum())},
        }
        for model, index in groups
        for policy, values in columns.items()
    ]


def grouped_models(rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, int]]:
    """The models of a panel, from the top, each with how many it stands for."""
    return list(dict.fromkeys((row["model"], row["models"]) for row in rows))


def _panel(axes: Axes, rows: Sequence[Mapping[str, Any]], choice: Choice) -> None:
    models = grouped_models(rows)
    for y, (model, count) in enumerate(models):
        of_model = {row["policy"]: row["share"] for row in rows if (row["model"], row["models"]) == (model, count)}
        axes.barh(y, of_model["oracle"], height=0.74, color="0.88", edgecolor="0.45", linewidth=0.7, hatch="////")
        for i, label in enumerate(choice.routers):
            if of_model.get(label, 0.0) > 0:
                offset = 0.0 if len(choice.routers) == 1 else 0.5 * (i / (len(choice.routers) - 1) - 0.5)
                axes.plot([of_model[label]], [y + offset], linestyle="none", markersize=4.5, **mark(i))
    single = iter(distinct([model for model, count in models if count == 1]))
    names = [name_shown(next(single), 26) if count == 1 else f"{OTHERS} ({count})" for _, count in models]
    axes.set_yticks(range(len(models)), names, fontsize=SMALL)
    axes.set_ylim(len(models) - 0.5, -0.5)
    axes.set_xlim(left=-0.01)


def _legend(figure: Any, choice: Choice) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list[Any] = [Patch(facecolor="0.88", edgecolor="0.45", hatch="////")]
    handles += [Line2D([], [], linestyle="none", markersize=5, **mark(i)) for i in range(len(choice.routers))]
    names = ["oracle", *map(name_shown, choice.routers)]
    figure.legend(handles, names, loc="outside upper center", ncol=min(6, len(names)), fontsize=NORMAL, frameon=False)


def alt(frame: pl.DataFrame) -> str:
    """Of each scenario the model that the oracle picks most, and the one that the best router picks most."""
    parts = []
    for (benchmark, _, strategy), rows in grouped(frame, "benchmark", "data_hash", "strategy").items():
        policies = list(dict.fromkeys(row["policy"] for row in rows))
        said = []
        for policy in policies[:2]:
            most = max((row for row in rows if row["policy"] == policy), key=lambda row: row["share"])
            model = short(most["model"]) if most["models"] == 1 else TOGETHER
            said.append(f"{short(policy)} picks {model} on {most['share']:.0%}")
        parts.append(f"{short(benchmark)} {short(strategy)}: {', '.join(said)}")
    return f"Shares of test prompts by model in {counted(len(parts), 'scenario')}; {'; '.join(parts)}."


SPEC = FigureSpec(
    "shares",
    "Selection shares",
    "Which models routers pick, and how often the oracle would pick each.",
    draw,
    alt,
    by_size=True,
)

"""The scaling figure: what is drawn, and where it goes."""

from __future__ import annotations

from pathlib import Path

import pytest

from routereval.errors import ParameterError
from routereval.report.scaling_figure import save_scaling_figure, scaling_figure


def row(benchmark: str, policy: str, m: int, mu: float) -> dict[str, object]:
    return {"benchmark": benchmark, "policy": policy, "m": m, "mu": mu, "mu_low": mu - 0.01, "mu_high": mu + 0.01}


def rows(benchmark: str = "gsm8k") -> list[dict[str, object]]:
    made = []
    for policy, at in (("r_o:p=0.5", 0.6), ("random", 0.4), ("knn", 0.5), ("oracle", 0.8), ("r_o:p=1", 0.8)):
        made += [row(benchmark, policy, m, at + m / 1000) for m in (10, 2)]
    return made


def test_each_curve_is_drawn_once_against_a_log_axis_with_its_band() -> None:
    (axes,) = scaling_figure(rows()).axes
    assert axes.get_xscale() == "log"
    assert axes.get_title() == "GSM8k (5-shot)"
    drawn = {line.get_label(): (list(line.get_xdata()), list(line.get_ydata())) for line in axes.lines}
    # r_o(1) is the oracle, which is there.
    assert list(drawn) == ["oracle = $r_o$(1)", "$r_o$(0.5)", "random = $r_o$(0)", "knn"]
    assert drawn["knn"] == ([2, 10], [0.502, 0.51])
    assert len(axes.collections) == 4
    band = axes.collections[0].get_paths()[0].vertices
    assert (band[:, 1].min(), band[:, 1].max()) == pytest.approx((0.792, 0.82))


def test_the_reference_is_a_dashed_line_and_what_is_published_is_dotted() -> None:
    published = [
        {"benchmark": "gsm8k", "policy": "r_o:p=1, published", "m": m, "mu": mu} for m, mu in ((2, 0.6), (5, 0.7))
    ]
    (axes,) = scaling_figure(rows() + published, {"gsm8k": 0.92}).axes
    by_label = {line.get_label(): line for line in axes.lines}
    assert set(by_label["Perf(ref)"].get_ydata()) == {0.92}
    dotted = [line for line in axes.lines if line.get_linestyle() == ":" and len(line.get_xdata())]
    assert [list(line.get_ydata()) for line in dotted] == [[0.6, 0.7]]
    # In the colour of the curve it belongs to.
    assert dotted[0].get_color() == by_label["oracle = $r_o$(1)"].get_color()


def test_each_benchmark_has_a_panel_and_no_panel_is_left_empty() -> None:
    names = ["gsm8k", "arc", "mmlu", "mine"]
    figure = scaling_figure([one for name in names for one in rows(name)], {"arc": 0.85, "mine": None})
    shown = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_title() for axes in shown] == [
        "GSM8k (5-shot)",
        "ARC (challenge, 25-shot)",
        "MMLU (5-shot)",
        "mine",
    ]
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [
        "oracle = $r_o$(1)",
        "$r_o$(0.5)",
        "random = $r_o$(0)",
        "knn",
        "Perf(ref)",
    ]
    figure.canvas.draw()
    # Beside the panels: it covers none of them.
    assert all(not legend.get_window_extent().overlaps(axes.get_window_extent()) for axes in shown)


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_the_same_rows_make_the_same_file(suffix: str, tmp_path: Path) -> None:
    first, second = (tmp_path / f"{name}{suffix}" for name in "ab")
    for path in (first, second):
        save_scaling_figure(path, rows())
    assert first.stat().st_size > 1000
    assert first.read_bytes() == second.read_bytes()


def test_other_files_and_folders_that_are_not_there_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match=r"should end in \.png, \.svg, \.pdf"):
        save_scaling_figure(tmp_path / "a.jpg", rows())
    with pytest.raises(ParameterError, match="there is no folder"):
        save_scaling_figure(tmp_path / "none" / "a.png", rows())

"""Figures for any eye, and for paper: colours of Okabe and Ito, and nothing that only its colour tells apart."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations, pairwise
from typing import Any

import numpy as np
import pytest

from routereval.report import scaling_figure
from routereval.report.figures import FIGURES, Drawn, style
from routereval.report.figures.view import views_of
from routereval.results.curves import CurvePoint, CurveSpec

Make = Callable[..., Any]
# Okabe and Ito 2008, "Color universal design", as hexadecimal.
OKABE_ITO = {"#000000", "#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7"}
ROUTERS = 12
GOOD, BAD = [1.0, 1.0, 1.0, 0.0], [0.0, 0.0, 1.0, 0.0]
SCORES = [[1.0, 1.0], [0.0, 1.0], [0.0, 1.0], [1.0, 0.0]]
SERIES = {
    **{"scaling": 6, "pool_size": 6, "learning_curve": 6, "entropy": ROUTERS, "shares": 3},
    **{"strategies": 2, "gap_closed": 1, "calibration": 1},
}
"""Figures of lines and marks, and how many kinds of these they have at least; a router is a row where there are few."""


@pytest.fixture
def many(run: Make, record: Make, stored: Make) -> Any:
    """A file with as many routers as a figure shows, and curves of six of them."""
    runs = []
    for k in range(1, ROUTERS + 1):
        given = {"params": {"k": k}, "share": (0.25, 0.75), "predicted": [0.8, 0.7, 0.9, 0.1]}
        runs += [run("knn", GOOD if k % 2 else BAD, m=m, **given) for m in (2, 3)]
        runs += [run("knn", BAD, train_size=10, strategy=s, **given) for s in ("all_strong", "all_weak")]
        runs.append(run("knn", GOOD, strategy="all_weak", **given))
    store = stored(runs, [record(SCORES)])
    curves = [("oracle", {}, "none", "none"), ("random", {}, "none", "none")]
    curves += [("knn", {"k": k}, "shipped", "strict") for k in range(1, 7)]
    for policy, params, encoder, protocol in curves:
        spec = CurveSpec("one", policy, params, encoder, protocol, "test", 2, 0, "d" * 16)
        store.put_points([CurvePoint(spec, m, np.array([0.4, 0.6])) for m in (2, 5, 10)])
    return store


def test_the_colours_are_okabe_and_itos_without_the_yellow_that_white_hides() -> None:
    for palette in (style.COLOURS, scaling_figure.COLOURS):
        assert set(palette) <= OKABE_ITO - {"#F0E442"}
        assert len(set(palette)) == len(palette)


@pytest.mark.parametrize("name", [name for name in FIGURES if name not in ("critical_difference", "coverage")])
def test_what_differs_in_colour_differs_in_mark_dashes_or_hatching(name: str, many: Any) -> None:
    from matplotlib.colors import to_hex

    (view,) = views_of(many)
    found = FIGURES[name].draw(view if name in ("scaling", "pool_size", "gap_closed") else view.of_size(2))
    assert isinstance(found, Drawn), found
    most = 0
    for axes in found.figure.axes:
        # Mixtures r_o(p) are shades, told apart by p at the ends of their curves.
        lines = [one for one in axes.lines if one.get_marker() not in ("None", "", None, "|")]
        lines = [one for one in lines if "$r_o$" not in str(one.get_label())]
        looks = {(to_hex(one.get_color()), str(one.get_marker()), one.get_linestyle()) for one in lines}
        for first, second in combinations(looks, 2):
            assert first[0] == second[0] or first[1:] != second[1:], (axes.get_title(), first, second)
        most = max(most, len({look[1:] for look in looks}))
        bars = {(to_hex(one.get_facecolor()), one.get_hatch()) for one in axes.patches}
        assert all(a[0] == b[0] or a[1] != b[1] for a, b in combinations(bars, 2)), axes.get_title()
    assert most >= SERIES[name]


def test_a_map_has_its_numbers_written_in_it(many: Any) -> None:
    (view,) = views_of(many)
    (axes,) = FIGURES["coverage"].draw(view.of_size(2)).figure.axes
    written = {one.get_position(): one.get_text() for one in axes.texts}
    # Each of the two models solves all that the other fails; of what it fails itself nothing stands there.
    assert {at: written.get(at) for at in ((1.5, 0.5), (0.5, 1.5), (0.5, 0.5), (1.5, 1.5))} == {
        **{(1.5, 0.5): "1", (0.5, 1.5): "1"},
        **{(0.5, 0.5): None, (1.5, 1.5): None},
    }
    (mesh,) = axes.collections
    assert mesh.get_array().compressed().tolist() == [1.0, 1.0]


def test_mixtures_are_told_apart_by_p_at_their_ends_and_by_how_dark_they_are(many: Any) -> None:
    from matplotlib.colors import to_rgb

    (view,) = views_of(many)
    (axes,) = FIGURES["scaling"].draw(view).figure.axes
    mixtures = [one for one in axes.lines if "$r_o$" in str(one.get_label())]
    assert [one.get_text() for one in axes.texts] == ["1", "0.8", "0.6", "0.4", "0.2", "0"]
    light = [float(np.dot(to_rgb(one.get_color()), (0.2126, 0.7152, 0.0722))) for one in mixtures]
    # From the oracle, light, down to chance, dark; each a step that shows in grey.
    assert all(a - b > 0.03 for a, b in pairwise(light))
    assert len(light) == 6


def test_so_many_routers_have_marks_of_their_own() -> None:
    assert len({style.mark(i)["marker"] for i in range(ROUTERS)}) == ROUTERS
    assert len({str(style.line(i)["linestyle"]) for i in range(len(style.DASHES))}) == len(style.DASHES)

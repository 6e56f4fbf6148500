"""The published facts that the package carries."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import pytest

from routereval import facts


def test_the_twelve_benchmarks_hold_all_published_score_records() -> None:
    records = sum(b.models * b.prompts for b in facts.benchmarks().values())
    assert len(facts.benchmarks()) == 12
    assert records == 201_715_850


def test_published_entropies_do_not_exceed_what_the_pool_allows() -> None:
    # The one row that does (HellaSwag, m = 10, mlp: 5.38) is excluded from comparisons.
    rows = facts.published_results()
    assert len(rows) == 479
    assert all(row.E_p <= math.log2(m) + 0.006 for (_, m, _), row in rows.items())


def test_every_suite_names_known_benchmarks_or_the_demo() -> None:
    assert {suite["benchmarks"] for suite in facts.suites().values()} == {"published", "demo"}


def test_published_curves_of_r_o_rise_with_p_and_that_of_the_oracle_with_m() -> None:
    curves = facts.published_scaling()
    assert len(curves) == 12 * 11
    assert curves["gsm8k", 1.0][2] == 0.5826
    for benchmark in facts.benchmarks():
        oracle = list(curves[benchmark, 1.0].values())
        assert oracle == sorted(oracle)
        chance, half, best = (list(curves[benchmark, p].values())[-1] for p in (0.0, 0.5, 1.0))
        # r_o(p) is p times the oracle and 1 - p times chance; what was read off is good to about 0.005.
        assert abs(half - (chance + best) / 2) < 0.02


def test_the_curves_we_carry_are_those_that_were_read_off(shared: Path) -> None:
    with (shared / "facts" / "scaling_curves.csv").open(encoding="utf-8") as file:
        rows = [(r["benchmark"], float(r["p"]), float(r["m"]), float(r["mu"])) for r in csv.DictReader(file)]
    read_off: dict[tuple[str, float], list[tuple[float, float]]] = {}
    for benchmark, p, m, mu in rows:
        read_off.setdefault((benchmark, round(p, 1)), []).append((m, mu))
    checked = 0
    for curve, points in facts.published_scaling().items():
        for m, mu in points.items():
            # Read off the figures at sizes that lie beside the round ones: the nearest within 4 %.
            distance, nearest = min((abs(math.log(x / m)), y) for x, y in read_off[curve])
            if distance < 0.04:
                # The curves are means over 100 random pools, so neighbours differ by that much noise.
                assert mu == pytest.approx(nearest, abs=0.02), (curve, m)
                checked += 1
    assert checked > 1000

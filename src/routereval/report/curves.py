"""Scaling curves as rows and as tables: a column per policy, a row per size."""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich import box
from rich.console import Console
from rich.table import Table

from routereval.policies import defaults_of
from routereval.results.curves import CurvePoint
from routereval.results.run import router_label

ORACLE, CHANCE = "oracle", "random"


def curve_rows(points: Sequence[CurvePoint], shares: Iterable[float] = ()) -> list[dict[str, Any]]:
    """One row per benchmark, policy and size; r_o(p) for each share p follows from the oracle and chance.

    mu is the mean over the drawn pools with the 95 % normal interval of that mean; pool_low and pool_high hold 95 % of
    the pools; expected is the mean over all subsets, where there is a closed form.
    """
    rows = []
    by_size: dict[tuple[str, str, int], dict[str, CurvePoint]] = {}
    for point in points:
        spec = point.spec
        label = router_label(spec.policy, spec.params, defaults_of(spec.policy))
        rows.append(_row(point, label, point.means, point.expected))
        if spec.policy in (ORACLE, CHANCE):
            by_size.setdefault((spec.benchmark, spec.scope, point.m), {})[spec.policy] = point
    for share in shares:
        for pair in by_size.values():
            best, chance = pair[ORACLE], pair[CHANCE]
            expected = None
            if best.expected is not None and chance.expected is not None:
                expected = share * best.expected + (1 - share) * chance.expected
            rows.append(_row(best, f"r_o:p={share:g}", share * best.means + (1 - share) * chance.means, expected))
    return rows


def curve_tables(rows: Sequence[dict[str, Any]], benchmark: str, width: int) -> list[Table]:
    """The curves of one benchmark, mean over the pools and its interval, in as many tables as the width asks for."""
    of_benchmark = [row for row in rows if row["benchmark"] == benchmark]
    policies = list(dict.fromkeys(row["policy"] for row in of_benchmark))
    measuring = Console(width=10_000, file=io.StringIO())
    for count in range(len(policies), 0, -1):
        chunks = [policies[start : start + count] for start in range(0, len(policies), count)]
        tables = [_table(of_benchmark, chunk) for chunk in chunks]
        if all(measuring.measure(table).maximum <= width for table in tables):
            break
    return tables


def _table(rows: Sequence[dict[str, Any]], policies: Sequence[str]) -> Table:
    cells = {(row["policy"], row["m"]): row for row in rows}
    first = rows[0]
    table = Table(
        title=f"{first['benchmark']}  ·  {first['scope']} prompts  ·  {first['draws']} random pools of each size",
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    table.add_column("m", justify="right", no_wrap=True)
    for policy in policies:
        table.add_column(policy, justify="right", no_wrap=True)
    for m in sorted({row["m"] for row in rows}):
        table.add_row(str(m), *(_cell(cells.get((policy, m))) for policy in policies))
    return table


def _row(point: CurvePoint, policy: str, means: NDArray[np.float64], expected: float | None) -> dict[str, Any]:
    half = 1.96 * float(means.std(ddof=1)) / math.sqrt(len(means)) if len(means) > 1 else math.nan
    mu = float(means.mean())
    low, high = np.quantile(means, [0.025, 0.975])
    return {
        "benchmark": point.spec.benchmark,
        "policy": policy,
        "m": point.m,
        "mu": mu,
        "mu_low": None if math.isnan(half) else mu - half,
        "mu_high": None if math.isnan(half) else mu + half,
        "pool_low": float(low),
        "pool_high": float(high),
        "expected": expected,
        "draws": len(means),
        "scope": point.spec.scope,
        "protocol": point.spec.protocol,
        "encoder": point.spec.encoder,
        "seed": point.spec.seed,
    }


def _cell(row: dict[str, Any] | None) -> str:
    if row is None:
        return ""
    if row["mu_low"] is None:
        return f"{row['mu']:.3f}"
    return f"{row['mu']:.3f} [{row['mu_low']:.3f}, {row['mu_high']:.3f}]"

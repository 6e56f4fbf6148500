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

from routereval import facts
from routereval.policies import defaults_of
from routereval.results.curves import CurvePoint
from routereval.results.run import router_label

ORACLE, CHANCE = "oracle", "random"
PUBLISHED = ", published"


def curve_rows(points: Sequence[CurvePoint], shares: Sequence[float] = ()) -> list[dict[str, Any]]:
    """One row per benchmark, policy and size; r_o(p) for each share p follows from the oracle and chance.

    mu is the mean over the drawn pools with the 95 % normal interval of that mean; pool_low and pool_high hold 95 % of
    the pools; expected is the mean over all subsets, where there is a closed form.
    """
    rows = []
    by_size: dict[tuple[str, str, int], dict[str, CurvePoint]] = {}
    for point in points:
        spec = point.spec
        label = router_label(spec.policy, spec.params, defaults_of(spec.policy))
        rows += _rows(point, [label], point.means[None], [point.expected])
        if spec.policy in (ORACLE, CHANCE):
            by_size.setdefault((spec.benchmark, spec.scope, point.m), {})[spec.policy] = point
    if not shares:
        return rows
    share = np.array(shares)[:, None]
    for pair in by_size.values():
        best, chance = pair[ORACLE], pair[CHANCE]
        expected: list[float | None] = [None] * len(shares)
        if best.expected is not None and chance.expected is not None:
            expected = [p * best.expected + (1 - p) * chance.expected for p in shares]
        labels = [share_label(p) for p in shares]
        rows += _rows(best, labels, share * best.means + (1 - share) * chance.means, expected)
    return rows


def published_rows(benchmarks: Iterable[str], shares: Iterable[float]) -> list[dict[str, Any]]:
    """The published curves of r_o(p) as rows, as far as there are any; read off the figures, good to about 0.005."""
    published = facts.published_scaling()
    rows = []
    for benchmark in benchmarks:
        for share in shares:
            curve = published.get((benchmark, round(share, 6)), {})
            label = share_label(share) + PUBLISHED
            rows += [{"benchmark": benchmark, "policy": label, "m": m, "mu": mu} for m, mu in curve.items()]
    return rows


def share_label(share: float) -> str:
    """What r_o(p) is called."""
    return f"r_o:p={share:g}"


def curve_tables(rows: Sequence[dict[str, Any]], benchmark: str, width: int) -> list[Table]:
    """The curves of one benchmark, mean over the pools and its interval, in as many tables as the width asks for."""
    of_benchmark = [row for row in rows if row["benchmark"] == benchmark]
    policies = list(dict.fromkeys(row["policy"] for row in of_benchmark))
    measuring = Console(width=10_000, file=io.StringIO(), force_jupyter=False)
    for count in range(len(policies), 0, -1):
        chunks = [policies[start : start + count] for start in range(0, len(policies), count)]
        tables = [_table(of_benchmark, chunk) for chunk in chunks]
        if all(measuring.measure(table).maximum <= width for table in tables):
            break
    return tables


def _table(rows: Sequence[dict[str, Any]], policies: Sequence[str]) -> Table:
    cells = {(row["policy"], row["m"]): row for row in rows}
    drawn = [row for row in rows if "draws" in row]
    draws = max(row["draws"] for row in drawn)
    fewer = {row["policy"]: row["draws"] for row in drawn if row["draws"] < draws}
    table = Table(
        title=f"{drawn[0]['benchmark']}  ·  {drawn[0]['scope']} prompts  ·  {draws} random pools of each size",
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    table.add_column("m", justify="right", no_wrap=True)
    for policy in policies:
        heading = f"{policy} ({fewer[policy]} pools)" if policy in fewer else policy
        table.add_column(heading, justify="right", no_wrap=True)
    for m in sorted({row["m"] for row in rows}):
        table.add_row(str(m), *(_cell(cells.get((policy, m))) for policy in policies))
    return table


def _rows(
    point: CurvePoint, policies: Sequence[str], means: NDArray[np.float64], expected: Sequence[float | None]
) -> list[dict[str, Any]]:
    """Rows of several policies (k,) on the same pools, their means (k, draws)."""
    draws = means.shape[1]
    half = 1.96 * means.std(axis=1, ddof=1) / math.sqrt(draws) if draws > 1 else None
    mu = means.mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975], axis=1)
    return [
        {
            "benchmark": point.spec.benchmark,
            "policy": policy,
            "m": point.m,
            "mu": float(mu[k]),
            "mu_low": None if half is None else float(mu[k] - half[k]),
            "mu_high": None if half is None else float(mu[k] + half[k]),
            "pool_low": float(low[k]),
            "pool_high": float(high[k]),
            "expected": expected[k],
            "draws": draws,
            "scope": point.spec.scope,
            "protocol": point.spec.protocol,
            "encoder": point.spec.encoder,
            "data_hash": point.spec.data_hash,
            "seed": point.spec.seed,
        }
        for k, policy in enumerate(policies)
    ]


def _cell(row: dict[str, Any] | None) -> str:
    if row is None:
        return ""
    if row.get("mu_low") is None:
        return f"{row['mu']:.3f}"
    return f"{row['mu']:.3f} [{row['mu_low']:.3f}, {row['mu_high']:.3f}]"

"""Perf(ref) of stored numbers: what they say, else what was published."""

from __future__ import annotations

import math

import pytest

from routereval.report.perf_ref import perf_ref


@pytest.mark.parametrize(
    ("scored", "expected"),
    [
        ([(0.46, 0.5)], 0.92),
        ([(0.3, 0.5)], 0.6),  # one's own data under a published name
        ([(0.0, 0.0), (0.3, 0.5)], 0.6),  # who scored nothing does not say
        ([(0.5, math.nan), (0.3, 0.5)], 0.6),
        ([(0.5, math.nan)], None),  # data without a reference
        ([(0.0, 0.0)], 0.92),
        ([], 0.92),
    ],
)
def test_it_is_that_of_the_runs_else_the_published_one(
    scored: list[tuple[float, float]], expected: float | None
) -> None:
    assert perf_ref("gsm8k", scored) == expected


def test_of_what_nobody_published_only_runs_say() -> None:
    assert perf_ref("mine", []) is None
    assert perf_ref("mine", [(0.1 * 3, 0.5)]) == 0.6

"""The scripts of a page show the digits that the page itself, the tables and the terminal show."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

import numpy as np
import pytest

from routereval.report.site.formatting import fixed, shown
from routereval.report.site.page import SCALE, scaled
from routereval.seeding import generator


def in_a_script(part: int) -> str:
    """What ``(part / SCALE).toFixed(3)`` gives in JavaScript: of the number as it is in binary, halves upwards."""
    value = part / SCALE
    text = str(abs(Decimal(value)).quantize(Decimal("0.001"), rounding=ROUND_HALF_UP))
    return text if float(text) == 0 else ("−" if value < 0 else "") + text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.740489, "0.740"),
        (3.424496, "3.424"),
        (9 / 16, "0.562"),  # half way in binary too, where Python takes the even digit
        (-9 / 16, "−0.562"),
        (0.5125, "0.512"),  # below the half in binary
        (0.5125 + 1e-12, "0.513"),
        (0.1 + 0.2 + 0.2125, "0.513"),  # the same sum with an error of rounding
        (-0.0004, "0.000"),
        (0.0005, "0.001"),
    ],
)
def test_a_number_is_rounded_once(value: float, text: str) -> None:
    assert fixed(value) == text
    (part,) = scaled(np.array([value]))
    assert part is not None
    assert in_a_script(part) == text
    assert part / SCALE == pytest.approx(value, abs=2 / SCALE)


def test_so_is_every_mean_over_few_prompts() -> None:
    rng = generator("tests/report/site/digits")
    means = [rng.integers(0, n + 1, 200) / n - 0.25 for n in (16, 40, 55, 80, 118, 2000)]
    values = np.concatenate([*means, np.mean(means, axis=0), np.cumsum(np.full(2000, 0.0125))])
    parts = scaled(values)
    assert [in_a_script(part) for part in parts if part is not None] == [fixed(value) for value in values.tolist()]


def test_what_is_no_number_is_null() -> None:
    assert scaled(np.array([np.nan, np.inf, 0.25])) == [None, None, SCALE // 4]


def test_an_error_of_rounding_is_above_nothing() -> None:
    assert shown(0.1, 1e-17, 0.2, signed=True).mark == ""
    assert shown(0.1, 0.001, 0.2, signed=True).mark == "up"
    assert shown(-0.1, -0.2, -0.001, signed=True).mark == "down"
    assert shown(-0.1, -0.2, -1e-17, signed=True).mark == ""

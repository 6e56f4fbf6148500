"""Numbers as the pages show them; the scripts of the page write them the same way."""

from __future__ import annotations

import math
from typing import NamedTuple

DIGITS = 6
"""How many decimals count: what is smaller is an error of rounding, in the pages and in their scripts alike."""
MISSING = "–"
MINUS = "−"


class Shown(NamedTuple):
    """A number in a cell.

    Parameters
    ----------
    value, interval : text; the interval is empty where there is none.
    sort : what the column is sorted by; empty where there is no number.
    mark : ``up`` where all of the interval is above 0, ``down`` where all of it is below, else empty.
    """

    value: str
    interval: str
    sort: str
    mark: str = ""


def shown(value: float, low: float, high: float, *, signed: bool = False) -> Shown:
    """A number with three decimals and its interval."""
    if math.isnan(value):
        return Shown(MISSING, "", "")
    mark = "" if not signed or math.isnan(low) else "up" if above_zero(low) else "down" if above_zero(-high) else ""
    ends = "" if math.isnan(low) else f"[{fixed(low, signed)}, {fixed(high, signed)}]"
    return Shown(fixed(value, signed), ends, f"{value:.6f}", mark)


def above_zero(value: float) -> bool:
    """Whether it is more than 0, and more than an error of rounding."""
    return round(value, DIGITS) > 0


def fixed(value: float, signed: bool = False) -> str:
    """Three decimals, a true minus sign, and never minus nothing."""
    text = f"{abs(value):.3f}"
    if float(text) == 0:
        return text
    return (MINUS if value < 0 else "+" if signed else "") + text


def seconds(value: float) -> str:
    """Seconds with as many digits as matter."""
    return f"{value:.3f}" if value < 10 else f"{value:,.0f}"


def whole(count: int, one: str, many: str = "") -> str:
    """``1 run``, ``8,036 runs``."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"

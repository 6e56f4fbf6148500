"""Models picked by what is known of them: ``params_b<=13``, ``family=llama``, ``license~apache*``."""

from __future__ import annotations

import difflib
import fnmatch
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from routereval.errors import DataError, ParameterError

Metadata = Mapping[str, Mapping[str, Any]]
"""Model to property to value; a value that is None, empty or nan is not known."""

LONGEST = 1000
"""Characters of a condition: what wildcards stand for takes time with the square of that."""

_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_DATE = re.compile(r"\d{4}-\d\d")
_CONDITION = re.compile(r"\s*([^=!<>~]+?)\s*(<=|>=|!=|=|<|>|~)\s*(.*?)\s*")


@dataclass(frozen=True)
class Condition:
    """One condition on a model's properties.

    Numbers are compared as numbers, also where the table has them as texts; other values as texts, case aside, so that
    dates written 2024-01-31 have their order.

    Parameters
    ----------
    column : the property; ``model`` is the name.
    operator : ``=``, ``!=``, ``<``, ``<=``, ``>``, ``>=``, or ``~``: matches a wildcard pattern.
    operand : what to compare with.
    """

    column: str
    operator: str
    operand: str

    @classmethod
    def parse(cls, text: str) -> Condition:
        """Read ``column operator operand``.

        Raises
        ------
        ParameterError : it is no condition; says what one looks like.
        """
        if len(text) > LONGEST:
            raise ParameterError(f"a condition of {len(text)} characters; at most {LONGEST} are read: {text[:40]!r}...")
        parts = _CONDITION.fullmatch(text)
        if parts is None or not parts[3] or parts[3][0] in "=!<>~":
            raise ParameterError(
                f"cannot read the condition {text!r}; write COLUMN OPERATOR VALUE, like 'params_b<=13' or "
                "'family=llama', with one of =, !=, <, <=, >, >=, ~ (matches a wildcard)"
            )
        return cls(parts[1], parts[2], parts[3])

    def __str__(self) -> str:
        return f"{self.column}{self.operator}{self.operand}"

    def holds(self, value: Any) -> bool:
        """Whether it holds for a value that is known."""
        left, right = _number(value), _number(self.operand)
        if self.operator == "~":
            return fnmatch.fnmatchcase(str(value).casefold(), self.operand.casefold())
        both = left is not None and right is not None
        a, b = str(value).casefold(), self.operand.casefold()
        if self.operator in ("=", "!="):
            return (left == right if both else a == b) == (self.operator == "=")
        if (left is None) != (right is None) and not (_DATE.match(a) or _DATE.match(b)):
            raise DataError(f"{self}: the value {value!r} and {self.operand!r} have no order; one of them is a number")
        return _ORDER[self.operator](left, right) if both else _ORDER[self.operator](a, b)


def models_where(names: Sequence[str], metadata: Metadata, conditions: Sequence[str]) -> tuple[list[str], list[str]]:
    """The models for which all conditions hold, and notes on those of which too little is known.

    Raises
    ------
    ParameterError : what is no condition, or asks about a property that the metadata do not have.
    DataError : values that cannot be compared, or no model is left; says how many each condition leaves.
    """

    def row_of(name: str) -> Mapping[str, Any]:
        return metadata.get(name, {})

    parsed = [Condition.parse(text) for text in conditions]
    columns = list(dict.fromkeys(["model", *(column for row in metadata.values() for column in row)]))
    for condition in parsed:
        if condition.column not in columns:
            near = difflib.get_close_matches(condition.column, columns, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise ParameterError(
                f"nothing is known about {condition.column!r}, which {str(condition)!r} asks for; {hint}"
                f"{'the metadata have' if metadata else 'without metadata there is'}: {', '.join(columns)}"
            )
    asked = {condition.column for condition in parsed} - {"model"}
    absent = sum(name not in metadata for name in names) if asked else 0
    notes = [f"{absent} of {len(names)} models are not in the metadata; conditions leave them out"] if absent else []
    left, counts = list(names), []
    for condition in parsed:
        values = {name: name if condition.column == "model" else row_of(name).get(condition.column) for name in names}
        known = {name: value for name, value in values.items() if not _unknown(value)}
        if empty := len(names) - len(known) - (absent if condition.column != "model" else 0):
            notes.append(f"{empty} models have no {condition.column} in the metadata; {condition} leaves them out")
        holding = {name for name, value in known.items() if condition.holds(value)}
        counts.append(f"{condition} holds for {len(holding)} of {len(names)}")
        left = [name for name in left if name in holding]
    if len(left) < 2:
        raise DataError(f"{len(left)} models meet all conditions, a pool needs 2: {'; '.join([*counts, *notes])}")
    return left, notes


def _number(value: Any) -> float | None:
    if isinstance(value, bool):
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _unknown(value: Any) -> bool:
    return value is None or value != value or (isinstance(value, str) and not value.strip())

"""What a submission says of itself: ``submission.toml`` or ``submission.json``, every entry checked."""

from __future__ import annotations

import difflib
import json
import math
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

from routereval.metrics import METRICS
from routereval.protocols import PROTOCOLS
from routereval.references import REFERENCES
from routereval.results.submitted import is_web_address
from routereval.routers.catalogue import routers

Claims = Mapping[str, Mapping[str, float]]
"""Metrics by scenario, as the submission says they are."""


@dataclass(frozen=True)
class Metadata:
    """What a submission says, once every entry is of the right kind.

    Parameters
    ----------
    values : all entries that are given, as JSON has them.
    """

    values: Mapping[str, Any]

    @property
    def router(self) -> str:
        """What the router is called."""
        return str(self.values["router"])

    @property
    def protocol(self) -> str:
        """The rules it is scored by."""
        return str(self.values["protocol"])

    @property
    def saw_test_prompts(self) -> bool:
        """Whether its makers say that test prompts were seen in training."""
        return bool(self.values["test_prompts_seen"])

    @property
    def scenarios(self) -> tuple[str, ...]:
        """What must be complete: scenario ids, globs, suites; empty: whatever the predictions have."""
        return tuple(self.values.get("scenarios", ()))

    @property
    def claims(self) -> Claims:
        """The numbers it says it has."""
        claims: Claims = self.values.get("claims", {})
        return claims


@dataclass(frozen=True)
class Entry:
    """One entry of the metadata.

    Parameters
    ----------
    read : gives the value as JSON has it.
    about : for whom fills it in.
    example : how the template has it, in TOML.

    ``read`` raises ``ValueError`` that says what was expected.
    """

    read: Callable[[Any], Any]
    about: str
    example: str = '""'
    required: bool = True


def _text(limit: int, lines: bool = False) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        """The text without blanks around it, or ValueError."""
        if not isinstance(value, str):
            raise ValueError(f"is a {_kind(value)}; expected text")
        text = value.strip()
        if not text:
            raise ValueError("is empty")
        if len(text) > limit:
            raise ValueError(f"has {len(text)} characters; at most {limit} are kept")
        if not all(c.isprintable() or c.isspace() for c in text) or (not lines and len(text.splitlines()) > 1):
            raise ValueError("holds control characters" if lines else "holds control characters or more than one line")
        return text

    return read


def _router(value: Any) -> str:
    name = _text(80)(value)
    if name.casefold() in {*routers(), *REFERENCES}:
        raise ValueError(f"is {name!r}, which is a router of this package; tables would show the two alike")
    return name


def _names(limit: int, many: int) -> Callable[[Any], list[str]]:
    def read(value: Any) -> list[str]:
        if not isinstance(value, list) or not value:
            raise ValueError(f"is {'an empty list' if value == [] else f'a {_kind(value)}'}; expected a list of texts")
        if len(value) > many:
            raise ValueError(f"has {len(value)} entries; at most {many} are kept")
        return [_text(limit)(one) for one in value]

    return read


def _address(value: Any) -> str:
    text = _text(500)(value)
    if not is_web_address(text):
        raise ValueError(f"is {text!r}; expected an address that begins with https:// or http://")
    return text


def _date(value: Any) -> str:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value.isoformat()
    try:
        return date.fromisoformat(value).isoformat()
    except (TypeError, ValueError):
        raise ValueError(f"is {value!r}; expected a date like 2026-01-31") from None


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"is a {_kind(value)}; expected true or false")
    return value


def _protocol(value: Any) -> str:
    if not isinstance(value, str) or value not in PROTOCOLS:
        raise ValueError(f"is {value!r}; expected {' or '.join(PROTOCOLS)}")
    return str(value)


def _claims(value: Any) -> dict[str, dict[str, float]]:
    if not isinstance(value, dict) or not all(isinstance(one, dict) for one in value.values()):
        raise ValueError("is no table of scenarios with their metrics")
    for scenario, metrics in value.items():
        for name, number in metrics.items():
            if name not in METRICS:
                raise ValueError(f"has {scenario}: {name!r}, which is no metric; there are {', '.join(METRICS)}")
            if isinstance(number, bool) or not isinstance(number, int | float) or not math.isfinite(number):
                raise ValueError(f"has {scenario}: {name} = {number!r}, no number")
    return {scenario: {k: float(v) for k, v in metrics.items()} for scenario, metrics in value.items()}


def _kind(value: Any) -> str:
    kinds = {bool: "truth value", int: "number", float: "number", list: "list", dict: "table"}
    return kinds.get(type(value), type(value).__name__)


ENTRIES: dict[str, Entry] = {
    "router": Entry(_router, "what the router is called in tables"),
    "authors": Entry(_names(200, 100), "who made it", '[""]'),
    "contact": Entry(_text(300), "an e-mail address or a page where its makers can be asked"),
    "description": Entry(_text(5000, lines=True), "what it does and what it learns from, in a few sentences"),
    "protocol": Entry(_protocol, "strict or paper: the rules it is scored by", '"strict"'),
    "encoder": Entry(_text(200), "what turned prompts into vectors, or none"),
    "training_data": Entry(_text(2000, lines=True), "everything it was trained on, the benchmark's own prompts aside"),
    "date": Entry(_date, "of the predictions, like 2026-01-31"),
    "test_prompts_seen": Entry(
        _truth, "whether any test prompt, or its answers, was seen in training or tuning", "false"
    ),
    "url": Entry(_address, "its page", '"https://"', required=False),
    "code_url": Entry(_address, "its code", '"https://"', required=False),
    "paper_url": Entry(_address, "its paper", '"https://"', required=False),
    "scenarios": Entry(
        _names(200, 1000), "scenarios, globs or suites that must be complete", '["gsm8k/*/5"]', required=False
    ),
    "claims": Entry(_claims, "its numbers, to be compared", '{"gsm8k/all_strong/5" = {mu = 0.713}}', required=False),
}
"""Every entry there is; others are mistakes."""


def read_metadata(path: Path) -> tuple[Metadata | None, list[str]]:
    """What a file says, and everything that is wrong with it; None where anything is."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        said = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
    except (OSError, UnicodeDecodeError, ValueError, RecursionError) as error:
        return None, [f"{path.name} cannot be read: {error}"]
    if not isinstance(said, dict):
        return None, [f"{path.name} holds a {_kind(said)}; expected an object with {', '.join(_required())}"]
    problems = [_unknown(name) for name in said if name not in ENTRIES]
    problems += [f"{name} is not there: {ENTRIES[name].about}" for name in _required() if name not in said]
    values = {}
    for name, entry in ENTRIES.items():
        if name in said:
            try:
                values[name] = entry.read(said[name])
            except (ValueError, OverflowError) as error:
                problems.append(f"{name} {error}")
    return (None, problems) if problems else (Metadata(values), [])


def _required() -> Sequence[str]:
    return [name for name, entry in ENTRIES.items() if entry.required]


def _unknown(name: str) -> str:
    near = difflib.get_close_matches(name, ENTRIES, n=1, cutoff=0.6)
    return f"{name!r} is no entry; " + (f"did you mean {near[0]!r}?" if near else f"there are {', '.join(ENTRIES)}")


def template() -> str:
    """A ``submission.toml`` to be filled in."""
    lines = ["# What is said of the router beside its predictions; see routereval submit --help.", ""]
    for required in (True, False):
        if not required:
            lines += ["", "# These may be left out."]
        for name, entry in ENTRIES.items():
            if entry.required == required:
                lines += [f"# {entry.about}", f"{'' if required else '# '}{name} = {entry.example}"]
    return "\n".join(lines) + "\n"

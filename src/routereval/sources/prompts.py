"""Prompts to be routed: given in words, in a file, or on standard input."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from routereval.errors import DataError, MissingDataError, ParameterError


def read_prompts(given: Sequence[str], file: Path | None, standard_input: TextIO) -> list[str]:
    """The prompts: those given, else those of a file, else those on standard input, a line each.

    A ``.jsonl`` file has a string, or an object with ``prompt`` (or ``text``, ``query``, ``question``), per line; so a
    prompt can have several lines there. Empty lines are left out.

    Raises
    ------
    ParameterError : prompts and a file, or nothing at all.
    MissingDataError, DataError : no such file; one that cannot be read, or has no prompt in it.
    """
    if given and file is not None:
        raise ParameterError(f"{len(given)} prompts and a file {file} are given; give one of them")
    if given:
        return list(given)
    if file is None:
        if standard_input.isatty():
            raise ParameterError('no prompt is given; write routereval route --router DIR "a prompt", or --file FILE')
        return _some(_lines(standard_input.read()), "standard input")
    if not file.is_file():
        raise MissingDataError(f"there is no file of prompts {file}")
    try:
        content = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file} cannot be read as text: {error}") from error
    json_lines = file.suffix.lower() in (".jsonl", ".ndjson")
    return _some(_json_lines(content, file) if json_lines else _lines(content), str(file))


def _some(prompts: list[str], where: str) -> list[str]:
    if not prompts:
        raise DataError(f"no prompt came: {where} has no line that is not empty; expected one prompt per line")
    return prompts


def _lines(content: str) -> list[str]:
    return [line for line in content.splitlines() if line.strip()]


def _json_lines(content: str, file: Path) -> list[str]:
    prompts = []
    for number, line in enumerate(content.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{file}, line {number} is no JSON: {error}") from error
        if isinstance(value, dict):
            value = next((value[key] for key in ("prompt", "text", "query", "question") if key in value), None)
        if not isinstance(value, str):
            raise DataError(f"{file}, line {number} holds no prompt; expected a string, or an object with 'prompt'")
        prompts.append(value)
    return prompts

"""Which column of a table is what: by the names people use, else as the caller says."""

from __future__ import annotations

import difflib
import fnmatch
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from routereval.errors import DataError, ParameterError
from routereval.sources.table_planes import (
    ATTRIBUTE,
    PLANE_NAMES,
    Columns,
    attributes,
    plain,
    planes_of_long,
    planes_of_wide,
)

KNOWN_NAMES: dict[str, tuple[str, ...]] = {
    "prompt": (
        *("prompt_id", "query_id", "question_id", "sample_id", "item_id", "doc_id", "example_id", "instance_id"),
        *("id", "qid", "global_index"),
    ),
    "text": ("prompt", "query", "question", "text", "prompt_text", "origin_query", "instruction", "input"),
    "model": ("model", "model_name", "model_id", "llm"),
    "score": (
        *("score", "scores", "performance", "correct", "is_correct", "correctness", "accuracy", "acc"),
        *("exact_match", "label"),
    ),
    "subset": ("subset", "subject", "category", "eval_name", "task", "task_name", "dataset"),
    "split": ("split",),
    "embedding": ("embedding", "embeddings", "prompt_embedding", "query_embedding"),
}
"""Column names that leave no doubt, by role; compared in lower case, spaces and hyphens as underscores."""

ROLES = (*KNOWN_NAMES, *PLANE_NAMES, "models", "ignore")

NO_MODEL = frozenset(
    (
        *("", "unnamed:_0", "index", "row", "row_id", "level_0", "__index_level_0__"),
        *("oracle_model_to_route_to", "ground_truth", "reference", "answer", "target", "response", "model_response"),
        *("time", "total_tokens", "token_num"),
        *(name for names in PLANE_NAMES.values() for name in names),
    )
)
"""Columns beside the scores that are never a model: left out, and said so."""


@dataclass(frozen=True)
class TableColumns:
    """Which column is what.

    Parameters
    ----------
    prompt, text, subset, split, embedding : a column's name, or None where there is no such column.
    model, score : both in a long table, None in a wide one.
    models : the columns that are models, in a wide table.
    planes : for each role of ``PLANE_NAMES`` that the table has: the column, by model in a wide table, under ``""`` in
        a long one.
    unused : columns that are none of these.
    """

    prompt: str | None = None
    text: str | None = None
    subset: str | None = None
    split: str | None = None
    embedding: str | None = None
    model: str | None = None
    score: str | None = None
    models: tuple[str, ...] = ()
    planes: Columns = field(default_factory=dict)
    unused: tuple[str, ...] = ()

    @property
    def of_prompts(self) -> dict[str, str]:
        """The columns that say something of a prompt, by role."""
        roles = {"text": self.text, "subset": self.subset, "split": self.split, "embedding": self.embedding}
        return {role: name for role, name in roles.items() if name is not None}

    @property
    def long(self) -> bool:
        """Whether the table has one row per prompt and model."""
        return self.model is not None


def parse_roles(pairs: Iterable[str]) -> dict[str, str]:
    """Column by role from ``role=column`` words; ``models`` and ``ignore`` may come several times.

    Raises
    ------
    ParameterError : no ``=``, or a role twice.
    """
    roles: dict[str, str] = {}
    for pair in pairs:
        role, equals, column = pair.partition("=")
        if not equals:
            raise ParameterError(f"cannot read --map {pair!r}; write ROLE=COLUMN, like --map score=acc_norm")
        if role in roles and role not in ("models", "ignore"):
            raise ParameterError(f"--map {role}=... is given twice: {roles[role]!r} and {column!r}")
        roles[role] = f"{roles[role]},{column}" if role in roles else column
    return roles


def find_columns(
    names: Sequence[str], idlike: Iterable[str] = (), given: Mapping[str, str] | None = None
) -> TableColumns:
    """Which column is what.

    Parameters
    ----------
    names : the table's columns.
    idlike : those whose cells look like ids (whole numbers, or words without white space); a column ``prompt`` among
        them is an id, not a text.
    given : column by role, where the caller says so; ``models`` and ``ignore`` take several, separated by commas, and
        wildcards.

    Raises
    ------
    ParameterError : a role or a column that there is not.
    DataError : two columns for one role, or no scores; says how to map them.
    """
    given = dict(given or {})
    _check_roles(given)
    ignored = _several(given.pop("ignore", ""), names)
    models = _several(given.pop("models", ""), names)
    planes = {role: given.pop(role) for role in PLANE_NAMES if role in given}
    for role, name in planes.items():
        _check_column(role, name, [*names, *attributes(names)])
    for role, name in given.items():
        _check_column(role, name, names)
    free = [name for name in names if name not in {*given.values(), *planes.values(), *ignored, *models}]
    roles: dict[str, str] = dict(given)
    doubts = []
    for role in KNOWN_NAMES:
        if role in roles or (models and role in ("model", "score")):
            continue
        candidates = [name for name in free if plain(name) in KNOWN_NAMES[role]]
        if role == "prompt" and not candidates:
            candidates = [name for name in free if name in set(idlike) and plain(name) in KNOWN_NAMES["text"]]
        elif role == "text":
            candidates = [name for name in candidates if name != roles.get("prompt")]
        if len(candidates) == 1:
            roles[role] = candidates[0]
        elif candidates:
            listed = " or ".join(candidates)
            id_ = f" (or --map prompt={candidates[0]}, if that is the prompt's id)" if role == "text" else ""
            doubts.append(f"the {role} may be {listed}: say --map {role}=...{id_}, and --map ignore=... the rest")
    if doubts:
        raise DataError("; ".join(doubts))
    if "model" in roles or "score" in roles:
        _check_long(roles, names)
        rest = [name for name in names if name not in roles.values()]
        for role, name in planes.items():
            _check_column(role, name, names)
        found = planes_of_long(planes, [name for name in rest if name in free])
        return _columns(roles, planes=found, rest=rest)
    rest = [name for name in names if name not in {*roles.values(), *ignored}]
    chosen = models or _models_among(rest)
    return _columns(roles, chosen, planes_of_wide(planes, chosen, rest), rest)


def _columns(
    roles: Mapping[str, str],
    models: Iterable[str] = (),
    planes: Columns | None = None,
    rest: Iterable[str] = (),
) -> TableColumns:
    by_role: dict[str, Any] = dict(roles)
    used = {*models, *(name for columns in (planes or {}).values() for name in columns.values())}
    unused = tuple(name for name in rest if name not in used)
    return TableColumns(**by_role, models=tuple(models), planes=planes or {}, unused=unused)


def _models_among(names: Sequence[str]) -> list[str]:
    with_attributes = {name.split(ATTRIBUTE)[0] for name in names if ATTRIBUTE in name} & set(names)
    if with_attributes:
        return [name for name in names if name in with_attributes]
    return [name for name in names if plain(name) not in NO_MODEL]


def _check_long(roles: Mapping[str, str], names: Sequence[str]) -> None:
    for role, other, name in (("model", "score", "model"), ("score", "model", "score")):
        if role not in roles:
            raise DataError(
                f"column {roles[other]!r} looks like the {other} of a table with one row per prompt and model, but no "
                f"column is the {name}; say --map {role}=COLUMN (columns: {_listed(names)}), or, if every model has a "
                f"column of its own, --map models=..."
            )
    if "prompt" not in roles and "text" not in roles:
        raise DataError(
            f"no column says which prompt a row is about; say --map prompt=COLUMN (columns: {_listed(names)})"
        )


def _check_roles(given: Mapping[str, str]) -> None:
    for role in given:
        if role not in ROLES:
            near = difflib.get_close_matches(role, ROLES, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"roles: {', '.join(ROLES)}"
            raise ParameterError(f"unknown role {role!r} in --map; {hint}")
    if "models" in given and {"model", "score"} & given.keys():
        raise ParameterError("--map models=... is for one column per model, model and score for one row per model")


def _check_column(role: str, name: str, names: Sequence[str]) -> None:
    if name not in names:
        near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(map(repr, near))}?" if near else f"columns: {_listed(names)}"
        raise ParameterError(f"--map {role}={name}: the table has no column {name!r}; {hint}")


def _several(value: str, names: Sequence[str]) -> list[str]:
    """The columns that a list of names and wildcards stands for, in the table's order."""
    if not value:
        return []
    chosen = set()
    for pattern in [value] if value in names else value.split(","):
        # A longer one is no wildcard that anybody meant, and takes time with the square of its length.
        matching = [pattern] if pattern in names else fnmatch.filter(names, pattern) if len(pattern) <= 1000 else []
        if not matching:
            _check_column("models or ignore", pattern, names)
        chosen.update(matching)
    return [name for name in names if name in chosen]


def _listed(names: Sequence[str], shown: int = 12) -> str:
    return ", ".join(names[:shown]) + (f" and {len(names) - shown} more" if len(names) > shown else "")

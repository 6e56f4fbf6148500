"""One model's raw answers: what its pickle says of each item, in either of the published schemas or one like them.

Old: subset -> columns (``full_prompt``, ``metrics``, ``input_tokens``, ``cont_tokens``, ...), items by position.
New: subset -> columns or rows with ``doc_id``, ``doc_hash``, ``arguments``, ``doc``, ... and the metric as last key.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from routereval.errors import DataError
from routereval.facts import BenchmarkFacts
from routereval.sources.full_data_values import numeric, rows_as_columns, text_of, token_counts

_TEXTS = ("full_prompt", "prompt", "arguments", "example", "query", "question", "input", "doc")
_INPUT = ("input_tokens", "prompt_tokens", "num_input_tokens")
_OUTPUT = ("cont_tokens", "output_tokens", "completion_tokens", "num_output_tokens")
_HASHES = ("doc_hash", "hash")
_NEW = ("doc_id", "doc_hash", "prompt_hash", "target_hash", "resps", "filtered_resps")
_METRIC = re.compile(r"(acc|exact_match|quasi_exact_match|em|qem|f1|mc[12]|truthfulqa_mc[12]|\w+_acc|acc_\w+)")
_FIELDS = {*_TEXTS, *_INPUT, *_OUTPUT, *_HASHES, *_NEW, "metrics", "gold", "predictions", "target", "acc", "acc_norm"}
UNNAMED = "metric"
"""What a metric without a name is called here."""

_ROUNDING = 1e-5

MOST_METRICS = 12
"""How many metrics beside the score are kept; the published files have up to four."""


@dataclass(frozen=True, eq=False)
class Items:
    """What one model's pickle says of the items of one subset.

    Parameters
    ----------
    ids : (n,) the item's number in its subset; None where items are known by their position only.
    hashes : n hashes of the document; None where there are none.
    scores : (n,) float32 in [0, 1], nan where there is none.
    planes : (n,) float32 each, by name: token counts and further metrics.
    texts : n things a text can be made of; None where there are none.
    metric : what the score is called in the file; ``metric`` where it has no name.
    """

    ids: NDArray[np.int64] | None
    hashes: Sequence[str] | None
    scores: NDArray[np.float32]
    planes: Mapping[str, NDArray[np.float32]]
    texts: Sequence[Any] | None
    metric: str

    def __len__(self) -> int:
        return len(self.scores)

    def text(self, i: int) -> str | None:
        """The prompt of an item as the model saw it."""
        return None if self.texts is None else text_of(self.texts[i])


def items_of(raw: Any, benchmark: BenchmarkFacts, metrics: Sequence[str]) -> dict[str, Items]:
    """The items in a model's unpickled file, by subset.

    Parameters
    ----------
    metrics : what the score may be called.

    Raises
    ------
    DataError : a schema that is neither of the published ones nor like them; says what was found.
    """
    found: dict[str, Items] = {}
    tables = _tables(raw)
    for name, table in tables.items():
        subset = (
            next(iter(benchmark.subsets)) if len(tables) == len(benchmark.subsets) == 1 else _subset(name, benchmark)
        )
        if subset is None:
            continue
        if subset in found:
            raise DataError(f"it has subset {subset} twice")
        try:
            found[subset] = _items(table, metrics)
        except DataError as error:
            raise DataError(f"subset {subset}: {error}") from error
    if not found:
        shown = ", ".join(map(str, list(raw)[:5])) if isinstance(raw, Mapping) else f"a {type(raw).__name__}"
        raise DataError(f"it is of an unknown schema: no subset of {benchmark.key} in it (it has {shown})")
    return found


def _tables(raw: Any) -> dict[str, Mapping[str, Any]]:
    """Columns by the name of the subset; ``""`` where no name is given."""
    table = rows_as_columns(raw)
    if table is not None and _FIELDS & table.keys():
        return {"": table}
    if not isinstance(raw, Mapping):
        return {}
    # Once more one level down, for those that wrap all of it: {"model": ..., "data": {...}}.
    for named in (raw, *(value for value in raw.values() if isinstance(value, Mapping))):
        tables = {str(name): rows_as_columns(value) for name, value in named.items()}
        known: dict[str, Mapping[str, Any]] = {n: t for n, t in tables.items() if t is not None and _FIELDS & t.keys()}
        if known:
            return known
    return {}


def _subset(name: str, benchmark: BenchmarkFacts) -> str | None:
    """The published subset that a name stands for, however it is punctuated and prefixed; None where there is none."""
    said = _plain(name)
    by_plain = {_plain(subset): subset for subset in benchmark.subsets}
    if said in by_plain:
        return by_plain[said]
    near = [subset for plain, subset in by_plain.items() if said and (f"_{plain}_" in f"_{said}_")]
    near = near or [subset for plain, subset in by_plain.items() if said and f"_{said}_" in f"_{plain}_"]
    return near[0] if len(near) == 1 else None


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")


def _items(table: Mapping[str, Any], metrics: Sequence[str]) -> Items:
    n = next(len(table[name]) for name in ("metrics", *_NEW, *sorted(_FIELDS), *table) if name in table)
    odd = [f"{name} has {len(column)}" for name, column in table.items() if len(column) != n and name in _FIELDS]
    if odd:
        raise DataError(f"its columns are of different lengths: {n} items, but {', '.join(odd[:3])}")
    table = {name: column for name, column in table.items() if len(column) == n}
    found = _metrics(table)
    score = _score_name(found, metrics, new=bool({*_NEW} & table.keys()))
    scores = found.pop(score)
    # Sums of probabilities go a little beyond 1.
    scores = np.where((scores > 1) & (scores < 1 + _ROUNDING), np.float32(1), scores)
    outside = int(((scores < 0) | (scores > 1)).sum())
    if outside:
        raise DataError(f"{outside} of {n} values of {score} lie outside [0, 1]")
    planes = {}
    for plane, names in (("input_tokens", _INPUT), ("output_tokens", _OUTPUT)):
        counts = next((token_counts(table[name]) for name in names if name in table), None)
        if counts is not None and not np.isnan(counts).all():
            planes[plane] = counts
    planes |= {name: values for name, values in list(found.items())[:MOST_METRICS] if name not in planes}
    return Items(
        _ids(table),
        next((hashes for name in _HASHES if (hashes := _strings(table.get(name)))), None),
        scores,
        planes,
        next((table[name] for name in _TEXTS if name in table and any(map(text_of, table[name][:1]))), None),
        score,
    )


def _metrics(table: Mapping[str, Any]) -> dict[str, NDArray[np.float32]]:
    """The numeric metrics of the items, by name, in the order in which they stand."""
    columns: dict[str, Sequence[Any]] = {}
    if "metrics" in table:
        cells = [cell[0] if isinstance(cell, list | tuple) and len(cell) == 1 else cell for cell in table["metrics"]]
        named = rows_as_columns([cell if isinstance(cell, Mapping) else {UNNAMED: cell} for cell in cells]) or {}
        columns |= named
    new = bool({*_NEW} & table.keys())
    for name, column in table.items():
        if name not in _FIELDS - {"acc", "acc_norm"} and (new or _METRIC.fullmatch(base_name(name))):
            columns.setdefault(name, column)
    values = {name: found for name, column in columns.items() if (found := numeric(column)) is not None}
    bases = [base_name(name) for name in values]
    return {
        base if bases.count(base) == 1 else name: found
        for (name, found), base in zip(values.items(), bases, strict=True)
    }


def base_name(name: str) -> str:
    """A metric's name without the filter behind it: ``acc_norm,none`` is ``acc_norm``."""
    return name.partition(",")[0]


def _score_name(found: Mapping[str, Any], metrics: Sequence[str], *, new: bool) -> str:
    for wanted in (*metrics, UNNAMED):
        for name in found:
            if wanted in (name, base_name(name)):
                return name
    if found and (new or len(found) == 1):
        return list(found)[-1]  # as published: the last key
    have = f"it has {', '.join(found)}" if found else "it has no numeric metric"
    raise DataError(f"no item has the metric {' or '.join(metrics)}; {have}")


def _ids(table: Mapping[str, Any]) -> NDArray[np.int64] | None:
    column = table.get("doc_id")
    if column is None or not all(isinstance(i, int | np.integer) and abs(int(i)) < 2**62 for i in column):
        return None
    ids = np.array([int(i) for i in column], dtype=np.int64)
    if len(np.unique(ids)) != len(ids):
        raise DataError(f"{len(ids) - len(np.unique(ids))} items have the doc_id of another")
    return ids


def _strings(column: Any) -> Sequence[str] | None:
    if column is None or len(column) == 0 or not all(isinstance(text, str) for text in column):
        return None
    return column if len(set(column)) == len(column) else None

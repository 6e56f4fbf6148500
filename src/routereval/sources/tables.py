"""Scores of one's own: long or wide tables as CSV, TSV, JSONL or Parquet."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from routereval.data import store
from routereval.data.benchmark import BenchmarkData
from routereval.data.queries import Queries
from routereval.data.scenario import CandidatePool
from routereval.data.scores import ScoreMatrix
from routereval.data.split import Split
from routereval.errors import DataError
from routereval.sources.table_cells import idlike, names, numbered, numbers, one_each, strings, vectors
from routereval.sources.table_columns import TableColumns, find_columns
from routereval.sources.table_files import polars_faults, read_embeddings, read_frame, sha256, stem_of, suffix_of
from routereval.sources.table_planes import Cells, filled

if TYPE_CHECKING:
    import polars as pl

STRATEGY = "all"
"""The one pool of a table: every model in it."""

_SPLIT_NAMES = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "val"),
    **dict.fromkeys(("test", "testing", "eval"), "test"),
}


def load_table(
    path: Path, *, columns: Mapping[str, str] | None = None, embeddings: Path | None = None, name: str | None = None
) -> BenchmarkData:
    """The benchmark in a table, through the store: read once, memory-mapped from then on.

    Parameters
    ----------
    columns : column by role, where the names leave a doubt; see ``table_columns.find_columns``.
    embeddings : .npy file, (prompts, d), rows in the order in which prompts first appear in the table.
    name : of the benchmark; the file's, without ``_wide`` or ``_long``, where None.

    Raises
    ------
    MissingDataError : no such file.
    DataError : not such a table; says everything that is wrong with it.
    ParameterError : a role or a column that there is not.
    """
    name = name or re.sub(r"_(wide|long)$", "", stem_of(path))
    options = json.dumps({"columns": dict(sorted((columns or {}).items())), "name": name})
    hashes = [sha256(file, what) for file, what in ((path, "table"), (embeddings, "embeddings")) if file is not None]
    key = store.content_key("table with planes", suffix_of(path), options, *hashes)
    data = store.find(key)
    if data is None:
        try:
            with polars_faults("cannot be made sense of"):
                converted = _converted(path, columns, embeddings, name, key)
            data = store.save(converted)
        except DataError as error:
            raise type(error)(f"{path}: {error}") from error
    # The same content may have been stored from another path; an error should name the one in use.
    return data if data.source == str(path) else replace(data, source=str(path))


@dataclass(frozen=True, eq=False)
class _Table:
    """What a table says, prompts in the order of first appearance."""

    ids: list[str]
    models: list[str]
    scores: NDArray[np.float64]
    texts: list[str] | None
    subsets: list[str] | None
    split: list[str] | None
    embeddings: NDArray[np.float32] | None
    planes: Mapping[str, NDArray[np.float32]]
    doubts: tuple[str, ...]


def _converted(
    path: Path, given: Mapping[str, str] | None, embeddings: Path | None, name: str, key: str
) -> BenchmarkData:
    frame = read_frame(path)
    frame, columns = _layout(frame, given)
    table = _long(frame, columns) if columns.long else _wide(frame, columns)
    shipped = table.embeddings
    if embeddings is not None:
        shipped = read_embeddings(embeddings, len(table.ids))
    scores = ScoreMatrix.from_dense(table.scores, table.ids, table.models, missing=True)
    _check_observed(scores)
    split = _split(table)
    visible = scores.rows(np.sort(np.concatenate([split.train, split.val])))
    # Ascending, as published pools are; without the test prompts, which have no say in anything a router sees.
    ranked = np.argsort(np.nan_to_num(visible.model_means, nan=-1.0), kind="stable")
    pool = CandidatePool(tuple(table.models[i] for i in ranked), STRATEGY)
    return BenchmarkData(
        benchmark=name,
        scores=scores,
        queries=Queries(scores.prompt_ids, shipped, table.texts),
        split=split,
        pools={(STRATEGY, len(pool)): pool},
        split_given=table.split is not None,
        source=str(path),
        data_hash=key,
        subsets=None if table.subsets is None else tuple(table.subsets),
        missing=_unused(columns, table),
        planes=table.planes,
    )


def _unused(columns: TableColumns, table: _Table) -> tuple[str, ...]:
    sentences = []
    if columns.unused:
        shown = ", ".join(columns.unused[:8])
        more = f" and {len(columns.unused) - 8} more" if len(columns.unused) > 8 else ""
        sentences.append(f"{len(columns.unused)} columns are not used: {shown}{more}")
    sentences += table.doubts
    if columns.prompt is None:
        sentences.append("no column has prompt ids, so prompts are counted from 0")
    if table.split is None:
        sentences.append("no column says the split: 80 / 10 / 10 at random within each subset, seed 42")
    return tuple(sentences)


def _layout(frame: pl.DataFrame, given: Mapping[str, str] | None) -> tuple[pl.DataFrame, TableColumns]:
    """The frame with its columns' roles; scores kept as one object per row become a column per model."""
    if frame.height == 0:
        raise DataError("it has no rows")
    ids = idlike(frame)
    objects = _column_of_objects(frame, given)
    if objects is None:
        columns = find_columns(frame.columns, ids, given)
    else:
        models = frame[objects].struct.fields
        clash = sorted(set(models) & set(frame.columns))
        if clash:
            raise DataError(f"models in {objects!r} have names of columns: {', '.join(clash[:5])}; rename one")
        frame = frame.unnest(objects)
        rest = {role: name for role, name in (given or {}).items() if role != "score"}
        # The object's keys are models, whatever they are called.
        columns = find_columns([name for name in frame.columns if name not in set(models)], ids, rest)
        columns = replace(columns, models=tuple(models), unused=(*columns.models, *columns.unused))
    if not columns.long and len(columns.models) < 2:
        raise DataError(
            f"{len(columns.models)} columns look like models; at least 2 are needed: either one column per model, or "
            f"a column 'model' and a column 'score' (columns: {', '.join(frame.columns[:12])}); map others with --map"
        )
    return frame, columns


def _column_of_objects(frame: pl.DataFrame, given: Mapping[str, str] | None) -> str | None:
    """The column that holds ``{model: score}`` objects, if there is one."""
    import polars as pl

    names = [given["score"]] if given and "score" in given else ["scores", "score", "records"]
    return next((name for name in names if isinstance(frame.schema.get(name), pl.Struct)), None)


def _wide(frame: pl.DataFrame, columns: TableColumns) -> _Table:
    """One row per prompt."""
    ids = [str(i) for i in range(frame.height)] if columns.prompt is None else names(frame[columns.prompt])
    again = _repeated(ids)
    if again:
        raise DataError(
            f"{len(again)} prompt ids in column {columns.prompt!r} are there more than once (first: {again[0]!r}); "
            "a table with a column per model has one row per prompt"
        )
    scores = numbers(frame.select(columns.models), lambda row, column: f"prompt {ids[row]!r}, model {column!r}")
    planes = {}
    for role, of_model in columns.planes.items():
        planes[role] = [
            (slice(None), column, frame[of_model[name]])
            for column, name in enumerate(columns.models)
            if name in of_model
        ]
    of_prompts = {role: frame[name] for role, name in columns.of_prompts.items()}
    return _table(ids, columns.models, scores, of_prompts, planes)


def _long(frame: pl.DataFrame, columns: TableColumns) -> _Table:
    """One row per prompt and model; prompts without ids are told apart by their texts."""
    by = columns.prompt or columns.text
    assert by is not None
    assert columns.model is not None
    assert columns.score is not None
    prompt_of, ids = numbered(names(frame[by]))
    model_of, models = numbered(names(frame[columns.model]))

    def where(row: int, _: str = "") -> str:
        return f"prompt {ids[prompt_of[row]]!r}, model {models[model_of[row]]!r}"

    if len(models) < 2:
        raise DataError(f"column {columns.model!r} names {len(models)} model; routing needs at least 2")
    _, firsts, counts = np.unique(prompt_of * len(models) + model_of, return_index=True, return_counts=True)
    if (counts > 1).any():
        raise DataError(
            f"{int((counts > 1).sum())} pairs of prompt and model have more than one row "
            f"(first: {where(int(firsts[counts > 1].min()))}); keep one row for each"
        )
    scores = np.full((len(ids), len(models)), np.nan)
    scores[prompt_of, model_of] = numbers(frame.select(columns.score), where)[:, 0]
    of_prompts = {role: one_each(frame[name], prompt_of, ids) for role, name in columns.of_prompts.items()}
    planes = {role: [(prompt_of, model_of, frame[of_model[""]])] for role, of_model in columns.planes.items()}
    return _table(ids if columns.prompt else [str(i) for i in range(len(ids))], models, scores, of_prompts, planes)


def _table(
    ids: list[str],
    models: Sequence[str],
    scores: NDArray[np.float64],
    of_prompts: Mapping[str, pl.Series],
    cells: Mapping[str, Cells],
) -> _Table:
    planes, doubts = filled(cells, scores.shape)
    vectors_of = of_prompts.get("embedding")
    return _Table(
        ids=ids,
        models=list(models),
        scores=scores,
        texts=strings(of_prompts.get("text")),
        subsets=strings(of_prompts.get("subset")),
        split=strings(of_prompts.get("split")),
        embeddings=None if vectors_of is None else vectors(vectors_of, ids),
        planes=planes,
        doubts=tuple(doubts),
    )


def _check_observed(scores: ScoreMatrix) -> None:
    unseen = [name for name, count in zip(scores.model_ids, scores.counts, strict=True) if count == 0]
    if unseen:
        raise DataError(
            f"{len(unseen)} models have no score on any prompt: {', '.join(unseen[:5])}; "
            "leave them out with --map ignore=..."
        )


def _split(table: _Table) -> Split:
    if table.split is None:
        split = Split.stratified(table.subsets or [""] * len(table.ids))
    else:
        parts = [_SPLIT_NAMES.get(name.strip().lower()) for name in table.split]
        odd = sorted({name or "(empty)" for name, part in zip(table.split, parts, strict=True) if part is None})
        if odd:
            raise DataError(
                f"{parts.count(None)} prompts have an unknown split: {', '.join(odd[:5])}; expected train, val or test"
            )
        index = np.asarray(parts)
        split = Split(*(np.flatnonzero(index == part) for part in ("train", "val", "test")))
    for part in ("train", "test"):
        if len(getattr(split, part)) == 0:
            raise DataError(
                f"the {part} split is empty: {len(table.ids)} prompts give {split!r}; "
                "have more prompts, fewer subsets, or a column 'split'"
            )
    return split


def _repeated(ids: Sequence[str]) -> list[str]:
    seen: set[str] = set()
    return [name for name in ids if name in seen or seen.add(name)]  # type: ignore[func-returns-value]

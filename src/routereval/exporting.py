"""Scenarios in formats that others read: the published pickles, Parquet, a Hugging Face dataset folder."""

from __future__ import annotations

import json
import pickle
import re
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from routereval import facts
from routereval.data.benchmark import BenchmarkData
from routereval.data.labels import pool_labels
from routereval.errors import DataError, ParameterError

if TYPE_CHECKING:
    import polars as pl

PARTS = ("train", "val", "test")
LARGEST_EASY = 5


def export(data: BenchmarkData, format_: str, out: Path) -> Path:
    """Write a benchmark's scenarios; returns the file or folder that was made.

    Parameters
    ----------
    format_ : ``official`` (one ``{benchmark}_router_dataset.pkl``, as published), ``parquet`` (a folder with
        ``scores.parquet``, ``embeddings.npy``, ``pools.json`` and a ``plane_NAME.parquet`` for each plane, prompts x
        models as the scores) or ``hf`` (a dataset folder with a card; a plane is a column as the scores are). The
        published format has no place for planes: costs, tokens and times are left out there.

    Raises
    ------
    ParameterError : no such format.
    DataError : it is there already, cannot be written, or holds what the format has no place for.
    """
    if format_ not in FORMATS:
        raise ParameterError(f"unknown format {format_!r}; expected one of {', '.join(FORMATS)}")
    name, write = FORMATS[format_]
    target = out / name.format(benchmark=data.benchmark)
    if target.exists():
        raise DataError(f"{target} is there already; remove it, or write somewhere else")
    try:
        out.mkdir(parents=True, exist_ok=True)
        # Beside, then renamed: nobody finds half of it.
        temporary = Path(tempfile.mkdtemp(prefix=".new-", dir=out))
        try:
            made = temporary / target.name
            write(data, made)
            made.rename(target)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    except OSError as error:
        raise DataError(f"cannot write {target}: {error.strerror or error}") from error
    return target


def official_contents(data: BenchmarkData) -> dict[str, Any]:
    """The dictionary of a published router dataset; planes are left out, because the format has no place for them.

    Raises
    ------
    DataError : a pool whose strategy the format cannot name, or missing cells, which it cannot say.
    """
    if not data.scores.complete:
        raise DataError(f"{data.benchmark} has missing cells, and the published format has no way to say so")
    bad = sorted({strategy for strategy, _ in data.pools if not re.fullmatch(r"[A-Za-z]\w{0,63}", strategy, re.ASCII)})
    if bad:
        raise DataError(f"the published format names strategies by letters, digits and _, not {', '.join(bad)}")
    index = {part: getattr(data.split, part) for part in PARTS}
    contents: dict[str, Any] = {"easy": {}, "hard": {}}
    for (strategy, m), pool in data.pools.items():
        of_pool = data.scores.models(pool.model_ids)
        scores: dict[str, NDArray[Any]] = {
            f"{part}_score": of_pool.rows(index[part]).dense().astype(np.float64) for part in PARTS
        }
        if not data.scores.binary:
            shipped = data.train_labels.get((strategy, m))
            labels = pool_labels(of_pool.rows(index["train"]).dense()) if shipped is None else shipped
            scores["train_label"] = np.asarray(labels, dtype=np.float64)
        level = contents["easy" if m <= LARGEST_EASY else "hard"]
        level.setdefault(m, {})[strategy] = {"data": scores, "model": np.array(pool.model_ids)}
    ids = data.queries.ids
    numbered = all(name.isdecimal() for name in ids)
    contents["split_index"] = {
        f"{part}_indices": np.array([int(ids[i]) for i in index[part]] if numbered else index[part]) for part in PARTS
    }
    queries = {part: data.queries.take(index[part]) for part in PARTS}
    if data.queries.embeddings is not None:
        contents["embedding"] = {f"{part}_embed": np.asarray(queries[part].embeddings) for part in PARTS}
    if data.queries.texts is not None:
        contents["prompt"] = {
            f"{part}_prompt": np.array(list(queries[part].texts or ()), dtype=object) for part in PARTS
        }
    return contents


def _official(data: BenchmarkData, target: Path) -> None:
    with target.open("wb") as file:
        pickle.dump(official_contents(data), file, protocol=4)


def _parquet(data: BenchmarkData, target: Path) -> None:
    import polars as pl

    target.mkdir()
    files = {"scores": data.scores.dense(), **{f"plane_{name}": data.planes[plane] for name, plane in _names(data)}}
    for name, values in files.items():
        cells = pl.DataFrame(np.asarray(values), schema=list(data.scores.model_ids), orient="row", nan_to_null=True)
        _about_prompts(data).hstack(cells).write_parquet(target / f"{name}.parquet")
    if data.queries.embeddings is not None:
        np.save(target / "embeddings.npy", np.asarray(data.queries.embeddings))
    _write_pools(data, target)


def _hugging_face(data: BenchmarkData, target: Path) -> None:
    import polars as pl

    (target / "data").mkdir(parents=True)
    rows = _about_prompts(data).drop("split")
    cells = {"scores": data.scores.dense(), **{f"plane_{name}": data.planes[plane] for name, plane in _names(data)}}
    kind = pl.Array(pl.Float32, data.scores.shape[1])
    for column, values in cells.items():
        rows = rows.with_columns(pl.Series(column, np.ascontiguousarray(values), dtype=kind).arr.to_list())
    if data.queries.embeddings is not None:
        vectors = np.asarray(data.queries.embeddings)
        embedding = pl.Series("embedding", vectors, dtype=pl.Array(pl.Float32, vectors.shape[1])).arr.to_list()
        rows = rows.with_columns(embedding)
    names = {"train": "train", "val": "validation", "test": "test"}
    for part, name in names.items():
        rows[np.asarray(getattr(data.split, part))].write_parquet(target / "data" / f"{name}.parquet")
    _write_pools(data, target)
    (target / "README.md").write_text(_card(data, names), encoding="utf-8")


def _names(data: BenchmarkData) -> list[tuple[str, str]]:
    """Each plane's name as part of a file's or a column's, and the name itself."""
    named: dict[str, str] = {}
    for plane in data.planes:
        name = re.sub(r"[^\w.-]+", "_", plane, flags=re.ASCII)
        named[f"{name}_{len(named)}" if name in named else name] = plane
    return list(named.items())


def _about_prompts(data: BenchmarkData) -> pl.DataFrame:
    import polars as pl

    part_of = np.empty(len(data.queries), dtype=object)
    part_of[:] = ""
    for part in PARTS:
        part_of[getattr(data.split, part)] = part
    columns: dict[str, Any] = {"prompt_id": list(data.queries.ids)}
    if data.queries.texts is not None:
        columns["prompt"] = list(data.queries.texts)
    if data.subsets is not None:
        columns["subset"] = list(data.subsets)
    return pl.DataFrame(columns | {"split": list(part_of)})


def _write_pools(data: BenchmarkData, target: Path) -> None:
    pools = [{"strategy": s, "m": m, "models": list(pool.model_ids)} for (s, m), pool in data.pools.items()]
    about = {
        "benchmark": data.benchmark,
        "models": list(data.scores.model_ids),
        "pools": pools,
        "planes": dict(_names(data)),
        "pools_saw_test_prompts": data.pools_saw_test,
        "reference_model": data.reference_model,
        "reference_score": data.reference_score,
        "notes": list(data.missing),
    }
    (target / "pools.json").write_text(json.dumps(about, indent=1), encoding="utf-8")


def _card(data: BenchmarkData, names: Mapping[str, str]) -> str:
    files = "".join(f"  - split: {name}\n    path: data/{name}.parquet\n" for name in names.values())
    known = facts.benchmarks().get(data.benchmark)
    sizes = ", ".join(f"{len(getattr(data.split, part))} {name}" for part, name in names.items())
    columns = [
        "- `prompt_id`",
        *(["- `prompt`: its text"] if data.queries.texts is not None else []),
        *(["- `subset`"] if data.subsets is not None else []),
        "- `scores`: what each model scored, in the order of `models` in `pools.json`; null or NaN where not observed",
        *(f"- `plane_{name}`: {plane} of each model on the prompt, in the same order" for name, plane in _names(data)),
        *(["- `embedding`"] if data.queries.embeddings is not None else []),
    ]
    about = [
        # The name alone: a card is passed on, and where the file lay is nobody's business.
        f"Source: {PurePath(data.source).name}." + (" The data are synthetic, made up." if data.synthetic else ""),
        "Embeddings: none."
        if data.queries.embeddings is None
        else "Embeddings: those that came with the data."
        if data.encoder == "shipped"
        else f"Embeddings: {data.encoder}.",
        "Pools: test prompts had a say in picking them, as in the paper's protocol; mu is not that of new prompts."
        if data.pools_saw_test
        else "Pools: picked without looking at a test prompt.",
        "Licences: scores, prompts and embeddings are others' work and have licences of their own; look at their "
        "sources before you pass them on. This card grants none.",
        *(f"Note: {note}." for note in data.missing),
    ]
    citation = f"\nCite: {known.citation}\n" if known else ""
    return (
        f"---\nconfigs:\n- config_name: default\n  data_files:\n{files}tags:\n- llm-routing\n---\n\n"
        f"# {known.title if known else data.benchmark}: scores of {data.scores.shape[1]} language models\n\n"
        f"{len(data.queries)} prompts ({sizes}), {len(data.pools)} candidate pools in `pools.json`. "
        "Which model should answer each prompt?\n\n"
        + "\n".join(columns)
        + "\n\n"
        + "\n\n".join(about)
        + f"\n{citation}"
    )


Writer = Callable[[BenchmarkData, Path], None]

FORMATS: dict[str, tuple[str, Writer]] = {
    "official": ("{benchmark}_router_dataset.pkl", _official),
    "parquet": ("{benchmark}", _parquet),
    "hf": ("{benchmark}", _hugging_face),
}
"""Each format's name for what it makes, and what writes it."""

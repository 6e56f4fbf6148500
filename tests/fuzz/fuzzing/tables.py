"""Readers of tables: scores of one's own, predictions, metadata of models, prompts."""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from fuzzing.files import Files
from fuzzing.reader import Reader, array_file, first, json_lines, lines_of, own_home, together, used
from routereval.data.conditions import models_where
from routereval.data.queries import Queries
from routereval.data.scenario import CandidatePool, Partition, Scenario
from routereval.data.scores import ScoreMatrix
from routereval.sources.model_metadata import load_metadata
from routereval.sources.predictions import match_predictions, read_predictions
from routereval.sources.prompts import read_prompts
from routereval.sources.table_columns import parse_roles
from routereval.sources.table_files import read_embeddings
from routereval.sources.tables import load_table

MODELS = ("a", "b/c", "d e")
_N = 14


def _cells() -> list[dict[str, Any]]:
    rng = np.random.default_rng(0)
    return [
        {
            "prompt_id": f"p{i}",
            "prompt": f"what is {i}, really?",
            "subset": "xy"[i % 2],
            "split": ("train", "train", "val", "test")[i % 4],
            "model": name,
            "score": int(rng.integers(2)),
            "cost": round(float(rng.random()), 3),
        }
        for i in range(_N)
        for name in MODELS
    ]


def _wide() -> list[dict[str, Any]]:
    rows: dict[str, dict[str, Any]] = {}
    for cell in _cells():
        row = rows.setdefault(cell["prompt_id"], {"sample_id": cell["prompt_id"], "eval_name": cell["subset"]})
        row[cell["model"]] = cell["score"] / 2
        row[f"{cell['model']}|total_cost"] = cell["cost"]
    return list(rows.values())


def _csv(rows: list[dict[str, Any]], separator: str = ",") -> bytes:
    import polars as pl

    return pl.DataFrame(rows).write_csv(separator=separator).encode()


def _parquet(rows: list[dict[str, Any]], **options: Any) -> bytes:
    import polars as pl

    out = io.BytesIO()
    pl.DataFrame(rows).write_parquet(out, **options)
    return out.getvalue()


def _read_table(*patterns: str) -> Callable[[Path], None]:
    def read(place: Path) -> None:
        own_home(place)
        path = first(place, *patterns)
        if path is None:
            return
        embeddings = place / "embeddings.npy"
        roles = parse_roles(lines_of(first(place, "map.txt")))
        used(load_table(path, columns=roles, embeddings=embeddings if embeddings.is_file() else None))

    return read


def _csv_seeds(_: Path) -> list[Files]:
    renamed = [{"q": row["prompt_id"], "m": row["model"], "s": row["score"]} for row in _cells()]
    vectors = array_file(np.random.default_rng(1).normal(size=(_N, 3)).astype(np.float32))
    return [
        {"t.csv": _csv(_cells())},
        {"t_wide.csv": _csv(_wide())},
        {"t.tsv": _csv(_cells(), "\t")},
        {"t.csv.gz": gzip.compress(_csv(_wide()), 1, mtime=0)},
        {"t.csv": _csv(renamed), "map.txt": b"prompt=q\nmodel=m\nscore=s\n", "embeddings.npy": vectors},
        {"t.csv": _csv(_wide()), "map.txt": b"prompt=sample_id\nmodels=a,b/c,d*\nignore=eval_name\ncost=total_cost\n"},
    ]


def _json_seeds(_: Path) -> list[Files]:
    objects = [{"id": f"p{i}", "scores": {"a": i % 2, "b": 1, "c": None if i == 3 else 0.5}} for i in range(_N)]
    vectors = [{"query": [{"role": "user", "content": f"q {i}"}], "id": i, "m1": True, "m2": i / 20} for i in range(_N)]
    embedded = [row | {"embedding": [0.1, i / 3, -2]} for i, row in enumerate(_wide())]
    texts = [{"text": row["prompt"], "llm": row["model"], "acc": row["score"]} for row in _cells()]
    return [{"t.jsonl": json_lines(rows)} for rows in (_cells(), _wide(), objects, vectors, embedded, texts)]


def _parquet_seeds(_: Path) -> list[Files]:
    objects = [{"id": f"p{i}", "scores": {"a": i % 2, "b": 1}, "embedding": [0.5, float(i)]} for i in range(_N)]
    return [
        {"t.parquet": _parquet(_cells())},
        {"t.parquet": _parquet(_wide(), compression="uncompressed")},
        {"t.parquet": _parquet(objects, compression="snappy"), "map.txt": b"prompt=id\n"},
        {"t.parquet": _parquet(_cells(), compression="gzip", row_group_size=10, statistics=True)},
    ]


@lru_cache(maxsize=1)
def _scenario() -> Scenario:
    def part(name: str, n: int) -> Partition:
        ids = tuple(f"{name}{i}" for i in range(n))
        return Partition(Queries(ids), ScoreMatrix.from_dense(np.eye(n, len(MODELS)), ids, MODELS))

    return Scenario("t/all/3", CandidatePool(MODELS, "all"), part("p", 4), None, part("q", 3))


def _read_predictions(place: Path) -> None:
    path = first(place, "predictions.*")
    if path is not None:
        for prediction in match_predictions(read_predictions(path), {"t/all/3": _scenario()}).values():
            prediction.check(3, len(MODELS))


def _prediction_seeds(_: Path) -> list[Files]:
    named = [{"scenario": "t/all/3", "prompt": f"q{i}"} for i in range(3)]
    choices = [row | {"choice": MODELS[i]} for i, row in enumerate(named)]
    scores = [row | {"scores": dict.fromkeys(MODELS, 0.25) | {MODELS[i]: 1}} for i, row in enumerate(named)]
    cells = [row | {"model": name, "score": 0.5} for row in named for name in MODELS]
    return [
        {"predictions.csv": _csv(choices)},
        {"predictions.jsonl": json_lines(scores)},
        {"predictions.jsonl": json_lines(choices)},
        {"predictions.csv": _csv(cells)},
        {"predictions.tsv": _csv(cells, "\t")},
        {"predictions.parquet": _parquet(scores)},
        {"predictions.csv.gz": gzip.compress(_csv(choices), 1, mtime=0)},
    ]


def _read_metadata(place: Path) -> None:
    path = first(place, "models.*")
    if path is not None:
        known = load_metadata(path)
        models_where(MODELS, known, lines_of(first(place, "where.txt"))[:1])


def _metadata_seeds(_: Path) -> list[Files]:
    rows = [
        {"model": name, "params_b": 7.0 * i, "family": "llama"[:i], "released": f"2024-0{i + 1}-01", "open": i > 1}
        for i, name in enumerate(MODELS)
    ]
    wheres = (b"params_b<=13", b"family!=llama", b"released>2024-01-15", b"model~*", b"open!=true")
    files = {"models.csv": _csv(rows), "models.jsonl": json_lines(rows), "models.parquet": _parquet(rows)}
    return [{name: content, "where.txt": where} for name, content in files.items() for where in wheres]


def _read_prompts(place: Path) -> None:
    path = first(place, "prompts.*")
    if path is not None:
        assert all(isinstance(prompt, str) for prompt in read_prompts([], path, io.StringIO()))
    if (place / "vectors.npy").is_file():
        assert read_embeddings(place / "vectors.npy", 3).dtype == np.float32


def _prompt_seeds(_: Path) -> list[Files]:
    vectors = {"vectors.npy": array_file(np.eye(3, 4, dtype=np.float32))}
    return [
        {"prompts.txt": "one\n\ntwo é\nthree\r\n".encode()} | vectors,
        {"prompts.jsonl": json_lines(["one", {"prompt": "two\nlines"}, {"query": "three"}])} | vectors,
        {"vectors.npy": array_file(np.asfortranarray(np.ones((3, 2), dtype=np.int16)))},
    ]


READERS = (
    Reader("tables-csv", _read_table("*.csv", "*.tsv", "*.csv.gz", "*.gz"), _csv_seeds),
    Reader("tables-jsonl", _read_table("*.jsonl", "*.ndjson"), _json_seeds),
    Reader("tables-parquet", _read_table("*.parquet"), _parquet_seeds),
    Reader("predictions", _read_predictions, _prediction_seeds),
    together(
        "prompts-and-metadata",
        Reader("metadata", _read_metadata, _metadata_seeds),
        Reader("prompts", _read_prompts, _prompt_seeds),
    ),
)

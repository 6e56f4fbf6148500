"""Readers of what the package keeps (store, caches, results files, saved routers, downloads) and of what is typed."""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

import routereval as rv
from fuzzing.files import Files, written
from fuzzing.reader import Reader, first, json_lines, lines_of, own_home, read_back, together, used
from fuzzing.tables import READERS as TABLES
from routereval.data import folders
from routereval.data.conditions import models_where
from routereval.data.embedding_cache import EmbeddingCache
from routereval.data.home import home
from routereval.data.seen_files import remember, seen_key
from routereval.encoders import endpoint
from routereval.encoders.spec import EncoderSpec
from routereval.errors import RouterEvalError
from routereval.facts import downloads as published
from routereval.report.rows import json_rows
from routereval.results.curves import CurvePoint, CurveSpec
from routereval.results.merging import merge
from routereval.results.submitted import Submission, put_submission, submissions_in
from routereval.routers import naming
from routereval.routers.catalogue import routers
from routereval.routers.saving import load_router, save_router
from routereval.routing import route
from routereval.sources.downloads import SUMS, download
from routereval.sources.table_columns import find_columns, parse_roles
from routereval.submissions.folder import METADATA, TRAINING, open_folder
from routereval.submissions.metadata import read_metadata, template
from routereval.submissions.near_duplicates import read_own_prompts


def _table(work: Path, seed: int = 0) -> Path:
    """Scores of three models on twenty prompts, with texts and embeddings."""
    path = work / f"scores{seed}.csv"
    (work / "in").mkdir(exist_ok=True)
    rng = np.random.default_rng(seed)
    rows = [
        f"p{i},what is {i},{'ab'[i % 2]},{('train', 'train', 'val', 'test')[i % 4]},"
        + ",".join(map(str, rng.integers(0, 2, 3)))
        for i in range(20)
    ]
    path.write_text("prompt_id,prompt,subset,split,m1,m2,m3\n" + "\n".join(rows) + "\n")
    return path


def _vectors(work: Path) -> Path:
    path = work / "vectors.npy"
    np.save(path, np.random.default_rng(1).normal(size=(20, 3)).astype(np.float32))
    return path


def _read_store(place: Path) -> None:
    own_home(place)
    if not any((place / name).is_file() for name in ("cache.sqlite", "seen.json")):
        used(folders.open_folder(place), checked=False)


def _store_seeds(work: Path) -> list[Files]:
    own_home(work / "in")
    seeds = []
    for reader in TABLES[:2]:
        for i, files in enumerate(reader.seeds(work)):
            place = work / f"{reader.name}{i}"
            place.mkdir()
            written(files, place)
            reader.read(place)
    for folder in sorted((work / "home" / "store").iterdir()):
        seeds.append(read_back(folder))
    return seeds


_CACHE = EmbeddingCache("test", ("test", "1"))
_HASHES = [hashlib.sha256(bytes([i])).digest() for i in range(3)]


def _read_caches(place: Path) -> None:
    own_home(place)
    if (place / "cache.sqlite").is_file():
        _CACHE.path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(place / "cache.sqlite", _CACHE.path)
        found = _CACHE.get(_HASHES)
        assert all(vector.dtype == np.float32 and np.isfinite(vector).all() for vector, _ in found.values())
        assert isinstance(_CACHE.limit, str)
        _CACHE.put(_HASHES[:1], np.ones((1, 2), dtype=np.float32), np.zeros(1, dtype=np.bool_), "")
    if (place / "seen.json").is_file():
        marker = place / "marker"
        marker.write_bytes(b"")
        remember(marker, "", "key")
        for note in (home() / "seen").iterdir():
            shutil.copyfile(place / "seen.json", note)
        assert isinstance(seen_key(marker), str | None)


def _cache_seeds(work: Path) -> list[Files]:
    own_home(work / "in")
    _CACHE.put(_HASHES[:2], np.ones((2, 2), dtype=np.float32), np.zeros(2, dtype=np.bool_), "512 tokens")
    note = {"path": "marker", "member": "", "stamp": [2, 0, 0, 0, 0], "key": "key"}
    return [{"cache.sqlite": _CACHE.path.read_bytes()}, {"seen.json": json.dumps(note).encode()}]


def _read_results(place: Path) -> None:
    own_home(place)
    path = place / "results.sqlite"
    if not path.is_file():
        return
    with rv.ResultStore(path, create=False) as kept:
        _looked_at(kept)
    for submission in submissions_in(path):
        repr((submission.authors, submission.links, submission.key))
    # Once more as somebody who adds to it: an older format is brought up to date.
    with rv.ResultStore(path) as kept:
        _looked_at(kept)


def _looked_at(kept: rv.ResultStore) -> None:
    assert all(isinstance(key, str) for key in kept.done())
    runs = kept.runs()
    assert len(kept.runs(outcomes=False)) == len(runs)
    json.dumps(json_rows(runs))
    for run in runs:
        repr((run.spec.key, run.spec.benchmark, run.spec.m, str(run.tuning)))
        assert all(isinstance(value, float) for value in run.metrics.values()), "a metric that is no number"
        if run.outcome is not None:
            n, m = len(run.outcome.prompt_ids), len(run.outcome.model_ids)
            assert run.outcome.counted.shape == (n,) and run.outcome.share.shape == (m,), "shapes of an outcome"
            assert all(column.shape == (n,) for column in run.outcome.columns.values()), "shapes of columns"
            assert run.outcome.choices is None or run.outcome.choices.shape == (n,), "shapes of choices"
            assert run.outcome.choices is None or (run.outcome.choices < m).all(), "a choice that is no model"
    for record in kept.records().values():
        n, m = len(record.prompt_ids), len(record.model_ids)
        assert record.scores.dense().shape == (n, m), "shape of a record's scores"
        assert record.clusters.shape == (n,) and record.train_means.shape == (m,), "shapes of a record"
        assert record.subsets is None or len(record.subsets) == n, "subsets of a record"
    for point in kept.all_points():
        repr((point.spec.key, point.m, float(point.means.sum())))


def _results(work: Path, seed: int, suites: Iterable[str]) -> bytes:
    own_home(work / "in")
    path = work / f"results{seed}.sqlite"
    rv.run([str(_table(work, seed))], list(suites), results=path, encoder="hashing:dimensions=4", seeds=[seed])
    with rv.ResultStore(path) as kept:
        spec = CurveSpec("t", "oracle", {}, "none", "strict", "all", 3, 0, "x")
        kept.put_points([CurvePoint(spec, m, np.arange(3.0), 0.5) for m in (1, 2)])
    about = {"authors": ["A B"], "url": "https://example.org/x", "open": True}
    put_submission(path, Submission("file:mine", "0" * 64, about, ("a warning",)))
    # Whatever is still in the journal goes into the file.
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
    return path.read_bytes()


def _result_seeds(work: Path) -> list[Files]:
    return [{"results.sqlite": _results(work, 0, ["best_single", "knn", "oracle"])}]


def _read_merging(place: Path) -> None:
    own_home(place)
    paths = sorted(place.glob("*.sqlite"))
    if paths:
        merge(paths, place / "out" / "merged.db", None)
        merge(paths, place / "merged.db", "newest")
        with rv.ResultStore(place / "merged.db", create=False) as kept:
            kept.runs()


def _merging_seeds(work: Path) -> list[Files]:
    one, other = (_results(work, seed, routers) for seed, routers in enumerate((["best_single", "oracle"], ["knn"])))
    return [{"a.sqlite": one, "b.sqlite": other}, {"a.sqlite": one, "b.sqlite": one}]


def _read_saved(place: Path) -> None:
    own_home(place)
    saved = load_router(place)
    dimensions = saved.about.get("dimensions")
    width = dimensions if isinstance(dimensions, int) and 0 < dimensions < 100 else 3
    for one in route(saved, ["a prompt"], embeddings=np.ones((1, width), dtype=np.float32)):
        assert one.model in saved.model_ids


def _saved_seeds(work: Path) -> list[Files]:
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import Ridge

    own_home(work / "in")
    scenario = rv.load_table(_table(work), embeddings=_vectors(work)).scenario("all", 3)
    fitted: list[Any] = ["knn", "ridge", "best_single", "kmeans", "elo", "mf", "logistic", "forest"]
    estimators = [rv.SklearnRouter(Ridge()), rv.SklearnRouter(RandomForestClassifier(2, max_depth=2, random_state=0))]
    seeds = []
    for i, router in enumerate([*map(naming.router_named, fitted), *estimators]):
        kept = rv.fit_router(router, scenario)
        save_router(kept.router, work / f"saved{i}", model_ids=kept.model_ids, about=kept.about)
        seeds.append(read_back(work / f"saved{i}"))
    return seeds


def _read_downloads(place: Path) -> None:
    if (place / SUMS).is_file() or (place / "mirror").is_dir():
        for file in ("other/new.zip", next(iter(published().sha256))):
            download(file, place, mirror=place / "mirror")


def _download_seeds(_: Path) -> list[Files]:
    digest = hashlib.sha256(b"x").hexdigest()
    return [
        {SUMS: f"{digest}  other/new.zip\n".encode(), "mirror/other/new.zip": b"x"},
        {SUMS: f"{digest}  other/new.zip\n{digest}  b.zip\n".encode(), "other/new.zip": b"x"},
    ]


def _read_answer(place: Path) -> None:
    path = first(place, "answer.json")
    if path is not None:
        assert len(endpoint._message(path.read_bytes())) <= 300
        endpoint._asked_to_wait(path.read_bytes().decode("latin-1")[:50], 1.0)
        vectors = endpoint._vectors(path.read_bytes(), 2, "http://localhost/v1")
        assert vectors.dtype == np.float32 and vectors.shape[0] == 2


def _answer_seeds(_: Path) -> list[Files]:
    answer = {"object": "list", "data": [{"index": i, "embedding": [0.5, i]} for i in (1, 0)], "usage": {"total": 3}}
    errors: list[Any] = [{"error": {"message": "busy", "code": 429}}, {"error": "no"}, [1]]
    return [{"answer.json": json.dumps(one).encode()} for one in (answer, *errors)]


def _read_submission(place: Path) -> None:
    if not any((place / name).exists() for name in (*METADATA, *TRAINING)):
        return
    folder = open_folder(place)
    if folder.metadata is not None:
        said, problems = read_metadata(folder.metadata)
        assert (said is None) == bool(problems), "a description that is read and is wrong"
        assert all(isinstance(problem, str) for problem in problems), "problems"
        repr(said)
    if folder.training is not None:
        own = read_own_prompts(folder.training)
        assert all(isinstance(text, str) for text in own.texts), "texts that are none"
        assert own.embeddings is None or own.embeddings.shape[0] == len(own), "embeddings of others"


def _submission_seeds(_: Path) -> list[Files]:
    said = {
        "router": "mine",
        "authors": ["A B"],
        "contact": "https://example.org",
        "description": "Learns from prompts.",
        "protocol": "strict",
        "encoder": "none",
        "training_data": "nothing else",
        "date": "2026-01-31",
        "test_prompts_seen": False,
        "scenarios": ["gsm8k/*/5"],
        "claims": {"gsm8k/all_strong/5": {"mu": 0.713}},
    }
    own = [{"text": f"a prompt {i}", "embedding": [0.5, i]} for i in range(3)]
    return [
        {"submission.json": json.dumps(said).encode(), "training_prompts.jsonl": json_lines(own)},
        {"submission.toml": template().encode(), "training_prompts.jsonl": json_lines(["one", "two"])},
    ]


def _read_words(place: Path) -> None:
    """What is typed on a command line: each line its own word, and none keeps the others from being read."""
    failed = None
    for line in lines_of(first(place, "words.txt")):
        try:
            _word(line)
        except RouterEvalError as error:
            failed = error
    if failed is not None:
        raise failed


def _word(line: str) -> None:
    kind, _, text = line.partition(" ")
    names = ("prompt_id", "model", "score", "a|total_cost", "a", "b")
    if kind == "router":
        for one in naming.split_names(text):
            name, params = naming.parse(one)
            # An import path is a program that whoever types it means to run.
            if name in routers():
                naming.build(name, params)
    elif kind == "encoder":
        EncoderSpec.parse(text).build()
    elif kind == "where":
        models_where(("a", "b"), {"a": {"size": 1, "day": "2024-01-01"}, "b": {"size": "2", "day": None}}, [text])
    elif kind == "map":
        find_columns(names, names[:1], parse_roles(text.split(" ")))


def _word_seeds(_: Path) -> list[Files]:
    lines = [
        *(
            "router knn:k=50,ties=train_mean",
            "router mlp:hidden=64",
            "router (knn:k=40+ridge:alpha=1e+3)",
            "router elo",
        ),
        *("router forest:trees=5", "router auto", "router stack:routers=(knn+ridge)", "encoder hashing:dimensions=64"),
        *("encoder st:BAAI/bge-small-en-v1.5,keep=first", "encoder openai:model=a,url=http://localhost:8000/v1"),
        *(
            "encoder tfidf_svd:dimensions=8",
            "where size<=13",
            "where model~a*",
            "where day>=2024-01-01",
            "where size!=2",
        ),
        *("map prompt=prompt_id model=model score=score", "map models=a,b ignore=score,model cost=total_cost"),
    ]
    return [{"words.txt": "\n".join(lines).encode()}, *({"words.txt": line.encode()} for line in lines)]


READERS = (
    together("store", Reader("store", _read_store, _store_seeds), Reader("caches", _read_caches, _cache_seeds)),
    Reader("results", _read_results, _result_seeds),
    Reader("merging", _read_merging, _merging_seeds),
    Reader("saved-routers", _read_saved, _saved_seeds),
    together(
        "words-and-answers",
        Reader("words", _read_words, _word_seeds),
        Reader("answers", _read_answer, _answer_seeds),
        Reader("downloads", _read_downloads, _download_seeds),
        Reader("submissions", _read_submission, _submission_seeds),
    ),
)

"""The published leaderboards: what every model scored on every prompt, with prompts and embeddings beside it.

``leaderboard_{old,new,mmlu_pro}.pkl`` holds all benchmarks of one list of models, or any part of them. Each benchmark
is converted once into the store, without pools; :mod:`routereval.data.building` cuts scenarios out of it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from routereval import facts
from routereval.data import store
from routereval.data.benchmark import BenchmarkData
from routereval.data.queries import Queries
from routereval.data.scores import ScoreMatrix, pack
from routereval.data.seen_files import remember, seen_key
from routereval.data.split import Split
from routereval.errors import DataError, MissingDataError
from routereval.sources.archives import FileKind, Location, find, opened
from routereval.sources.full_data_values import is_list
from routereval.sources.router_dataset_fields import fault_of_scores, mapping, raise_all, strings
from routereval.sources.unpickling import unpickle

_KEYS = "old|new|mmlu_pro"
SCORES = FileKind("leaderboard_score", rf"leaderboard_(?P<key>{_KEYS})\.pkl")
PROMPTS = FileKind("leaderboard_prompt", rf"leaderboard_(?P<key>{_KEYS})_prompt\.pkl")
EMBEDDINGS = FileKind("leaderboard_embed", rf"leaderboard_(?P<key>(?:{_KEYS})_embed/[^/]+)_result\.pkl", depth=1)

PREFERRED = ("RoBERTa", "sentence_bert", "RoBERTa_last", "longformer")
"""Which of the published embeddings is taken where several are there; the published routers use the first."""


def benchmarks(root: Path) -> dict[str, str]:
    """The benchmarks that a folder's leaderboard files hold, with the leaderboard of each.

    A score file that was not seen before is converted into the store for that.
    """
    found = {}
    for leaderboard, where in find(SCORES, root).items():
        for key in _index(leaderboard, where, root):
            found[key] = leaderboard
    return found


def load(key: str, root: Path, encoder: str | None = None) -> BenchmarkData:
    """Scores of all models of a leaderboard on one benchmark, with the published split and without pools.

    Parameters
    ----------
    encoder : which of the published embeddings to take, where they are there; the preferred ones where None.

    Raises
    ------
    MissingDataError : no leaderboard file, or one without this benchmark.
    UnsafeFileError, DataError : a file that is more than data, damaged, or does not make sense.
    """
    published = facts.benchmarks()
    leaderboard = published[key].leaderboard if key in published else None
    locations = find(SCORES, root)
    if leaderboard not in locations:
        raise MissingDataError(
            f"no leaderboard file with {key!r} in {root}; expected leaderboard_{leaderboard or 'old'}.pkl, loose or in "
            "leaderboard_score.zip"
        )
    assert leaderboard is not None
    keys = _index(leaderboard, locations[leaderboard], root)
    if key not in keys:
        raise MissingDataError(f"{locations[leaderboard]} has no prompts of {key}; it has: {', '.join(keys)}")
    data = store.find(keys[key])
    assert data is not None
    named = data if data.source == str(locations[leaderboard]) else replace(data, source=str(locations[leaderboard]))
    return named if encoder is None else with_embeddings(named, root, encoder)


def with_embeddings(data: BenchmarkData, root: Path, encoder: str) -> BenchmarkData:
    """A published benchmark with the published embeddings of this name, through the store, under a key of its own.

    Everything else stays, so that the same scenarios can be run on several embeddings. Prompts are told apart by their
    numbers in the whole benchmark, which leaderboards and router datasets have.

    Parameters
    ----------
    encoder : the name of a file ``{encoder}_result.pkl``; without one, the data come back as they are.

    Raises
    ------
    DataError : the embeddings are of other prompts.
    """
    benchmark = facts.benchmarks().get(data.benchmark)
    where = None if benchmark is None else embeddings_of(benchmark.leaderboard, root).get(encoder)
    if benchmark is None or where is None or encoder == data.encoder:
        return data
    note = f"{where.member}#sha256"
    digest = seen_key(where.path, note)
    if digest is None:
        digest = _digest(where)
        remember(where.path, note, digest)
    key = store.content_key("embeddings", data.data_hash, encoder, digest)
    found = store.find(key)
    if found is not None:
        return replace(found, source=data.source)
    by_subset = _by_subset(where, "embeddings")
    parts = [by_subset[name] for name in benchmark.subsets if len(by_subset.get(name, ()))]
    if not parts:
        return data
    rows = _vectors(parts, where)
    # Without numbers in the whole benchmark it cannot be said which embedding is whose.
    numbers = [int(i) if i.isdecimal() else -1 for i in data.queries.ids]
    if sorted(numbers) != list(range(len(rows))):
        raise DataError(
            f"{where} has embeddings of {len(rows)} prompts of {data.benchmark}, "
            f"{data.source} has {len(numbers)} others"
        )
    queries = replace(data.queries, embeddings=rows[numbers])
    notes = tuple(one for one in data.missing if "embedding" not in one)
    return store.save(replace(data, queries=queries, encoder=encoder, data_hash=key, missing=notes, store_dir=None))


def embeddings_of(leaderboard: str, root: Path) -> dict[str, Location]:
    """The published embeddings of a leaderboard by encoder, the preferred one first."""
    prefix = f"{leaderboard}_embed/"
    found = {key.removeprefix(prefix): where for key, where in find(EMBEDDINGS, root).items() if key.startswith(prefix)}
    order = [*PREFERRED, *sorted(found)]
    return {name: found[name] for name in dict.fromkeys(order) if name in found}


def _index(leaderboard: str, where: Location, root: Path) -> Mapping[str, str]:
    """The benchmarks in a score file with the key of each in the store; converted where that has not happened."""
    files = _Files(where, find(PROMPTS, root).get(leaderboard), *_first(embeddings_of(leaderboard, root)))
    note = f"{where.member}#{files.beside}"
    known = seen_key(where.path, note)
    if known:
        keys = dict(pair.split("=") for pair in known.split(","))
        if all(store.find(key) for key in keys.values()):
            return keys
    keys = _convert(leaderboard, files)
    remember(where.path, note, ",".join(f"{name}={key}" for name, key in keys.items()))
    return keys


def _first(found: Mapping[str, Location]) -> tuple[str | None, Location | None]:
    return next(iter(found.items()), (None, None))


@dataclass(frozen=True)
class _Files:
    """The files of one leaderboard."""

    scores: Location
    prompts: Location | None
    encoder: str | None
    embeddings: Location | None

    @property
    def beside(self) -> str:
        """What stands beside the scores, with what would show that it changed."""
        stamps = [
            (str(where.path.resolve()), where.member, where.path.stat().st_mtime_ns)
            for where in (self.prompts, self.embeddings)
            if where
        ]
        return hashlib.sha256(json.dumps(stamps).encode()).hexdigest()


def _convert(leaderboard: str, files: _Files) -> dict[str, str]:
    digests = [_digest(where) for where in (files.scores, files.prompts, files.embeddings) if where is not None]
    texts = _by_subset(files.prompts, "prompts")
    embeddings = _by_subset(files.embeddings, "embeddings")
    with opened(files.scores) as (file, size):
        unpickled = unpickle(file, str(files.scores), size)
    try:
        raw = mapping(unpickled, "the file", "a dictionary with 'model' and 'data'")
        # tinyBenchmarks' files, of the same layout, say "models".
        models = strings(raw.get("model", raw.get("models")), "'model'")
        subsets = mapping(raw.get("data"), "'data'", "a dictionary of subsets")
        known = {name: b for b in facts.benchmarks().values() if b.leaderboard == leaderboard for name in b.subsets}
        strangers = [name for name in subsets if name not in known]
        if strangers:
            raise DataError(f"{len(strangers)} subsets belong to no benchmark of it: {', '.join(strangers[:5])}")
        keys = {}
        for benchmark in {b.key: b for b in known.values()}.values():
            if sum(len(_correctness(subsets, name)) for name in benchmark.subsets if name in subsets):
                key = store.content_key("leaderboard", benchmark.key, *digests)
                if store.find(key) is None:
                    # Popped, so that what is packed already takes no memory any more.
                    parts = {name: _correctness(subsets, name) for name in benchmark.subsets if name in subsets}
                    for name in parts:
                        subsets.pop(name)  # type: ignore[attr-defined]
                    store.save(_benchmark(benchmark, models, parts, texts, embeddings, files, key))
                keys[benchmark.key] = key
    except DataError as error:
        raise DataError(f"{files.scores}: {error}") from error
    if not keys:
        raise DataError(f"{files.scores} holds no prompts; expected some of {', '.join(known)}")
    return keys


def _benchmark(
    benchmark: facts.BenchmarkFacts,
    models: list[str],
    parts: dict[str, NDArray[Any]],
    texts: Mapping[str, Any],
    embeddings: Mapping[str, Any],
    files: _Files,
    key: str,
) -> BenchmarkData:
    missing = []
    sizes = {name: len(parts[name]) for name in benchmark.subsets if name in parts}
    for name, complete in benchmark.subsets.items():
        if sizes.get(name, 0) != complete:
            missing.append(f"subset {name} has {sizes.get(name, 0)} of its {complete} prompts")
    subsets = tuple(name for name, n in sizes.items() for _ in range(n))
    raise_all(
        f"subset {name}: {fault}"
        for name, part in parts.items()
        if len(part) and (fault := fault_of_scores(part, models))
    )
    ids = tuple(map(str, range(len(subsets))))
    scores = _scores(parts, ids, tuple(models))
    found_texts = _joined(texts, sizes, "text", missing)
    found_embeddings = _joined(embeddings, sizes, "embedding", missing)
    return BenchmarkData(
        benchmark=benchmark.key,
        scores=scores,
        queries=Queries(
            ids,
            None if found_embeddings is None else _vectors(found_embeddings, files.embeddings),
            None if found_texts is None else [text for part in found_texts for text in strings(part, "the prompts")],
        ),
        split=Split.stratified(subsets),
        pools={},
        source=str(files.scores),
        data_hash=key,
        subsets=subsets,
        missing=tuple(missing),
        reference_model=benchmark.reference_model,
        reference_score=benchmark.reference_score,
    )


def _scores(parts: dict[str, NDArray[Any]], ids: tuple[str, ...], models: tuple[str, ...]) -> ScoreMatrix:
    """All subsets' scores packed, each subset's float64 array let go as soon as it is read."""
    if all(_binary(part) for part in parts.values()):
        flags = np.empty((len(ids), len(models)), dtype=np.bool_)
        start = 0
        for name in list(parts):
            part = parts.pop(name)
            np.equal(part, 1, out=flags[start : start + len(part)])
            start += len(part)
        return ScoreMatrix(ids, models, bits=pack(flags))
    values = np.concatenate([part.astype(np.float32) for part in parts.values()])
    return ScoreMatrix(ids, models, values=values)


def _binary(part: NDArray[Any], rows: int = 256) -> bool:
    blocks: Iterator[NDArray[Any]] = (part[start : start + rows] for start in range(0, len(part), rows))
    return all(bool(((block == 0) | (block == 1)).all()) for block in blocks)


def _joined(by_subset: Mapping[str, Any], sizes: Mapping[str, int], what: str, missing: list[str]) -> list[Any] | None:
    """What the subsets with prompts have of something, in order; None where one has it not, or a wrong number."""
    wanted = [name for name, n in sizes.items() if n]
    if not by_subset:
        missing.append(f"the prompts have no {what}s")
        return None
    absent = [name for name in wanted if name not in by_subset]
    if absent:
        missing.append(f"no prompt has its {what}, because {len(absent)} subsets have none (first: {absent[0]})")
        return None
    wrong = [
        f"{name} has {len(by_subset[name])} for {sizes[name]}" for name in wanted if len(by_subset[name]) != sizes[name]
    ]
    if wrong:
        raise DataError(f"{what}s and scores are of different prompts: {'; '.join(wrong[:5])} prompts")
    return [by_subset[name] for name in wanted]


def _vectors(parts: Sequence[Any], where: Location | None) -> NDArray[np.float32]:
    """The embeddings of several subsets, one below the other."""
    arrays = [part if isinstance(part, np.ndarray) else np.asarray(part, dtype=np.float64) for part in parts]
    shapes = {(array.dtype.kind in "iuf", array.ndim, array.shape[-1]) for array in arrays if array.ndim}
    if len(shapes) != 1 or next(iter(shapes))[:2] != (True, 2):
        raise DataError(f"{where} holds something else than embeddings (prompts x length), of one length for all")
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, which Queries reports
        return np.concatenate(arrays).astype(np.float32)


def _by_subset(where: Location | None, what: str) -> Mapping[str, Any]:
    if where is None:
        return {}
    with opened(where) as (file, size):
        found = mapping(unpickle(file, str(where), size), f"{where}", f"a dictionary of subsets with their {what}")
    odd = [name for name, part in found.items() if not is_list(part)]
    if odd:
        raise DataError(f"{where}: the {what} of {str(odd[0])[:80]} are no list")
    return found


def _correctness(subsets: Mapping[str, Any], name: str) -> NDArray[Any]:
    values = mapping(subsets[name], f"subset {name}", "a dictionary with 'correctness'").get("correctness")
    if not isinstance(values, np.ndarray) or values.ndim != 2:
        raise DataError(f"subset {name} has no array 'correctness' (prompts x models)")
    return values


def _digest(where: Location) -> str:
    with opened(where) as (file, _):
        return hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]

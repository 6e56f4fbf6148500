"""The raw answers: ``full_data/<benchmark>/*.zip`` with one pickle per model, or such pickles loose.

Each model's file is read alone, through the unpickler that runs nothing, and its scores, token counts and further
metrics join those of the other models; what comes out is kept in the store like any other benchmark, without pools.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import groupby
from pathlib import Path, PurePosixPath
from typing import Any

from routereval import facts
from routereval.data import store
from routereval.data.benchmark import BenchmarkData
from routereval.data.home import scratch
from routereval.data.queries import Queries
from routereval.data.scores import ScoreMatrix
from routereval.data.seen_files import remember, seen_key
from routereval.data.split import Split
from routereval.errors import DataError, MissingDataError
from routereval.progress import Progress, unseen
from routereval.sources.archives import Location, member_names, open_archive, opened
from routereval.sources.full_data_items import Items, items_of
from routereval.sources.full_data_joining import Joined
from routereval.sources.unpickling import unpickle

ROOM = "full_data"
ENDINGS = (".pkl", ".pickle")
MAX_RATIO = 400
"""How many times its packed size a pickle may unpack to: a few-shot prompt is repeated for every item and answer."""


def benchmarks(root: Path) -> dict[str, Path]:
    """The benchmarks whose raw answers a folder has, with the folder of each; only names are read."""
    known = facts.full_data()
    if not root.is_dir():
        return {}
    places = [root, root / ROOM, root / ROOM / ROOM, *sorted(root.glob(f"*/{ROOM}"))]
    found: dict[str, Path] = {}
    for key, about in known.items():
        here = [root] if root.name == about.folder else []
        folder = next((at for at in (*here, *(place / about.folder for place in places)) if _files(at)), None)
        if folder is not None:
            found[key] = folder
    return found


def load(key: str, root: Path, progress: Progress = unseen) -> BenchmarkData:
    """Scores of all models on one benchmark with token counts and further metrics as planes, without pools.

    Models whose file is damaged, or of another schema, are left out; ``missing`` says which and why.

    Raises
    ------
    MissingDataError : the folder has no raw answers of it.
    DataError : not one model's answers can be read.
    """
    folders = benchmarks(root)
    if key not in folders:
        expected = facts.full_data()[key].folder if key in facts.full_data() else key
        have = ", ".join(folders) or "none"
        raise MissingDataError(f"no raw answers of {key!r} in {root}: expected {ROOM}/{expected}/*.zip; it has: {have}")
    folder = folders[key]
    files = _files(folder)
    # A folder's own times say nothing of its files'.
    stamps = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    note = f"{ROOM} {key} {hashlib.sha256(json.dumps(stamps).encode()).hexdigest()}"
    known = seen_key(folder, note)
    data = store.find(known) if known else None
    if data is None:
        stored = store.content_key(ROOM, key, *(f"{path.relative_to(folder)} {_digest(path)}" for path in files))
        data = store.find(stored) or _converted(key, folder, stored, progress)
        remember(folder, note, stored)
    return data if data.source == str(folder) else replace(data, source=str(folder))


def _files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(p for p in folder.rglob("[!.]*") if p.suffix in (".zip", *ENDINGS) and p.is_file())


def _converted(key: str, folder: Path, stored: str, progress: Progress) -> BenchmarkData:
    benchmark, about = facts.benchmarks()[key], facts.full_data()[key]
    left_out: dict[str, str] = {}
    models = _models(folder, left_out)
    numbers = {name: i for i, name in enumerate(models)}
    # Scores, two counts of tokens and a metric or two, here and in the store.
    space = 2 * 5 * 4 * benchmark.prompts * len(models)
    with tempfile.TemporaryDirectory(prefix="joining-", dir=scratch(space), ignore_cleanup_errors=True) as work:
        joined = Joined(benchmark, len(models), Path(work), about.metrics)

        def each(names: set[str], use: Callable[[int, dict[str, Items]], object]) -> None:
            """Read these models' answers, one model after the other."""
            with progress(f"reading raw answers ({key})", len(names)) as advance:
                for name, raw in _unpickled({name: models[name] for name in names}, left_out):
                    try:
                        use(numbers[name], items_of(raw, benchmark, about.metrics))
                    except DataError as error:
                        left_out[name] = str(error)
                    advance()

        waiting: set[int] = set()

        def first(model: int, items: dict[str, Items]) -> None:
            if not joined.add(model, items):
                waiting.add(model)

        each(set(models), first)
        names = list(models)
        each({names[model] for model in (*sorted(waiting), *joined.doubtful())}, joined.add_late)
        return store.save(_benchmark(benchmark, names, joined, left_out, folder, stored))


def _benchmark(
    benchmark: facts.BenchmarkFacts,
    names: list[str],
    joined: Joined,
    left_out: dict[str, str],
    folder: Path,
    stored: str,
) -> BenchmarkData:
    prompts, models = joined.observed()
    reasons = [f"{name} is left out: {reason}" for name, reason in sorted(left_out.items())]
    if not len(models):
        raise DataError(f"{folder}: no model's answers can be read; {'; '.join(reasons[:5]) or 'it has no pickles'}")
    ids = tuple(map(str, prompts))  # numbers in the whole benchmark
    subsets = joined.subsets(prompts)
    scores = ScoreMatrix.from_dense(
        joined.scores(prompts, models), ids, [names[model] for model in models], missing=True
    )
    notes = [
        f"subset {name} has {subsets.count(name)} of its {n} prompts"
        for name, n in benchmark.subsets.items()
        if subsets.count(name) != n
    ]
    lacking = (scores.counts < len(ids)).sum()
    if lacking:
        notes.append(f"{lacking} models lack some of the items; {1 - scores.coverage:.2%} of the cells are missing")
    for metric, count in joined.other_metrics.items():
        notes.append(f"{count} models have no {' or '.join(joined.metrics)}; their scores are {metric}")
    if joined.other_documents:
        notes.append(f"{joined.other_documents} models have other documents under the same doc_id than the first")
    texts = joined.texts(prompts)
    notes += ["the prompts have no embeddings", *([] if texts else ["the prompts have no texts"])]
    return BenchmarkData(
        benchmark=benchmark.key,
        scores=scores,
        queries=Queries(ids, None, texts),
        split=Split.stratified(subsets),
        pools={},
        source=str(folder),
        data_hash=stored,
        subsets=subsets,
        missing=(*notes, *reasons),
        reference_model=benchmark.reference_model,
        reference_score=benchmark.reference_score,
        planes=joined.planes(prompts, models),
    )


def _models(folder: Path, left_out: dict[str, str]) -> dict[str, Location]:
    """Where each model's pickle lies, by the model's name: the file's, or as much of its path as tells it apart."""
    found: list[Location] = []
    for path in _files(folder):
        if path.suffix != ".zip":
            found.append(Location(path))
            continue
        try:
            with open_archive(path) as archive:
                members = member_names(archive, path)
        except DataError as error:
            left_out[path.name] = str(error)
            continue
        found += [Location(path, member) for member in sorted(members) if _is_pickle(member)]
    by_name = {where: _names(where, folder) for where in found}
    for level in range(3):
        used = Counter(names[level] for names in by_name.values())
        # Only those that share a name get a longer one.
        by_name = {w: names if used[names[level]] > 1 else (names[level],) * 3 for w, names in by_name.items()}
    return dict(sorted((names[-1], where) for where, names in by_name.items()))


def _names(where: Location, folder: Path) -> tuple[str, str, str]:
    """What a model may be called: by its file, by the path in the archive, by the archive and that path."""
    path = PurePosixPath(where.path.relative_to(folder).as_posix())
    inside = PurePosixPath(where.member).with_suffix("") if where.member else path.with_suffix("")
    archive = path.with_suffix("") if where.member else PurePosixPath()
    return inside.name, str(inside), str(archive / inside)


def _is_pickle(member: str) -> bool:
    path = PurePosixPath(member)
    return path.suffix in ENDINGS and "__MACOSX" not in path.parts and not path.name.startswith(".")


def _unpickled(models: dict[str, Location], left_out: dict[str, str]) -> Iterator[tuple[str, Any]]:
    """Each model's file as one value, one at a time; an archive is opened once."""
    by_path = sorted(models.items(), key=lambda item: (str(item[1].path), item[1].member))
    for path, group in groupby(by_path, key=lambda item: item[1].path):
        names = dict(group)
        try:
            if path.suffix == ".zip":
                with open_archive(path) as archive:
                    for name, where in names.items():
                        yield from _one(name, where, archive, left_out)
            else:
                for name, where in names.items():
                    yield from _one(name, where, None, left_out)
        except DataError as error:
            left_out |= dict.fromkeys(names, str(error))


def _one(name: str, where: Location, archive: Any, left_out: dict[str, str]) -> Iterator[tuple[str, Any]]:
    try:
        with opened(where, archive, MAX_RATIO) as (file, size):
            raw = unpickle(file, str(where), size, nested=True)
            # To the end, where a zip's checksum is compared.
            while file.read(1 << 20):
                pass
    except DataError as error:
        left_out[name] = str(error)
    else:
        yield name, raw


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

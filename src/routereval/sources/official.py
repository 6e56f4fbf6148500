"""The published router datasets: ``{key}_router_dataset.pkl``, loose or in ``router_dataset.zip``.

A file is read once, checked, and converted into the store; from then on the store's memory maps are opened.
"""

from __future__ import annotations

import hashlib
import io
import re
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from routereval.data import store
from routereval.data.benchmark import BenchmarkData, PoolKey
from routereval.data.queries import Queries
from routereval.data.scenario import STRATEGIES, CandidatePool
from routereval.data.scores import ScoreMatrix, pack
from routereval.data.split import Split
from routereval.errors import DataError, MissingDataError, UnsafeFileError
from routereval.sources.unpickling import unpickle

SUFFIX = "_router_dataset.pkl"
ARCHIVE = "router_dataset.zip"
FOLDER = "router_dataset"
GRID = {"easy": (3, 5), "hard": (10, 100, 1000)}
PARTS = ("train", "val", "test")
POOL_SEED = 42
"""What the published pools were drawn with (Huang et al. 2025, released code)."""

MAX_RATIO = 80
"""How many times its packed size a member of an archive may unpack to; the published ones reach 47."""


@dataclass(frozen=True)
class Location:
    """Where one benchmark's pickle lies: a file, or a member of a zip archive."""

    path: Path
    member: str = ""

    def __str__(self) -> str:
        return f"{self.path} ({self.member})" if self.member else str(self.path)


def benchmarks(root: Path) -> dict[str, Location]:
    """Which benchmarks a data folder offers, and where; names are read, pickles are not.

    ``root`` may be the ``router_dataset`` folder, the folder that holds it or its zip, that one's parent, a zip, or one
    pickle; a folder level may be doubled. A loose pickle wins over the same benchmark in a zip, and what lies nearer to
    ``root`` over what lies deeper. Folders inside ``root`` are searched only where nothing nearer is found.

    Raises
    ------
    UnsafeFileError : a zip with a member named outside of it.
    DataError : a zip that cannot be read.
    """
    root = Path(root)
    if root.is_file():
        if zipfile.is_zipfile(root) or root.suffix == ".zip":
            return _members(root)
        return {root.name.removesuffix(SUFFIX).removesuffix(".pkl"): Location(root)}
    try:
        return _in_folder(root) or _first_wins(
            _in_folder(child) for child in sorted(root.glob("*/")) if not child.name.startswith(".")
        )
    except OSError as error:
        raise DataError(f"cannot look into {root}: {error.strerror or error}") from error


def load(key: str, root: Path) -> BenchmarkData:
    """One benchmark out of a data folder, memory-mapped from the store; converted first where that has not happened.

    Raises
    ------
    MissingDataError : the folder does not offer it; says what it does offer.
    UnsafeFileError : the file holds more than data, or unpacks to far more than it should; nothing was executed.
    DataError : the file is damaged, or its contents do not make sense; says everything that is wrong.
    """
    offered = benchmarks(root)
    if key not in offered:
        found = ", ".join(sorted(offered)) or ("nothing" if Path(root).exists() else "nothing, it does not exist")
        raise MissingDataError(
            f"no router dataset {key!r} in {root}; found there: {found}. Looked for {key}{SUFFIX}, loose, in a folder "
            f"{FOLDER}/ or in {ARCHIVE}; download it there, or point --data at the folder that has it"
        )
    where = offered[key]
    known = store.seen_key(where.path, where.member)
    data = store.find(known) if known else None
    if data is None:
        data = _through_store(key, where)
    # The same content may have been stored from another path; an error should name the one in use.
    return data if data.source == str(where) else replace(data, source=str(where))


def _through_store(benchmark: str, where: Location) -> BenchmarkData:
    before = where.path.stat()
    with _opened(where) as (file, _):
        digest = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
    # The name is part of the key: the same bytes under another name are another benchmark.
    key = store.content_key("official", benchmark, digest)
    data = store.find(key)
    if data is None:
        with _opened(where) as (file, size):
            raw = unpickle(file, str(where), size)
        data = _converted(raw, benchmark, where, key)
    after = where.path.stat()
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise DataError(f"{where.path} changed while it was being read; try again when it is complete")
    if data.store_dir is None:
        data = store.save(data)
    store.remember(where.path, where.member, key)
    return data


# Files


def _in_folder(folder: Path) -> dict[str, Location]:
    places = (folder, folder / FOLDER, folder / FOLDER / FOLDER)
    loose = (
        {_key_of(path.name): Location(path) for path in sorted(place.glob(f"[!.]*{SUFFIX}")) if path.is_file()}
        for place in places
    )
    zipped = (_members(place / ARCHIVE) for place in places if (place / ARCHIVE).is_file())
    return _first_wins((*loose, *zipped))


def _first_wins(offers: Iterable[dict[str, Location]]) -> dict[str, Location]:
    merged: dict[str, Location] = {}
    for offer in offers:
        merged = {**offer, **merged}
    return dict(sorted(merged.items()))


def _key_of(name: str) -> str:
    return PurePosixPath(name).name.removesuffix(SUFFIX)


def _members(archive: Path) -> dict[str, Location]:
    """The router datasets in a zip; of two members for one benchmark the one less deep."""
    with _archive(archive) as opened:
        names = [info.filename for info in opened.infolist() if not info.is_dir()]
    outside = [name for name in names if _leaves_the_archive(name)]
    if outside:
        raise UnsafeFileError(
            f"{archive} was refused: {len(outside)} members are named outside of it (first: {outside[0]!r}); "
            "nothing was unpacked. Get the archive again from where it was published"
        )
    # macOS adds a folder __MACOSX and files that begin with "._" beside the real ones.
    wanted = [
        name
        for name in names
        if name.endswith(SUFFIX)
        and "__MACOSX" not in PurePosixPath(name).parts
        and not PurePosixPath(name).name.startswith(".")
    ]
    wanted.sort(key=lambda name: (name.count("/"), name))
    return _first_wins({_key_of(name): Location(archive, name)} for name in wanted)


def _leaves_the_archive(name: str) -> bool:
    path = PurePosixPath(name.replace("\\", "/"))
    return path.is_absolute() or ".." in path.parts or bool(re.match(r"[A-Za-z]:", name))


@contextmanager
def _archive(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(path) as opened:
            yield opened
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read as a zip archive: {error}; get it again") from error


@contextmanager
def _opened(where: Location) -> Iterator[tuple[BinaryIO, int]]:
    """The pickle's bytes as a stream and how many there are; of an archive nothing is written to disk."""
    if where.member:
        with _archive(where.path) as archive:
            info = archive.getinfo(where.member)
            _check_packing(info, where)
            with archive.open(info) as member, io.BufferedReader(member) as file:  # type: ignore[type-var]
                yield file, info.file_size
    else:
        try:
            with where.path.open("rb") as file:
                yield file, where.path.stat().st_size
        except OSError as error:
            raise DataError(f"cannot read {where}: {error.strerror or error}") from error


def _check_packing(info: zipfile.ZipInfo, where: Location) -> None:
    # zipfile never yields more than the size a member declares, and what it declares is checked here; but it unpacks
    # bzip2 and LZMA in one go, whatever comes out.
    if info.flag_bits & 1:
        raise DataError(f"{where} is encrypted; unpack it yourself and point --data at the folder")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise UnsafeFileError(
            f"{where} is packed with method {info.compress_type}; expected stored or deflated, whose size can be "
            "bounded. Unpack it yourself and point --data at the folder"
        )
    packed = min(info.compress_size, where.path.stat().st_size)
    if info.file_size > MAX_RATIO * packed:
        ratio = info.file_size / max(1, packed)
        raise UnsafeFileError(
            f"{where} was refused: {packed:,} bytes unpack to {info.file_size:,}, {ratio:.0f} times as many, and "
            f"router datasets stay below {MAX_RATIO} times. If you trust it, unpack it yourself and "
            "point --data at the folder"
        )


# Contents


@dataclass(frozen=True, eq=False)
class _Pool:
    """One pool as the file has it: models, and scores (n, m) of the parts that are there."""

    pool: CandidatePool
    scores: Mapping[str, NDArray[Any]]
    labels: NDArray[np.uint8] | None

    @property
    def key(self) -> PoolKey:
        return self.pool.strategy, len(self.pool)

    @property
    def name(self) -> str:
        return f"{self.pool.strategy}/{len(self.pool)}"


@dataclass(frozen=True, eq=False)
class _Prompts:
    """What the file says of one part's prompts."""

    ids: list[str] | None
    embeddings: NDArray[Any] | None
    texts: list[str] | None


def _converted(raw: Any, benchmark: str, where: Location, data_hash: str) -> BenchmarkData:
    from routereval.facts import benchmarks as published

    try:
        top = _mapping(raw, "the file", "a dictionary with 'easy', 'hard', 'split_index', 'embedding', 'prompt'")
        pools = _read_pools(top)
        prompts, sizes = _read_prompts(top, pools)
        ends = np.cumsum([0, *sizes.values()])
        rows = {part: slice(int(a), int(b)) for part, a, b in zip(PARTS, ends[:-1], ends[1:], strict=True)}
        ids = _prompt_ids(prompts, sizes)
        scores = _union(pools, rows, ids)
        facts = published().get(benchmark)
        data = BenchmarkData(
            benchmark=benchmark,
            scores=scores,
            queries=Queries(ids, _embeddings(prompts, sizes), _texts(prompts, sizes)),
            split=Split(*(np.arange(rows[part].start, rows[part].stop) for part in PARTS)),
            pools={pool.key: pool.pool for pool in pools},
            source=str(where),
            data_hash=data_hash,
            train_labels=_labels(pools, scores, sizes),
            missing=_missing(pools, prompts, sizes, scores),
            pools_saw_test=True,
            reference_model=None if facts is None else facts.reference_model,
            reference_score=None if facts is None else facts.reference_score,
        )
    except DataError as error:
        raise DataError(f"{where}, benchmark {benchmark}: {error}") from error
    return data


def _read_pools(top: Mapping[Any, Any]) -> list[_Pool]:
    """Every pool in file order, or an error with everything that is wrong with them."""
    pools: dict[PoolKey, _Pool] = {}
    problems = []
    for level in GRID:
        sizes = _mapping(top.get(level, {}), f"[{level!r}]", "a dictionary of pool sizes")
        for m, strategies in sizes.items():
            entries = _mapping(strategies, f"[{level!r}][{m!r}]", "a dictionary of strategies")
            for strategy, entry in entries.items():
                try:
                    pool = _read_pool(m, strategy, entry)
                except DataError as error:
                    problems.append(f"[{level!r}][{m!r}][{strategy!r}]: {error}")
                    continue
                if pool.key in pools:
                    problems.append(f"pool {pool.name} is there twice; keep one")
                pools[pool.key] = pool
    _raise_all(problems)
    if not pools:
        raise DataError(
            "there is no pool in it; expected ['easy'][3 or 5] or ['hard'][10, 100 or 1000], then a strategy "
            f"({', '.join(STRATEGIES)})"
        )
    return list(pools.values())


def _read_pool(m: Any, strategy: Any, entry: Any) -> _Pool:
    # The strategy becomes part of ids and of file names in the store.
    if not isinstance(strategy, str) or not re.fullmatch(r"[A-Za-z]\w{0,63}", strategy, re.ASCII):
        raise DataError(f"a strategy needs a name of letters, digits and _, such as {STRATEGIES[0]!r}")
    fields = _mapping(entry, "the pool", "a dictionary with 'model' and 'data'")
    models = _strings(fields.get("model"), "'model'")
    pool = CandidatePool(tuple(models), strategy, POOL_SEED)
    if type(m) is not int or m != len(models):
        raise DataError(f"'model' names {len(models)} models; the pool is said to have {m!r}, and both must agree")
    data = _mapping(fields.get("data", {}), "'data'", "a dictionary with 'train_score', 'val_score', 'test_score'")
    scores, problems = {}, []
    for part in PARTS:
        if f"{part}_score" in data:
            values = data[f"{part}_score"]
            problem = _fault_of_scores(values, models)
            scores[part] = values
            if problem:
                problems.append(f"{part}_score: {problem}")
    labels = data.get("train_label")
    if labels is not None:
        fault = _fault_of_scores(labels, models)
        if not fault and not ((labels == 0) | (labels == 1)).all():
            fault = "labels must be 0 or 1, and some lie between"
        if fault:
            problems.append(f"train_label: {fault}")
    _raise_all(problems)
    return _Pool(pool, scores, None if labels is None else labels.astype(np.uint8))


def _fault_of_scores(values: Any, models: list[str]) -> str | None:
    """What is wrong with scores (n, m) that must be finite and in [0, 1]; None where nothing is."""
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "biuf":
        kind = f"an array of {values.dtype}" if isinstance(values, np.ndarray) else f"a {type(values).__name__}"
        return f"is {kind}; expected an array of numbers (prompts x models)"
    if values.ndim != 2 or values.shape[1] != len(models):
        return f"has shape {values.shape}; expected (prompts, {len(models)}), a column for each of the models"
    if values.size == 0 or (values.min() >= 0 and values.max() <= 1):
        return None
    faults = []
    for what, bad in (
        ("nan", np.isnan(values)),
        ("infinite", np.isinf(values)),
        ("outside [0, 1]", np.isfinite(values) & ((values < 0) | (values > 1))),
    ):
        if bad.any():
            row, column = np.argwhere(bad)[0]
            first = f"row {row}, model {models[column]!r}: {values[row, column]}"
            faults.append(f"{int(bad.sum())} of {values.size} values are {what} (first: {first})")
    return f"{', '.join(faults)}; every model needs a score from 0 to 1 on every prompt, or leave the whole part out"


def _read_prompts(top: Mapping[Any, Any], pools: list[_Pool]) -> tuple[dict[str, _Prompts], dict[str, int]]:
    """What is known of the prompts of each part, and how many there are; 0 where no pool has scores for it."""
    sections = {
        name: _mapping(top.get(name, {}), f"[{name!r}]", "a dictionary of train, val and test")
        for name in ("split_index", "embedding", "prompt")
    }
    prompts, sizes, problems = {}, {}, []
    for part in PARTS:
        lengths = {f"{part}_score of {pool.name}": len(pool.scores[part]) for pool in pools if part in pool.scores}
        sizes[part] = 0
        prompts[part] = _Prompts(None, None, None)
        if not lengths:
            continue
        try:
            found = _read_part(
                sections["split_index"].get(f"{part}_indices"),
                sections["embedding"].get(f"{part}_embed"),
                sections["prompt"].get(f"{part}_prompt"),
                part,
            )
        except DataError as error:
            problems.append(str(error))
            continue
        for name, values in (("indices", found.ids), ("embed", found.embeddings), ("prompt", found.texts)):
            if values is not None:
                lengths[f"{part}_{name}"] = len(values)
        if len(set(lengths.values())) > 1:
            first_with: dict[int, str] = {}
            for name, n in lengths.items():
                first_with.setdefault(n, name)
            counts = ", ".join(f"{name} has {n} rows" for n, name in first_with.items())
            problems.append(f"{counts}; expected one for each {part} prompt everywhere")
        elif part != "val" and 0 in lengths.values():
            problems.append(f"the {part} split is empty; it needs at least one prompt, or leave {part}_score out")
        prompts[part], sizes[part] = found, next(iter(lengths.values()))
    widths = {part: e.shape[1] for part in PARTS if (e := prompts[part].embeddings) is not None}
    if len(set(widths.values())) > 1:
        counts = ", ".join(f"{part}_embed {width}" for part, width in widths.items())
        problems.append(f"embeddings differ in length: {counts}; embed all prompts with one encoder")
    _raise_all(problems)
    return prompts, sizes


def _read_part(indices: Any, embeddings: Any, texts: Any, part: str) -> _Prompts:
    if indices is not None:
        indices = np.asarray(indices) if isinstance(indices, list | tuple) else indices
        if not isinstance(indices, np.ndarray) or indices.dtype.kind not in "iu" or indices.ndim != 1:
            raise DataError(f"{part}_indices is {_what(indices)}; expected whole numbers, one per prompt")
    if embeddings is not None and (
        not isinstance(embeddings, np.ndarray) or embeddings.dtype.kind not in "iuf" or embeddings.ndim != 2
    ):
        raise DataError(f"{part}_embed is {_what(embeddings)}; expected numbers of shape (prompts, length)")
    return _Prompts(
        None if indices is None else [str(i) for i in indices.tolist()],
        embeddings,
        None if texts is None else _strings(texts, f"{part}_prompt"),
    )


def _prompt_ids(prompts: Mapping[str, _Prompts], sizes: Mapping[str, int]) -> tuple[str, ...]:
    """The prompts' numbers in the whole benchmark; where the file does not give them, part and position."""
    ids: list[str] = []
    for part in PARTS:
        given = prompts[part].ids
        ids += [f"{part}-{i}" for i in range(sizes[part])] if given is None else given
    twice = len(ids) - len(set(ids))
    if twice:
        raise DataError(f"split_index gives {twice} of {len(ids)} prompts a number that another prompt has already")
    return tuple(ids)


def _union(pools: list[_Pool], rows: Mapping[str, slice], prompt_ids: tuple[str, ...]) -> ScoreMatrix:
    """All prompts x all pools' models, columns in order of first appearance; what no pool scored stays missing."""
    first_pool: dict[str, str] = {}
    for pool in pools:
        for name in pool.pool.model_ids:
            first_pool.setdefault(name, pool.name)
    column = {name: i for i, name in enumerate(first_pool)}
    shape = len(prompt_ids), len(column)
    # Arrays may be shared inside a pickle; a file whose union is far larger than its scores is made to fill the memory.
    cells = sum({id(values): values.size for pool in pools for values in pool.scores.values()}.values())
    if shape[0] * shape[1] > max(10**8, 20 * cells):
        raise DataError(
            f"{cells:,} scores for {shape[0]:,} prompts x {shape[1]:,} models; that is no router dataset, get it again"
        )
    binary = all(((values == 0) | (values == 1)).all() for pool in pools for values in pool.scores.values())
    # By model, so that one pool's columns are written in runs.
    by_model = np.zeros((shape[1], shape[0]), dtype=np.uint8 if binary else np.float32)
    observed = np.zeros((shape[1], shape[0]), dtype=np.bool_)
    problems = []
    for pool in pools:
        columns = np.array([column[name] for name in pool.pool.model_ids])
        for part, values in pool.scores.items():
            cell = columns, rows[part]
            new = values.T.astype(by_model.dtype)
            differ = (observed[cell] & (by_model[cell] != new)).any(axis=1)
            for i in np.flatnonzero(differ):
                name = pool.pool.model_ids[i]
                problems.append(
                    f"model {name!r} has other {part} scores in pool {pool.name} than in {first_pool[name]}; "
                    "a model's scores do not depend on the pool"
                )
            by_model[cell] = new
            observed[cell] = True
    _raise_all(problems)
    models = tuple(column)
    if binary:
        mask = None if observed.all() else pack(observed.T)
        return ScoreMatrix(prompt_ids, models, bits=pack(by_model.view(np.bool_).T), observed=mask)
    by_model[~observed] = np.nan
    return ScoreMatrix(prompt_ids, models, values=np.ascontiguousarray(by_model.T, dtype=np.float32))


def _embeddings(prompts: Mapping[str, _Prompts], sizes: Mapping[str, int]) -> NDArray[np.float32] | None:
    there = [prompts[part].embeddings for part in PARTS if sizes[part]]
    given = [part for part in there if part is not None]
    if not given or len(given) < len(there):
        return None
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, which Queries reports
        return np.concatenate([part.astype(np.float32) for part in given])


def _texts(prompts: Mapping[str, _Prompts], sizes: Mapping[str, int]) -> list[str] | None:
    there = [prompts[part].texts for part in PARTS if sizes[part]]
    given = [part for part in there if part is not None]
    return [text for part in given for text in part] if given and len(given) == len(there) else None


def _labels(pools: list[_Pool], scores: ScoreMatrix, sizes: Mapping[str, int]) -> dict[PoolKey, NDArray[np.uint8]]:
    """The training labels of graded benchmarks; binary ones are trained on their scores."""
    if scores.binary:
        return {}
    labels = {pool.key: pool.labels for pool in pools if pool.labels is not None and "train" in pool.scores}
    _raise_all(
        f"train_label of {strategy}/{m} has {len(values)} rows; expected {sizes['train']}, one per train prompt"
        for (strategy, m), values in labels.items()
        if len(values) != sizes["train"]
    )
    return labels


def _missing(
    pools: list[_Pool], prompts: Mapping[str, _Prompts], sizes: Mapping[str, int], scores: ScoreMatrix
) -> tuple[str, ...]:
    """What a complete file would have and this one has not."""
    have = {pool.key for pool in pools}
    sentences = [
        f"there is no pool {strategy}/{m}"
        for sizes_of_level in GRID.values()
        for m in sizes_of_level
        for strategy in STRATEGIES
        if (strategy, m) not in have
    ]
    for part in PARTS:
        without = [pool.name for pool in pools if part not in pool.scores]
        if len(without) == len(pools):
            sentences.append(f"there are no {part} scores in any pool")
            continue
        sentences += [f"pool {name} has no {part} scores" for name in without]
        if sizes[part] == 0:
            sentences.append(f"the {part} split is empty")
            continue
        for what, given in (
            ("numbers in split_index, so they are counted from 0", prompts[part].ids),
            ("embeddings, so no prompt of the benchmark has one", prompts[part].embeddings),
            ("texts, so no prompt of the benchmark has one", prompts[part].texts),
        ):
            if given is None:
                sentences.append(f"the {part} prompts have no {what}")
    if not scores.binary:
        sentences += [f"pool {pool.name} has graded scores and no train_label" for pool in pools if pool.labels is None]
    return tuple(sentences)


# What pickled values should be


def _what(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"an array of {value.dtype} with shape {value.shape}"
    return f"a {type(value).__name__}"


def _mapping(value: Any, name: str, expected: str) -> Mapping[Any, Any]:
    if not isinstance(value, dict):
        raise DataError(f"{name} is {_what(value)}; expected {expected}")
    return value


def _strings(value: Any, name: str) -> list[str]:
    listed = value.tolist() if isinstance(value, np.ndarray) and value.ndim == 1 else value
    if not isinstance(listed, list | tuple) or not all(isinstance(item, str) for item in listed):
        raise DataError(f"{name} is {'not there' if value is None else _what(value)}; expected a list of strings")
    return [str(item) for item in listed]


def _raise_all(problems: Iterable[str], shown: int = 8) -> None:
    found = list(problems)
    if found:
        more = f"; and {len(found) - shown} more like these" if len(found) > shown else ""
        raise DataError("; ".join(found[:shown]) + more)

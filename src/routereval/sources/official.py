"""The published router datasets: ``{key}_router_dataset.pkl``, loose or in ``router_dataset.zip``.

A file is read once, checked, and converted into the store; from then on the store's memory maps are opened.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

from routereval.data import store
from routereval.data.benchmark import BenchmarkData
from routereval.data.seen_files import remember, seen_key
from routereval.errors import DataError, MissingDataError
from routereval.sources.archives import FileKind, Location, find, opened
from routereval.sources.router_dataset import converted
from routereval.sources.unpickling import unpickle

ROUTER_DATASETS = FileKind("router_dataset", r"(?P<key>[^/]+)_router_dataset\.pkl")


def benchmarks(root: Path) -> dict[str, Location]:
    """Which benchmarks a data folder (or one pickle, whatever its name) offers, and where; see ``archives.find``.

    Raises
    ------
    UnsafeFileError : a zip with a member named outside of it.
    DataError : a zip that cannot be read.
    """
    root = Path(root)
    found = find(ROUTER_DATASETS, root)
    if not found and root.is_file() and root.suffix == ".pkl":
        return {root.stem: Location(root)}
    return found


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
            f"no router dataset {key!r} in {root}; found there: {found}. Looked for {key}_router_dataset.pkl, loose, "
            "in a folder router_dataset/ or in router_dataset.zip; download it there, or point --data at the folder "
            "that has it"
        )
    where = offered[key]
    known = seen_key(where.path, where.member)
    data = store.find(known) if known else None
    if data is None:
        data = _through_store(key, where)
    # The same content may have been stored from another path; an error should name the one in use.
    return data if data.source == str(where) else replace(data, source=str(where))


def _through_store(benchmark: str, where: Location) -> BenchmarkData:
    before = where.path.stat()
    with opened(where) as (file, _):
        digest = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
    # The name is part of the key: the same bytes under another name are another benchmark.
    key = store.content_key("official", benchmark, digest)
    data = store.find(key)
    if data is None:
        with opened(where) as (file, size):
            raw = unpickle(file, str(where), size)
        data = converted(raw, benchmark, where, key)
    after = where.path.stat()
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise DataError(f"{where.path} changed while it was being read; try again when it is complete")
    if data.store_dir is None:
        data = store.save(data)
    remember(where.path, where.member, key)
    return data

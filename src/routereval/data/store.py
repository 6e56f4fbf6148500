"""The on-disk store: one folder per benchmark's data, named by content, memory-mapped when opened.

``$ROUTEREVAL_HOME`` or the user's cache directory holds it::

    store/<key>/meta.json, *.npy     one BenchmarkData each, and SHA256SUMS
    scratch/                         what is being made and too large for the memory
    seen/<sha256 of a path>.json     which key a file had when it was last read, so that it need not be hashed again
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import mmap
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from routereval.data import checksums, remote
from routereval.data.array_files import read_array
from routereval.data.benchmark import BenchmarkData
from routereval.data.queries import Queries
from routereval.data.scenario import CandidatePool
from routereval.data.scores import ScoreMatrix
from routereval.data.split import Split
from routereval.data.store_checks import check_meta, check_shapes
from routereval.data.texts import Texts
from routereval.errors import DataError, MissingDataError, RouterEvalError

FORMAT = 2
"""Version of the folders' layout; part of every key, so a new layout never reads an old folder."""


def home() -> Path:
    """Where everything that is kept between runs lies: ``$ROUTEREVAL_HOME`` or the user's cache directory."""
    chosen = os.environ.get("ROUTEREVAL_HOME")
    if chosen:
        return Path(chosen).expanduser()
    import platformdirs

    return Path(platformdirs.user_cache_dir("routereval"))


def content_key(*parts: str) -> str:
    """The key of data made from these parts (a content's sha256, the options it was read with)."""
    return hashlib.sha256("\0".join((str(FORMAT), *parts)).encode()).hexdigest()


def write_folder(folder: Path, data: BenchmarkData) -> None:
    """The data as one folder of files that can be opened anywhere, written beside and renamed when complete.

    Raises
    ------
    DataError : there is something already, or the folder cannot be written.
    """
    if folder.exists():
        raise DataError(f"{folder} is there already; remove it, or write somewhere else")
    with _writing(folder.parent):
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=".new-", dir=folder.parent))
        try:
            _write(temporary, data)
            temporary.rename(folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def find(key: str) -> BenchmarkData | None:
    """The data stored under this key, or None."""
    folder = _folder(key)
    if not (folder / "meta.json").is_file():
        return None
    try:
        return open_folder(folder)
    except DataError as error:
        # The source is at hand, or nobody would ask: the folder is made again.
        logging.getLogger(__name__).warning("%s; it is made again", str(error).partition(";")[0])
        shutil.rmtree(folder, ignore_errors=True)
        return None


def save(data: BenchmarkData) -> BenchmarkData:
    """Store the data under its ``data_hash`` and return them memory-mapped.

    Written beside, then renamed: another process sees all of it or nothing.

    Raises
    ------
    DataError : the store cannot be written (full disk, no permission).
    """
    folder = _folder(data.data_hash)
    with _writing(folder.parent):
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=".new-", dir=folder.parent))
        try:
            _write(temporary, data, link=True)
            try:
                temporary.rename(folder)
            except OSError:
                # Somebody else stored the same content first; theirs is as good, unless it is what a kill left behind.
                if not (folder / "meta.json").is_file():
                    shutil.rmtree(folder, ignore_errors=True)
                    temporary.rename(folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    return open_folder(folder)


def scratch(needed: int) -> Path:
    """A folder for what is too large for the memory while it is being made; on the same disk as the store.

    Raises
    ------
    DataError : it cannot be made, or there are fewer than ``needed`` bytes left.
    """
    folder = home() / "scratch"
    with _writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(folder).free
    if free < needed:
        raise DataError(
            f"{needed:,} bytes are needed in {folder}, and {free:,} are left; "
            "free some space, or set ROUTEREVAL_HOME to a folder that has more"
        )
    return folder


def seen_key(path: Path, member: str = "") -> str | None:
    """The key this file (or this member of an archive) had when last read, if it has not changed since."""
    note = _note(path, member)
    try:
        known = json.loads(note.read_text())
        stamp = _stamp(path)
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(known, dict) or known.get("stamp") != stamp:
        return None
    key = known.get("key")
    return key if isinstance(key, str) else None


def remember(path: Path, member: str, key: str) -> None:
    """Note which key this file has, together with its size and times."""
    note = _note(path, member)
    with _writing(note.parent):
        note.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=".new-", dir=note.parent)
        try:
            with os.fdopen(handle, "w") as file:
                json.dump({"path": str(path), "member": member, "stamp": _stamp(path), "key": key}, file)
            Path(name).replace(note)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


def open_folder(folder: Path) -> BenchmarkData:
    """The data in one folder of the store, arrays memory-mapped.

    Raises
    ------
    DataError : the folder is damaged.
    """
    try:
        return _read(folder)
    except RouterEvalError:
        raise
    except Exception as error:  # whatever a damaged folder provokes is the folder's fault
        raise DataError(
            f"{folder} is damaged ({type(error).__name__}: {error}); remove it and read the data again"
        ) from error


def _read(folder: Path) -> BenchmarkData:
    meta = json.loads((folder / "meta.json").read_text())
    check_meta(meta)
    lost = [name for name in meta["arrays"] if not (folder / f"{name}.npy").is_file()]
    if lost:
        files = ", ".join(f"{name}.npy" for name in lost)
        raise DataError(f"{folder} lacks {files}; remove the folder and read the data again")

    def array(name: str) -> NDArray[Any] | None:
        path = folder / f"{name}.npy"
        try:
            return read_array(path, mapped=True) if path.is_file() else None
        except DataError as error:
            raise ValueError(str(error)) from error

    def need(name: str) -> NDArray[Any]:
        found = array(name)
        if found is None:
            raise DataError(f"{folder} lacks {name}.npy; remove the folder and read the data again")
        return found

    scores = {name: need(name) for name in meta["scores"]}
    prompts, models = tuple(meta["prompt_ids"]), tuple(meta["model_ids"])
    blob = array("texts")
    pools = {
        (pool["strategy"], pool["m"]): CandidatePool(
            tuple(models[i] for i in pool["columns"]), pool["strategy"], pool["seed"]
        )
        for pool in meta["pools"]
    }
    data = BenchmarkData(
        benchmark=meta["benchmark"],
        scores=ScoreMatrix(prompts, models, **scores),
        queries=Queries(prompts, array("embeddings"), None if blob is None else Texts(blob, need("text_offsets"))),
        split=Split(*(np.asarray(need(f"split_{name}")) for name in ("train", "val", "test"))),
        pools=pools,
        source=meta["source"],
        data_hash=meta["data_hash"],
        train_labels={(s, m): need(f"labels_{s}_{m}") for s, m in map(tuple, meta["labels"])},
        subsets=None if meta["subsets"] is None else tuple(meta["subsets"]),
        missing=tuple(meta["missing"]),
        pools_saw_test=meta["pools_saw_test"],
        split_given=meta.get("split_given", False),
        synthetic=meta["synthetic"],
        reference_model=meta["reference_model"],
        reference_score=meta["reference_score"],
        encoder=meta.get("encoder", "shipped"),
        planes={name: need(f"plane_{i}") for i, name in enumerate(meta.get("planes", ()))},
        store_dir=folder,
    )
    check_shapes(data)
    return data


@lru_cache(maxsize=32)
def reopen(folder: Path, data_hash: str = "", url: str = "") -> BenchmarkData:
    """What a worker makes of data sent to it, once per process: the folder of the driver, else its own of that hash.

    Its files are hashed once on each machine.

    Parameters
    ----------
    folder : where the driver has the data: a folder that is shared, or the same machine.
    data_hash : which data.
    url : where they are fetched from if they are not here; see :mod:`routereval.data.remote`.

    Raises
    ------
    MissingDataError : they are not here, and there is no URL or they are not there.
    DataError : other data, or a file is not what was written.
    """
    found = next((one for one in (folder, _folder(data_hash)) if data_hash and _is_here(one)), folder)
    if not _is_here(found) and data_hash:
        if not url:
            raise MissingDataError(
                f"a worker has no data {folder}; let workers share ROUTEREVAL_HOME with the driver, or set "
                f"{remote.VARIABLE} to a URL that both reach (s3://bucket/path, file:///shared/folder)"
            )
        found = _folder(data_hash)
        remote.fetch(data_hash, url, found)
    _check_once(found)
    data = open_folder(found)
    if data_hash and data.data_hash != data_hash:
        raise DataError(
            f"{found} holds data {data.data_hash[:12]}..., and {data_hash[:12]}... were planned; "
            "remove it where it is wrong, or run the same command again"
        )
    return data


def _is_here(folder: Path) -> bool:
    return (folder / "meta.json").is_file()


def _check_once(folder: Path) -> None:
    """Hash every file, unless that was done on this machine and none has changed since."""
    sums = folder / checksums.NAME
    if not sums.is_file():
        return
    now = checksums.fingerprint(folder)
    if seen_key(sums, "checked") == now:
        return
    checksums.check(folder)
    with contextlib.suppress(DataError):
        remember(sums, "checked", now)


def _save_array(path: Path, values: NDArray[Any], link: bool) -> str | None:
    """An array as a .npy file; with ``link`` another name of the store's own file, where it comes from one as it is.

    Returns
    -------
    str or None : the file's sha256, where it is known already.
    """
    base: object = values.base
    # A part of a file's array has the whole array for its base.
    if link and isinstance(values, np.memmap) and isinstance(base, mmap.mmap):
        source = Path(str(values.filename))
        if home() / "store" in source.parents:
            try:
                # Nothing in the store is ever written to again. Scenarios of the same scores share them.
                os.link(source, path)
                return checksums.read(source.parent).get(source.name)
            except (OSError, DataError):
                pass  # a file system without links
    np.save(path, values, allow_pickle=False)
    return None


def _write(folder: Path, data: BenchmarkData, *, link: bool = False) -> None:
    column = {name: i for i, name in enumerate(data.scores.model_ids)}
    arrays: dict[str, NDArray[Any] | None] = {
        "bits": data.scores.bits,
        "observed": data.scores.observed,
        "values": data.scores.values,
        "embeddings": data.queries.embeddings,
        "split_train": data.split.train,
        "split_val": data.split.val,
        "split_test": data.split.test,
    }
    if data.queries.texts is not None:
        arrays["texts"], arrays["text_offsets"] = Texts.encode(data.queries.texts).arrays
    for (strategy, m), labels in data.train_labels.items():
        arrays[f"labels_{strategy}_{m}"] = labels
    # By number: a metric may have any name, a file may not.
    arrays |= {f"plane_{i}": plane for i, plane in enumerate(data.planes.values())}
    sums: dict[str, str] = {}
    for name, values in arrays.items():
        if values is not None and (known := _save_array(folder / f"{name}.npy", values, link)):
            sums[f"{name}.npy"] = known
    meta = {
        "arrays": [name for name, values in arrays.items() if values is not None],
        "scores": [name for name in ("bits", "observed", "values") if arrays[name] is not None],
        "benchmark": data.benchmark,
        "prompt_ids": data.scores.prompt_ids,
        "model_ids": data.scores.model_ids,
        "pools": [
            {"strategy": s, "m": m, "seed": pool.seed, "columns": [column[name] for name in pool.model_ids]}
            for (s, m), pool in data.pools.items()
        ],
        "labels": list(data.train_labels),
        "source": data.source,
        "data_hash": data.data_hash,
        "subsets": data.subsets,
        "missing": data.missing,
        "pools_saw_test": data.pools_saw_test,
        "split_given": data.split_given,
        "synthetic": data.synthetic,
        "reference_model": data.reference_model,
        "reference_score": data.reference_score,
        "encoder": data.encoder,
        "planes": list(data.planes),
    }
    (folder / "meta.json").write_text(json.dumps(meta))
    checksums.write(folder, sums)


def _folder(key: str) -> Path:
    return home() / "store" / key


def _note(path: Path, member: str) -> Path:
    name = hashlib.sha256(os.fsencode(path.resolve()) + b"\0" + os.fsencode(member)).hexdigest()
    return home() / "seen" / f"{name}.json"


def _stamp(path: Path) -> list[int]:
    stat = path.stat()
    return [FORMAT, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DataError(
            f"cannot write the store in {folder}: {error.strerror or error}; "
            "free some space, or set ROUTEREVAL_HOME to a folder that can be written"
        ) from error

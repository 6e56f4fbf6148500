"""The store: one folder per benchmark's data, named by content, memory-mapped when opened."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import shutil
import tempfile
from functools import lru_cache
from pathlib import Path

from routereval.data import checksums, remote
from routereval.data.benchmark import BenchmarkData
from routereval.data.folders import open_folder, write_files
from routereval.data.home import FORMAT, home, writing
from routereval.data.seen_files import remember, seen_key
from routereval.errors import DataError, MissingDataError


def content_key(*parts: str) -> str:
    """The key of data made from these parts (a content's sha256, the options it was read with)."""
    return hashlib.sha256("\0".join((str(FORMAT), *parts)).encode()).hexdigest()


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
    with writing(folder.parent):
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=".new-", dir=folder.parent))
        try:
            write_files(temporary, data, link=True)
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


def _folder(key: str) -> Path:
    return home() / "store" / key

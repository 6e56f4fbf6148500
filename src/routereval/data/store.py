"""The store: one folder per benchmark's data, named by content, memory-mapped when opened."""

from __future__ import annotations

import hashlib
import logging
import shutil
import tempfile
from functools import lru_cache
from pathlib import Path

from routereval.data import remote
from routereval.data.benchmark import BenchmarkData
from routereval.data.checking import ensure_whole
from routereval.data.folders import open_folder, write_files
from routereval.data.home import FORMAT, home, writing
from routereval.errors import DataError, MissingDataError


def content_key(*parts: str) -> str:
    """The key of data made from these parts (a content's sha256, the options it was read with)."""
    return hashlib.sha256("\0".join((str(FORMAT), *parts)).encode()).hexdigest()


def find(key: str, *, remake: bool = True) -> BenchmarkData | None:
    """The data stored under this key, every file of them what was written, or None.

    Parameters
    ----------
    remake : where a file is damaged, say so, remove the folder and return None: the source is at hand, and the folder
        is made again. Without it the folder stays as it is.

    Raises
    ------
    DataError : a file is damaged, and it is not to be made again.
    """
    folder = _folder(key)
    if not _is_here(folder):
        return None
    try:
        ensure_whole(folder)
        return open_folder(folder)
    except DataError as error:
        if not remake:
            raise
        logging.getLogger(__name__).warning("%s; it is made again", str(error).rpartition("; ")[0])
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
    ensure_whole(folder)
    return open_folder(folder)


@lru_cache(maxsize=32)
def reopen(folder: Path, data_hash: str = "", url: str = "", promise: str = "") -> BenchmarkData:
    """What a worker makes of data sent to it, once per process: the folder of the driver, else its own of that hash.

    Its files are hashed, unless the driver has hashed them on the same machine.

    Parameters
    ----------
    folder : where the driver has the data: a folder that is shared, or the same machine.
    data_hash : which data.
    url : where they are fetched from if they are not here; see :mod:`routereval.data.remote`.
    promise : what the driver knows of its folder; see :func:`routereval.data.checking.promise_of`.

    Raises
    ------
    MissingDataError : they are not here, and there is no URL or they are not there.
    DataError : other data, or a file is not what was written.
    """
    if _is_here(folder) or not data_hash:
        found = folder
        ensure_whole(found, promise)
    else:
        found = _folder(data_hash)
        _have_whole(found, data_hash, url, folder)
    data = open_folder(found)
    if data_hash and data.data_hash != data_hash:
        raise DataError(
            f"{found} holds data {data.data_hash[:12]}..., and {data_hash[:12]}... were planned; "
            "remove it where it is wrong, or run the same command again"
        )
    return data


def _have_whole(own: Path, data_hash: str, url: str, wanted: Path) -> None:
    """Make sure that this machine's own copy is here and whole; fetched where it is neither."""
    if _is_here(own):
        try:
            ensure_whole(own)
        except DataError as error:
            if not url:
                raise
            logging.getLogger(__name__).warning("%s; it is fetched again", str(error).rpartition("; ")[0])
            shutil.rmtree(own, ignore_errors=True)
        else:
            return
    if not url:
        raise MissingDataError(
            f"a worker has no data {wanted}; let workers share ROUTEREVAL_HOME with the driver, or set "
            f"{remote.VARIABLE} to a URL that both reach (s3://bucket/path, file:///shared/folder)"
        )
    remote.fetch(data_hash, url, own)


def _is_here(folder: Path) -> bool:
    return (folder / "meta.json").is_file()


def _folder(key: str) -> Path:
    return home() / "store" / key

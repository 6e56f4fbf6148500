"""The store by URL: a driver puts data where its workers find them, a worker fetches them once into its own store.

``$ROUTEREVAL_STORE`` is the URL, of anything fsspec knows: ``s3://bucket/path`` (with the extra ``s3``), ``gs://``,
``file:///shared/folder``, ``https://`` to read only::

    <URL>/<data hash>/meta.json, *.npy, SHA256SUMS
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from routereval.data import checksums
from routereval.errors import DataError, MissingDataError

VARIABLE = "ROUTEREVAL_STORE"


def url() -> str:
    """The URL of the store that drivers and workers share; empty where there is none."""
    return os.environ.get(VARIABLE, "").rstrip("/")


def publish(folder: Path, data_hash: str, where: str) -> bool:
    """Copy a folder of the store there, if it is not there yet; whether it was copied.

    Raises
    ------
    DataError : it cannot be written.
    MissingDataError : the package for this kind of URL is not installed.
    """
    files, root = _open(where)
    target = f"{root}/{data_hash}"
    try:
        # The sums come last: where they are, all is.
        if files.exists(f"{target}/{checksums.NAME}"):
            return False
        if not checksums.read(folder):
            with tempfile.TemporaryDirectory() as work:
                copy = Path(work) / data_hash
                shutil.copytree(folder, copy)
                checksums.write(copy)
                _put(files, copy, target)
        else:
            _put(files, folder, target)
    except Exception as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"cannot write the store {where}: {type(error).__name__}: {error}") from error
    return True


def fetch(data_hash: str, where: str, into: Path) -> None:
    """Copy the data of this hash from there to a folder, every file's sum checked; all of it or nothing.

    Raises
    ------
    MissingDataError : they are not there, or the package for this kind of URL is not installed.
    DataError : what arrived is not what was written, or it cannot be read or kept.
    """
    files, root = _open(where)
    source = f"{root}/{data_hash}"
    try:
        into.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=".new-", dir=into.parent))
    except OSError as error:
        raise DataError(
            f"cannot write {into.parent}: {error.strerror}; set ROUTEREVAL_HOME to another folder"
        ) from error
    try:
        try:
            files.get_file(f"{source}/{checksums.NAME}", str(temporary / checksums.NAME))
            for name in checksums.read(temporary):
                files.get_file(f"{source}/{name}", str(temporary / name))
        except FileNotFoundError as error:
            raise MissingDataError(f"data {data_hash[:12]}... are not in {where} ({error})") from error
        except DataError:
            raise
        except Exception as error:
            raise DataError(f"cannot read the store {where}: {type(error).__name__}: {error}") from error
        if wrong := checksums.damaged(temporary) or _left_out(temporary):
            raise DataError(
                f"{where}/{data_hash} is damaged: {'; '.join(wrong)}; "
                "remove it there, and the driver puts it there again"
            )
        try:
            temporary.rename(into)
        except OSError:
            # Another process of this machine was first, with the same content.
            if not (into / "meta.json").is_file():
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _left_out(folder: Path) -> list[str]:
    """What the data are made of and the list of sums does not name: it was cut, and so is this copy."""
    names = [checksums.META]
    with suppress(OSError, ValueError, TypeError, KeyError):  # which is for whoever opens it to say
        names += [f"{name}.npy" for name in json.loads((folder / checksums.META).read_text(encoding="utf-8"))["arrays"]]
    return checksums.unlisted(checksums.read(folder), names)


def _put(files: Any, folder: Path, target: str) -> None:
    files.makedirs(target, exist_ok=True)
    for name in [*checksums.read(folder), checksums.NAME]:
        files.put_file(str(folder / name), f"{target}/{name}")


def _open(where: str) -> tuple[Any, str]:
    import fsspec

    try:
        files, root = fsspec.core.url_to_fs(where)
    except ImportError as error:
        raise MissingDataError(
            f"the store {where} needs a package that is not installed ({error}); for s3: pip install 'routereval[s3]'"
        ) from error
    except ValueError as error:
        raise MissingDataError(f"${VARIABLE} is {where!r}: {error}") from error
    return files, str(root).rstrip("/")

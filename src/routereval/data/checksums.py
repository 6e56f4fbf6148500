"""Which file of a folder of the store is not what was written: ``SHA256SUMS``, as ``sha256sum --check`` reads it.

Mapping an array hashes nothing: only its size and header are looked at. See :mod:`routereval.data.checking` for when
files are hashed.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

from routereval.errors import DataError

NAME = "SHA256SUMS"


def write(folder: Path, known: dict[str, str] | None = None) -> None:
    """Write the sums of every file in a folder.

    Parameters
    ----------
    known : sums by file name that need not be computed again.
    """
    known = known or {}
    names = sorted(path.name for path in folder.iterdir() if path.name != NAME)
    lines = [f"{known.get(name) or sha256_of(folder / name)}  {name}\n" for name in names]
    (folder / NAME).write_text("".join(lines), encoding="utf-8")


def read(folder: Path) -> dict[str, str]:
    """The sum of each file, by name; empty for a folder from before there were any.

    Raises
    ------
    DataError : the file of sums is damaged itself.
    """
    try:
        text = (folder / NAME).read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{folder / NAME} is damaged ({error}); {how_to_rebuild(folder)}") from error
    found = [re.fullmatch(r"([0-9a-f]{64})  ([^/\0]+)", line) for line in text.splitlines()]
    sums = {match[2]: match[1] for match in found if match is not None}
    if len(sums) != len(found) or not text.endswith("\n"):
        raise DataError(f"{folder / NAME} is damaged: it is no list of sums; {how_to_rebuild(folder)}")
    return sums


def damaged(folder: Path) -> list[str]:
    """What is wrong with each file that is not what was written, a sentence each; empty where all are."""
    wrong = []
    for name, expected in read(folder).items():
        path = folder / name
        if not path.is_file():
            wrong.append(f"{name} is missing")
        elif (actual := sha256_of(path)) != expected:
            wrong.append(f"{name} has sha256 {actual[:12]}..., {expected[:12]}... was written")
    return wrong


def check(folder: Path) -> None:
    """Make sure that every file is what was written.

    Raises
    ------
    DataError : one is not; says which, and how to rebuild it.
    """
    if wrong := damaged(folder):
        raise DataError(f"{folder} is damaged: {'; '.join(wrong)}; {how_to_rebuild(folder)}")


def how_to_rebuild(folder: Path) -> str:
    """What to do about a damaged folder."""
    try:
        source = json.loads((folder / "meta.json").read_text(encoding="utf-8"))["source"]
    except (OSError, ValueError, KeyError, TypeError):
        source = "its source"
    return f"remove the folder, and it is made again from {source} by the same command"


def sha256_of(path: Path) -> str:
    """The sha256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fingerprint(folder: Path) -> str:
    """Changes when any file of the folder does, as far as sizes and times tell."""
    stats = [(path.name, *_times(path)) for path in sorted(folder.iterdir())]
    return hashlib.sha256(json.dumps(stats).encode()).hexdigest()


def _times(path: Path) -> tuple[int, int, int]:
    # Not when the inode changed: another name for the file, which the store makes for data that share it, counts there.
    stat = path.stat()
    return stat.st_size, stat.st_mtime_ns, stat.st_ino

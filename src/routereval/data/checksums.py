"""Which file of a folder of the store is not what was written: ``SHA256SUMS``, as ``sha256sum --check`` reads it.

Mapping an array hashes nothing: only its size and header are looked at. See :mod:`routereval.data.checking` for when
files are hashed.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Iterable
from pathlib import Path

from routereval.errors import DataError

NAME = "SHA256SUMS"
META = "meta.json"


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
    """What is wrong with files that are not what was written, in sentences; empty where all are.

    A list of sums that was cut at the end of a line is a list still: an array without a sum is one that nobody vouches
    for. What else lies there (a README, notes of a file manager) is never read, and may.
    """
    sums = read(folder)
    wrong = []
    for name, expected in sums.items():
        path = folder / name
        if not path.is_file():
            wrong.append(f"{name} is missing")
        elif (actual := sha256_of(path)) != expected:
            wrong.append(f"{name} has sha256 {actual[:12]}..., {expected[:12]}... was written")
    if sums:
        wrong += unlisted(sums, (path.name for path in folder.iterdir() if _is_data(path.name)))
    return wrong


def unlisted(sums: Collection[str], names: Iterable[str]) -> list[str]:
    """A sentence about those files that have no sum; none where all of them have one."""
    without = sorted(set(names).difference(sums))
    more = f" and {len(without) - 3} more" if len(without) > 3 else ""
    return [f"{NAME} lacks {', '.join(without[:3])}{more}"] if without else []


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
        source = json.loads((folder / META).read_text(encoding="utf-8"))["source"]
    except (OSError, ValueError, KeyError, TypeError):
        source = "its source"
    return f"remove the folder, and it is made again from {source} by the same command"


def _is_data(name: str) -> bool:
    """Whether it is one of the files that a folder is read from."""
    return name == META or (name.endswith(".npy") and not name.startswith("."))


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

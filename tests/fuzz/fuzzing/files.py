"""An input of a reader as one string of bytes: the files of a folder, one line of JSON with names and sizes first."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

Files = dict[str, bytes]
"""Content by name; a name may lie in a folder below."""


def packed(files: Mapping[str, bytes]) -> bytes:
    """The files as one input."""
    head = json.dumps({name: len(content) for name, content in files.items()})
    return head.encode() + b"\n" + b"".join(files.values())


def unpacked(data: bytes) -> Files | None:
    """The files in an input; None where it is no input."""
    head, newline, rest = data.partition(b"\n")
    try:
        sizes = json.loads(head)
    except (ValueError, RecursionError):
        return None
    if not newline or not isinstance(sizes, dict) or not all(isinstance(size, int) for size in sizes.values()):
        return None
    files, start = {}, 0
    for name, size in sizes.items():
        if not is_inside(name):
            return None
        files[name] = rest[start : start + size]
        start += size
    return files


def is_inside(name: str) -> bool:
    """Whether a file of this name lies in the folder it is written to."""
    path = PurePosixPath(name)
    return bool(name) and name.isascii() and name.isprintable() and not path.is_absolute() and ".." not in path.parts


def written(files: Mapping[str, bytes], folder: Path) -> None:
    """Write them into a folder."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

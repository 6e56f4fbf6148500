"""Which data a file held when it was last read, so that a large one is hashed once and not at every command."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from pathlib import Path

from routereval.data.home import FORMAT, home, writing


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
    with writing(note.parent):
        note.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=".new-", dir=note.parent)
        try:
            with os.fdopen(handle, "w") as file:
                json.dump({"path": str(path), "member": member, "stamp": _stamp(path), "key": key}, file)
            Path(name).replace(note)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


def _note(path: Path, member: str) -> Path:
    name = hashlib.sha256(os.fsencode(path.resolve()) + b"\0" + os.fsencode(member)).hexdigest()
    return home() / "seen" / f"{name}.json"


def _stamp(path: Path) -> list[int]:
    stat = path.stat()
    return [FORMAT, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]

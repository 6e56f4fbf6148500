"""The folder of a submission: which files it has, within limits, none of them outside of it."""

from __future__ import annotations

import stat
from dataclasses import dataclass
from pathlib import Path

from routereval.errors import DataError, MissingDataError
from routereval.submissions.metadata import template

PREDICTIONS = ("predictions.jsonl", "predictions.csv", "predictions.parquet")
METADATA = ("submission.toml", "submission.json")
TRAINING = ("training_prompts.jsonl",)

MEGABYTE = 1_000_000
LIMITS = {PREDICTIONS: 1000 * MEGABYTE, METADATA: MEGABYTE, TRAINING: 1000 * MEGABYTE}
"""How large each file may be, bytes."""


@dataclass(frozen=True)
class Folder:
    """The files of a submission that are read; None where there is none that may be.

    Parameters
    ----------
    problems : what rules the folder out.
    unread : names of what else lies there.
    """

    path: Path
    predictions: Path | None
    metadata: Path | None
    training: Path | None
    problems: tuple[str, ...]
    unread: tuple[str, ...]


def open_folder(path: Path) -> Folder:
    """Look at a folder; nothing in it is opened, and nothing below it is looked at.

    Raises
    ------
    MissingDataError : there is no such folder.
    """
    if not path.is_dir():
        raise MissingDataError(f"there is no folder {path}; make one with: routereval submit --init {path}")
    problems: list[str] = []
    found = {names: _file(path, names, problems) for names in LIMITS}
    for names, what in ((PREDICTIONS, "predictions"), (METADATA, "description")):
        if found[names] is None and not any(_there(path / name) for name in names):
            problems.append(f"there is no file of {what}: {' or '.join(names)}")
    known = {name for names in LIMITS for name in names}
    unread = tuple(sorted(one.name for one in path.iterdir() if one.name not in known))
    return Folder(path, found[PREDICTIONS], found[METADATA], found[TRAINING], tuple(problems), unread)


def _file(folder: Path, names: tuple[str, ...], problems: list[str]) -> Path | None:
    """The one file of these names, if it may be read."""
    present = [name for name in names if _there(folder / name)]
    if len(present) > 1:
        problems.append(f"there are {' and '.join(present)}; keep one of them")
    if len(present) != 1:
        return None
    path = folder / present[0]
    try:
        real = path.resolve(strict=True)
        about = real.stat()
    except (OSError, RuntimeError) as error:
        problems.append(f"{path.name} leads nowhere: {error}")
        return None
    if not real.is_relative_to(folder.resolve()):
        problems.append(f"{path.name} is a link to outside of the folder; put the file itself there")
    elif not stat.S_ISREG(about.st_mode):
        problems.append(f"{path.name} is no regular file")
    elif about.st_size > LIMITS[names]:
        problems.append(
            f"{path.name} has {about.st_size / MEGABYTE:,.0f} MB; at most {LIMITS[names] / MEGABYTE:,.0f} MB are read"
        )
    else:
        return real
    return None


def _there(path: Path) -> bool:
    return path.exists() or path.is_symlink()


def start(path: Path) -> Path:
    """Write a ``submission.toml`` to be filled in; the folder is made where there is none.

    Raises
    ------
    DataError : there is a description already, or it cannot be written.
    """
    for name in METADATA:
        if _there(path / name):
            raise DataError(f"{path / name} is there already; edit it, or name another folder")
    try:
        path.mkdir(parents=True, exist_ok=True)
        made = path / METADATA[0]
        made.write_text(template(), encoding="utf-8")
    except OSError as error:
        raise DataError(f"cannot write to {path}: {error}") from error
    return made

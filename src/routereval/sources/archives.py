"""Where published files lie on disk, loose or in a zip, and how one is opened once its packing is checked."""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from routereval.errors import DataError, UnsafeFileError

MAX_RATIO = 80
"""How many times its packed size a member of an archive may unpack to; the published ones reach 50."""


@dataclass(frozen=True)
class Location:
    """Where a pickle lies: a file, or a member of a zip archive."""

    path: Path
    member: str = ""

    def __str__(self) -> str:
        return f"{self.path} ({self.member})" if self.member else str(self.path)


@dataclass(frozen=True)
class FileKind:
    """One kind of published file.

    Parameters
    ----------
    folder : what its archive unpacks to; the archive is ``{folder}.zip``.
    pattern : a regular expression of how a path ends; the group ``key`` says which of its kind a file is.
    depth : how many folders a file lies below ``folder``.
    """

    folder: str
    pattern: str
    depth: int = 0

    def key(self, path: str) -> str | None:
        """Which of its kind the file with this path is; None where it is not of this kind."""
        found = re.search(rf"(?:^|/){self.pattern}$", path)
        # macOS adds a folder __MACOSX and files that begin with "._" beside the real ones.
        parts = PurePosixPath(path).parts
        return None if found is None or "__MACOSX" in parts or parts[-1].startswith(".") else found["key"]


def find(kind: FileKind, root: Path) -> dict[str, Location]:
    """Every file of a kind that a folder offers, by key; names are read, contents are not.

    ``root`` may be the kind's own folder, the folder that holds it or its zip, that one's parent, a zip, or one file;
    a folder level may be doubled. A loose file wins over the same one in a zip, and what lies nearer to ``root`` over
    what lies deeper. Folders inside ``root`` are searched only where nothing nearer is found.

    Raises
    ------
    UnsafeFileError : a zip with a member named outside of it.
    DataError : a zip that cannot be read.
    """
    if root.is_file():
        if zipfile.is_zipfile(root) or root.suffix == ".zip":
            return _members(kind, root)
        key = kind.key(root.name)
        return {} if key is None else {key: Location(root)}
    try:
        return _in_folder(kind, root) or _first_wins(
            _in_folder(kind, child) for child in sorted(root.glob("*/")) if not child.name.startswith(".")
        )
    except OSError as error:
        raise DataError(f"cannot look into {root}: {error.strerror or error}") from error


def _in_folder(kind: FileKind, folder: Path) -> dict[str, Location]:
    """The files of a kind in one folder, loose or zipped, and one or two levels below it."""
    places = (folder, folder / kind.folder, folder / kind.folder / kind.folder)
    loose = (
        {
            key: Location(path)
            for path in sorted(place.glob("*/" * kind.depth + "[!.]*.pkl"))
            if path.is_file() and (key := kind.key(path.relative_to(place).as_posix()))
        }
        for place in places
    )
    archives = (place / f"{kind.folder}.zip" for place in places)
    return _first_wins((*loose, *(_members(kind, archive) for archive in archives if archive.is_file())))


def _first_wins(offers: Iterable[dict[str, Location]]) -> dict[str, Location]:
    """All offers in one, sorted by key; of two for one key the earlier."""
    merged: dict[str, Location] = {}
    for offer in offers:
        merged = {**offer, **merged}
    return dict(sorted(merged.items()))


def _members(kind: FileKind, archive: Path) -> dict[str, Location]:
    """The files of a kind in a zip; of two members for one key the one less deep."""
    with open_archive(archive) as opened:
        names = member_names(opened, archive)
    names.sort(key=lambda name: (name.count("/"), name))
    return _first_wins({key: Location(archive, name)} for name in names if (key := kind.key(name)))


def member_names(opened: zipfile.ZipFile, archive: Path) -> list[str]:
    """The names of the files in an open zip.

    Raises
    ------
    UnsafeFileError : a member named outside of it.
    """
    names = [info.filename for info in opened.infolist() if info.filename and not info.is_dir()]
    outside = [name for name in names if _leaves_the_archive(name)]
    if outside:
        raise UnsafeFileError(
            f"{archive} was refused: {len(outside)} members are named outside of it (first: {outside[0]!r}); "
            "nothing was unpacked. Get the archive again from where it was published"
        )
    return names


def _leaves_the_archive(name: str) -> bool:
    path = PurePosixPath(name.replace("\\", "/"))
    return path.is_absolute() or ".." in path.parts or bool(re.match(r"[A-Za-z]:", name))


@contextmanager
def open_archive(path: Path) -> Iterator[zipfile.ZipFile]:
    """A zip, opened for reading; whatever is wrong with it is a ``DataError``."""
    with _faults_of(path), zipfile.ZipFile(path) as opened:
        yield opened


@contextmanager
def _faults_of(path: Path) -> Iterator[None]:
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read as a zip archive: {error}; get it again") from error


@contextmanager
def opened(
    where: Location, archive: zipfile.ZipFile | None = None, max_ratio: int = MAX_RATIO
) -> Iterator[tuple[BinaryIO, int]]:
    """The pickle's bytes as a stream and how many there are; of an archive nothing is written to disk.

    Parameters
    ----------
    archive : the zip that holds it, where it is open already.
    max_ratio : how many times its packed size it may unpack to.
    """
    if where.member:
        with _faults_of(where.path), nullcontext(archive) if archive else open_archive(where.path) as zipped:
            info = zipped.getinfo(where.member)
            _check_packing(info, where, max_ratio)
            with zipped.open(info) as member, io.BufferedReader(member) as file:  # type: ignore[type-var]
                yield file, info.file_size
    else:
        try:
            with where.path.open("rb") as file:
                yield file, where.path.stat().st_size
        except OSError as error:
            raise DataError(f"cannot read {where}: {error.strerror or error}") from error


def _check_packing(info: zipfile.ZipInfo, where: Location, max_ratio: int) -> None:
    # zipfile never yields more than the size a member declares, and what it declares is checked here; but it unpacks
    # bzip2 and LZMA in one go, whatever comes out.
    if info.flag_bits & 1:
        raise DataError(f"{where} is encrypted; unpack it yourself and point --data at the folder")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise UnsafeFileError(
            f"{where} is packed with method {info.compress_type}; expected stored or deflated, whose size can be "
            "bounded. Unpack it yourself and point --data at the folder"
        )
    packed = min(info.compress_size, where.path.stat().st_size)
    if info.file_size > max_ratio * packed:
        ratio = info.file_size / max(1, packed)
        raise UnsafeFileError(
            f"{where} was refused: {packed:,} bytes unpack to {info.file_size:,}, {ratio:.0f} times as many, and "
            f"published files stay below {max_ratio} times. If you trust it, unpack it yourself and "
            "point --data at the folder"
        )

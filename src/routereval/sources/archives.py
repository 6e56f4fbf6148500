"""Where router datasets lie on disk, loose or in a zip, and how one is opened once its packing is checked."""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from routereval.errors import DataError, UnsafeFileError

SUFFIX = "_router_dataset.pkl"
ARCHIVE = "router_dataset.zip"
FOLDER = "router_dataset"

MAX_RATIO = 80
"""How many times its packed size a member of an archive may unpack to; the published ones reach 47."""


@dataclass(frozen=True)
class Location:
    """Where one benchmark's pickle lies: a file, or a member of a zip archive."""

    path: Path
    member: str = ""

    def __str__(self) -> str:
        return f"{self.path} ({self.member})" if self.member else str(self.path)


def in_folder(folder: Path) -> dict[str, Location]:
    """The router datasets in one folder, loose or zipped, and one or two ``router_dataset`` levels below it."""
    places = (folder, folder / FOLDER, folder / FOLDER / FOLDER)
    loose = (
        {_key_of(path.name): Location(path) for path in sorted(place.glob(f"[!.]*{SUFFIX}")) if path.is_file()}
        for place in places
    )
    zipped = (members(place / ARCHIVE) for place in places if (place / ARCHIVE).is_file())
    return first_wins((*loose, *zipped))


def first_wins(offers: Iterable[dict[str, Location]]) -> dict[str, Location]:
    """All offers in one, sorted by benchmark; of two for one benchmark the earlier."""
    merged: dict[str, Location] = {}
    for offer in offers:
        merged = {**offer, **merged}
    return dict(sorted(merged.items()))


def _key_of(name: str) -> str:
    return PurePosixPath(name).name.removesuffix(SUFFIX)


def members(archive: Path) -> dict[str, Location]:
    """The router datasets in a zip; of two members for one benchmark the one less deep."""
    with _archive(archive) as opened:
        names = [info.filename for info in opened.infolist() if not info.is_dir()]
    outside = [name for name in names if _leaves_the_archive(name)]
    if outside:
        raise UnsafeFileError(
            f"{archive} was refused: {len(outside)} members are named outside of it (first: {outside[0]!r}); "
            "nothing was unpacked. Get the archive again from where it was published"
        )
    # macOS adds a folder __MACOSX and files that begin with "._" beside the real ones.
    wanted = [
        name
        for name in names
        if name.endswith(SUFFIX)
        and "__MACOSX" not in PurePosixPath(name).parts
        and not PurePosixPath(name).name.startswith(".")
    ]
    wanted.sort(key=lambda name: (name.count("/"), name))
    return first_wins({_key_of(name): Location(archive, name)} for name in wanted)


def _leaves_the_archive(name: str) -> bool:
    path = PurePosixPath(name.replace("\\", "/"))
    return path.is_absolute() or ".." in path.parts or bool(re.match(r"[A-Za-z]:", name))


@contextmanager
def _archive(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(path) as opened:
            yield opened
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read as a zip archive: {error}; get it again") from error


@contextmanager
def opened(where: Location) -> Iterator[tuple[BinaryIO, int]]:
    """The pickle's bytes as a stream and how many there are; of an archive nothing is written to disk."""
    if where.member:
        with _archive(where.path) as archive:
            info = archive.getinfo(where.member)
            _check_packing(info, where)
            with archive.open(info) as member, io.BufferedReader(member) as file:  # type: ignore[type-var]
                yield file, info.file_size
    else:
        try:
            with where.path.open("rb") as file:
                yield file, where.path.stat().st_size
        except OSError as error:
            raise DataError(f"cannot read {where}: {error.strerror or error}") from error


def _check_packing(info: zipfile.ZipInfo, where: Location) -> None:
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
    if info.file_size > MAX_RATIO * packed:
        ratio = info.file_size / max(1, packed)
        raise UnsafeFileError(
            f"{where} was refused: {packed:,} bytes unpack to {info.file_size:,}, {ratio:.0f} times as many, and "
            f"router datasets stay below {MAX_RATIO} times. If you trust it, unpack it yourself and "
            "point --data at the folder"
        )

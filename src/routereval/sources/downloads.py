"""The published files from Hugging Face: pinned, checked, resumed where the line was cut, never unpacked."""

from __future__ import annotations

import glob
import hashlib
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from routereval import facts
from routereval.errors import DataError, MissingDataError
from routereval.sources.download_sets import files_of

SUMS = "SHA256SUMS"
"""Where hashes are recorded of files that nobody has published one of: the same file is expected ever after."""

SPARE = 50_000_000
"""Bytes that should be left on the disk."""


@dataclass(frozen=True)
class Download:
    """One file as it lies on the disk now.

    Parameters
    ----------
    sha256 : of its content.
    how : ``there`` already, ``copied`` or ``downloaded``; whether its hash was ``known`` or is now recorded.
    """

    path: Path
    sha256: str
    how: str
    known: bool


def download_all(
    sets: Sequence[str], out: Path, *, mirror: Path | None = None, endpoint: str | None = None
) -> Iterator[Download]:
    """Have all files of some sets, one after another; there must be room for all of them before the first is fetched.

    Raises
    ------
    ParameterError, MissingDataError, DataError : as ``files_of`` and :func:`download`.
    """
    wanted = files_of(sets, mirror=mirror, endpoint=endpoint)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"cannot write {out}: {error.strerror or error}") from error
    absent = [one for one in wanted if not (out / one.file).is_file()]
    if len(absent) > 1:
        have = sum(part.stat().st_size for one in absent for part in _parts_of(out / one.file))
        _check_space(out, sum(one.size or 0 for one in absent) - have, f"{len(absent)} files")
    for one in wanted:
        yield download(one.file, out, mirror=mirror, endpoint=endpoint, listed=one.sha256)


def download(
    file: str, out: Path, *, mirror: Path | None = None, endpoint: str | None = None, listed: str | None = None
) -> Download:
    """Have a published file in a folder, whole and checked; what is there and checks out is not fetched again.

    Parameters
    ----------
    mirror : a folder with the file, copied instead of downloaded.
    endpoint : of the Hugging Face Hub or a mirror of it; ``$HF_ENDPOINT`` where None.
    listed : the sha256 that the repository's own list gives for the file; a published one counts for more.

    Raises
    ------
    MissingDataError : the server, or the mirror, does not have it.
    DataError : too little space, a line that stays cut, or a content that is not the expected one.
    """
    target = out / file
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        expected = facts.downloads().sha256.get(file) or listed or _recorded(out).get(file)
        if target.is_file():
            return _checked(target, file, expected, "there")
        part = _copied(mirror / file, target) if mirror is not None else _fetched(file, target, endpoint)
        found = _checked(part, file, expected, "copied" if mirror is not None else "downloaded")
        part.rename(target)
        _record(out, file, found.sha256)
    except OSError as error:
        raise DataError(f"cannot write {target}: {error.strerror or error}") from error
    return Download(target, found.sha256, found.how, found.known)


def _checked(path: Path, file: str, expected: str | None, how: str) -> Download:
    with path.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
    if expected is not None and digest != expected:
        if how != "there":
            path.unlink()
        advice = "remove it and fetch it again" if how == "there" else "it was not kept; fetch it again"
        raise DataError(f"{file} in {path.parent} has sha256 {digest}; expected {expected}: {advice}")
    return Download(path, digest, how, expected is not None)


def _parts_of(target: Path) -> list[Path]:
    """What came of a file before the line was cut."""
    return list(target.parent.glob(f".{glob.escape(target.name)}.*.part"))


def _copied(source: Path, target: Path) -> Path:
    if not source.is_file():
        raise MissingDataError(f"there is no {source}")
    part = target.parent / f".{source.name}.part"
    _check_space(target.parent, source.stat().st_size, source.name)
    shutil.copyfile(source, part)
    return part


def _fetched(file: str, target: Path, endpoint: str | None) -> Path:
    """The whole file beside its place; what came before the line was cut is kept for the next time."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_url
    from huggingface_hub.errors import HfHubHTTPError
    from huggingface_hub.file_download import http_get

    facts_ = facts.downloads()
    url = hf_hub_url(facts_.repository, file, repo_type="dataset", revision=facts_.revision, endpoint=endpoint)
    try:
        about = get_hf_file_metadata(url, endpoint=endpoint)
        # Named by what the server calls the content: the rest of another one would not fit.
        part = target.parent / f".{target.name}.{hashlib.sha256((about.etag or '').encode()).hexdigest()[:12]}.part"
        have = part.stat().st_size if part.is_file() else 0
        if about.size is not None:
            _check_space(target.parent, about.size - have, file)
        with part.open("ab") as opened:
            http_get(about.location, opened, resume_size=have, expected_size=about.size, displayed_filename=file)
    except HfHubHTTPError as error:
        status = error.response.status_code if error.response is not None else "no answer"
        raise MissingDataError(f"{url} cannot be had: status {status}") from error
    except DataError:
        raise
    except Exception as error:  # which HTTP library speaks, and so what it raises, depends on the version
        raise DataError(
            f"the download of {file} was cut off ({type(error).__name__}: {error}); what came is kept, "
            "the same command carries on"
        ) from error
    return part


def _check_space(out: Path, needed: int, file: str) -> None:
    free = shutil.disk_usage(out).free
    if free < needed + SPARE:
        raise DataError(
            f"no room for {file}: {needed:,} bytes to come, and {out} has {free:,} left; free some space, or choose "
            "another folder"
        )


def _recorded(out: Path) -> dict[str, str]:
    path = out / SUMS
    if not path.is_file():
        return {}
    try:
        lines = [line.split(maxsplit=1) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        return {name: digest for digest, name in lines}
    except ValueError as error:  # a line of one word, or what is no text
        raise DataError(f"{path} is damaged ({error}); remove it, and the hashes are recorded anew") from error


def _record(out: Path, file: str, digest: str) -> None:
    if file in facts.downloads().sha256 or _recorded(out).get(file) == digest:
        return
    sums = _recorded(out) | {file: digest}
    (out / SUMS).write_text("".join(f"{digest}  {name}\n" for name, digest in sorted(sums.items())), encoding="utf-8")

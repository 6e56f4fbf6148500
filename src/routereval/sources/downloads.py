"""The published files from Hugging Face: pinned, checked, resumed where the line was cut, never unpacked."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from routereval import facts
from routereval.errors import DataError, MissingDataError, ParameterError

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


def files_of(sets: Sequence[str]) -> list[str]:
    """The files of these sets, each once.

    Raises
    ------
    ParameterError : no such set.
    """
    known = facts.downloads().sets
    for name in sets:
        if name not in known:
            raise ParameterError(f"unknown set {name!r}; expected {' or '.join(known)}")
    return list(dict.fromkeys(file for name in sets for file in known[name]))


def download(file: str, out: Path, *, mirror: Path | None = None, endpoint: str | None = None) -> Download:
    """Have a published file in a folder, whole and checked; what is there and checks out is not fetched again.

    Parameters
    ----------
    mirror : a folder with the file, copied instead of downloaded.
    endpoint : of the Hugging Face Hub or a mirror of it; ``$HF_ENDPOINT`` where None.

    Raises
    ------
    MissingDataError : the server, or the mirror, does not have it.
    DataError : too little space, a line that stays cut, or a content that is not the expected one.
    """
    target = out / file
    try:
        out.mkdir(parents=True, exist_ok=True)
        expected = facts.downloads().sha256.get(file) or _recorded(out).get(file)
        if target.is_file():
            return _checked(target, file, expected, "there")
        part = _copied(mirror / file, out) if mirror is not None else _fetched(file, out, endpoint)
        found = _checked(part, file, expected, "copied" if mirror is not None else "downloaded")
        part.rename(target)
    except OSError as error:
        raise DataError(f"cannot write {target}: {error.strerror or error}") from error
    if expected is None:
        _record(out, file, found.sha256)
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


def _copied(source: Path, out: Path) -> Path:
    if not source.is_file():
        raise MissingDataError(f"there is no {source}")
    part = out / f".{source.name}.part"
    _check_space(out, source.stat().st_size, source.name)
    shutil.copyfile(source, part)
    return part


def _fetched(file: str, out: Path, endpoint: str | None) -> Path:
    """The whole file beside its place; what came before the line was cut is kept for the next time."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_url
    from huggingface_hub.errors import HfHubHTTPError
    from huggingface_hub.file_download import http_get

    facts_ = facts.downloads()
    url = hf_hub_url(facts_.repository, file, repo_type="dataset", revision=facts_.revision, endpoint=endpoint)
    try:
        about = get_hf_file_metadata(url, endpoint=endpoint)
        # Named by what the server calls the content: the rest of another one would not fit.
        part = out / f".{file}.{hashlib.sha256((about.etag or '').encode()).hexdigest()[:12]}.part"
        have = part.stat().st_size if part.is_file() else 0
        if about.size is not None:
            _check_space(out, about.size - have, file)
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
            f"{file} needs {needed:,} bytes and {out} has {free:,} left; free some space, or choose another folder"
        )


def _recorded(out: Path) -> dict[str, str]:
    path = out / SUMS
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return {name: digest for digest, name in (line.split(maxsplit=1) for line in lines if line.strip())}


def _record(out: Path, file: str, digest: str) -> None:
    sums = _recorded(out) | {file: digest}
    (out / SUMS).write_text("".join(f"{digest}  {name}\n" for name, digest in sorted(sums.items())), encoding="utf-8")

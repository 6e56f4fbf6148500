"""Which files a set stands for: named in the facts, or listed from the repository or a copy of it."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from routereval import facts
from routereval.errors import DataError, MissingDataError, ParameterError

ARCHIVE = ".zip"


@dataclass(frozen=True)
class Wanted:
    """One file that is to be had.

    Parameters
    ----------
    file : its path in the repository, and below the folder it is to lie in.
    sha256, size : of its content and in bytes, as far as the repository's list says so.
    """

    file: str
    sha256: str | None = None
    size: int | None = None


def files_of(sets: Sequence[str], *, mirror: Path | None = None, endpoint: str | None = None) -> list[Wanted]:
    """The files of these sets, each once.

    Parameters
    ----------
    mirror : a folder with a copy; folders are listed from it instead of from the repository.
    endpoint : of the Hugging Face Hub or a mirror of it; ``$HF_ENDPOINT`` where None.

    Raises
    ------
    ParameterError : no such set; says the nearest one.
    MissingDataError : the repository, or the copy, has no such folder, or no archives in it.
    DataError : the list cannot be had, or names a file outside of its folder.
    """
    known = facts.downloads()
    for name in sets:
        if name not in known.sets and name not in known.folders:
            names = [*known.sets, *known.folders]
            near = difflib.get_close_matches(name, names, n=2, cutoff=0.6)
            several = " or ".join(map(repr, near))
            raise ParameterError(
                f"unknown set {name!r}; "
                + (f"did you mean {several}?" if near else f"expected one of {', '.join(names)}")
            )
    found: dict[str, Wanted] = {}
    for name in sets:
        for file in known.sets.get(name, ()):
            found.setdefault(file, Wanted(file))
        for folder in known.folders.get(name, ()):
            listed = _listed(folder, endpoint) if mirror is None else _copies(folder, mirror)
            if not listed:
                raise MissingDataError(f"{folder} of {mirror or known.repository} has no {ARCHIVE} files")
            for wanted in listed:
                found.setdefault(wanted.file, wanted)
    return list(found.values())


def _copies(folder: str, mirror: Path) -> list[Wanted]:
    if not (mirror / folder).is_dir():
        raise MissingDataError(f"there is no folder {mirror / folder}")
    paths = sorted(path for path in (mirror / folder).rglob(f"[!.]*{ARCHIVE}") if path.is_file())
    return [Wanted(path.relative_to(mirror).as_posix(), size=path.stat().st_size) for path in paths]


def _listed(folder: str, endpoint: str | None) -> list[Wanted]:
    """The archives in a folder of the repository, at the pinned revision, with the hashes it gives of them."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError
    from huggingface_hub.hf_api import RepoFile

    known = facts.downloads()
    try:
        tree = HfApi(endpoint=endpoint).list_repo_tree(
            known.repository, folder, recursive=True, revision=known.revision, repo_type="dataset"
        )
        files = [entry for entry in tree if isinstance(entry, RepoFile) and entry.path.endswith(ARCHIVE)]
    except HfHubHTTPError as error:
        status = error.response.status_code if error.response is not None else "no answer"
        raise MissingDataError(f"{folder} of {known.repository} cannot be listed: status {status}") from error
    except Exception as error:  # which HTTP library speaks, and so what it raises, depends on the version
        raise DataError(
            f"{folder} of {known.repository} cannot be listed ({type(error).__name__}: {error}); try again, or copy "
            "from a folder with --from"
        ) from error
    for entry in files:
        # What the server says becomes a path on this disk.
        path = PurePosixPath(entry.path)
        if not entry.path.startswith(f"{folder}/") or ".." in path.parts or "\\" in entry.path or ":" in entry.path:
            raise DataError(f"the list of {folder} names {entry.path!r}, which lies outside of it; nothing was fetched")
    return [Wanted(entry.path, entry.lfs.sha256 if entry.lfs else None, entry.size) for entry in files]

"""Submissions in the results file: who handed in which predictions, and what they say of their router."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from routereval.errors import ResultsError
from routereval.results.run import PREDICTIONS_FILE, RunSpec
from routereval.results.sqlite_file import connect, reporting

SCHEMA = """
CREATE TABLE IF NOT EXISTS submissions (
    submission TEXT PRIMARY KEY,  -- sha256 of the router's name and of its predictions file
    router TEXT NOT NULL,         -- as its runs have it
    sha256 TEXT NOT NULL,         -- of the predictions file, as the parameters of its runs have it
    metadata TEXT NOT NULL,       -- JSON object: text, lists of text, truth values
    warnings TEXT NOT NULL,       -- JSON list: what the check found that does not rule it out
    added TEXT NOT NULL           -- UTC, ISO 8601
) WITHOUT ROWID;
"""

LINKS = ("url", "code_url", "paper_url")
"""Entries of the metadata that are addresses."""


@dataclass(frozen=True)
class Submission:
    """What is known of the runs that came by one predictions file.

    Parameters
    ----------
    router, sha256 : as in the spec of its runs: the name, and the predictions file's hash.
    metadata : what its folder said, checked when it was added; all of it is somebody else's text.
    warnings : what the check found.
    added : when, UTC, ISO 8601; empty: not yet.
    """

    router: str
    sha256: str
    metadata: Mapping[str, Any]
    warnings: tuple[str, ...] = field(default=())
    added: str = ""

    @property
    def key(self) -> str:
        """sha256 of the router's name and its predictions."""
        return hashlib.sha256(f"{self.router}\0{self.sha256}".encode()).hexdigest()

    @property
    def authors(self) -> tuple[str, ...]:
        """Their names."""
        said = self.metadata.get("authors", ())
        return tuple(str(one) for one in said) if isinstance(said, list | tuple) else (str(said),)

    @property
    def links(self) -> dict[str, str]:
        """Addresses by what they are: http and https only, whatever the file says."""
        return {name: str(self.metadata[name]) for name in LINKS if is_web_address(self.metadata.get(name))}

    def made(self, spec: RunSpec) -> bool:
        """Whether a run is one of this submission's."""
        return spec.router == self.router and spec.params.get("sha256") == self.sha256


def is_web_address(value: object) -> bool:
    """Whether this is an absolute http or https address, in printable ASCII without spaces and quotes."""
    from urllib.parse import urlsplit

    if not isinstance(value, str) or not value.isascii() or not value.isprintable() or set(value) & set(" \"'<>\\`"):
        return False
    try:
        parts = urlsplit(value)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.username is None
    except ValueError:
        return False


def put_submission(path: Path, submission: Submission) -> None:
    """Store a submission in a results file; one that is there with the same predictions is described anew.

    Raises
    ------
    ResultsError : another submission has this name, or the file cannot be written.
    """
    with closing(connect(path, create=True)) as connection, reporting(path):
        connection.execute(SCHEMA)
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            others = "SELECT 1 FROM submissions WHERE router = ? AND submission <> ?"
            if connection.execute(others, (submission.router, submission.key)).fetchone():
                name = submission.router.removeprefix(PREDICTIONS_FILE)
                raise ResultsError(
                    f"{path} has a submission called {name!r} with other predictions; runs of both would pass for one "
                    "router. Give the router another name, with a version, say"
                )
            connection.execute(
                "INSERT INTO submissions VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (submission) "
                "DO UPDATE SET metadata = excluded.metadata, warnings = excluded.warnings",
                (
                    submission.key,
                    submission.router,
                    submission.sha256,
                    json.dumps(dict(submission.metadata), sort_keys=True),
                    json.dumps(list(submission.warnings)),
                    submission.added or datetime.now(UTC).isoformat(timespec="seconds"),
                ),
            )


def submissions_in(path: Path) -> list[Submission]:
    """Every submission in a results file, by when it was added; none in a file that never had any.

    Raises
    ------
    ResultsError : no results file, or one that cannot be read.
    """
    if not path.is_file():
        raise ResultsError(f"there is no results file {path}")
    with closing(connect(path, create=False)) as connection, reporting(path):
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'submissions'").fetchone():
            return []  # a file from before there were any
        rows = connection.execute(
            "SELECT router, sha256, metadata, warnings, added FROM submissions ORDER BY added, router"
        )
        return [_read(path, row) for row in rows]


def _read(path: Path, row: tuple[Any, ...]) -> Submission:
    router, sha256, metadata, warnings, added = row
    try:
        said, found = json.loads(metadata), json.loads(warnings)
        if not isinstance(said, dict) or not isinstance(found, list):
            raise TypeError("not an object and a list")
    except (ValueError, TypeError, RecursionError) as error:
        raise ResultsError(f"results file {path}: the submission {router!r} is damaged: {error}") from error
    return Submission(str(router), str(sha256), said, tuple(map(str, found)), str(added))

"""Embeddings that were computed once: one SQLite file per encoder and revision, one row per text.

``$ROUTEREVAL_HOME`` or the user's cache directory holds them::

    embeddings/<name>-<hash>.sqlite     text (sha256) -> embedding (float32), whether the text was cut

A batch is one transaction, so a row is there whole or not at all, and several processes may read and write at once.
"""

from __future__ import annotations

import hashlib
import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from routereval.data.home import home
from routereval.errors import DataError

FORMAT = 1
"""Version of the files' layout; part of their names, so a new layout never reads an old file."""

BUSY_SECONDS = 60.0
"""How long one process waits for another to finish a batch."""

_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS about (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS embeddings "
    "(text BLOB PRIMARY KEY, vector BLOB NOT NULL, cut INTEGER NOT NULL) WITHOUT ROWID",
)
_AT_ONCE = 500


def hash_of(text: str) -> bytes:
    """What a text is found by."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


@dataclass(frozen=True)
class EmbeddingCache:
    """The embeddings of one encoder, or the hidden states of one network.

    Parameters
    ----------
    name : of the encoder, parameters included, for people.
    key : everything the numbers depend on; of another key, another file.
    """

    name: str
    key: tuple[str, ...]

    @property
    def path(self) -> Path:
        """Its file, whether it exists or not."""
        digest = hashlib.sha256("\0".join((str(FORMAT), *self.key)).encode("utf-8", "surrogatepass")).hexdigest()
        readable = re.sub(r"[^A-Za-z0-9]+", "_", self.name)[:60].strip("_")
        return home() / "embeddings" / f"{readable}-{digest[:16]}.sqlite"

    def get(self, hashes: Sequence[bytes]) -> dict[bytes, tuple[NDArray[np.float32], bool]]:
        """The embedding of each of these texts that has one, and whether the text was cut."""
        found = {}
        with self._open() as connection:
            for start in range(0, len(hashes), _AT_ONCE):
                some = hashes[start : start + _AT_ONCE]
                marks = ",".join("?" * len(some))
                query = f"SELECT text, vector, cut FROM embeddings WHERE text IN ({marks})"
                for text, vector, cut in connection.execute(query, some):
                    if not isinstance(vector, bytes) or len(vector) % 4 or not vector:
                        raise DataError(f"{self.path} is damaged: it holds what is no embedding; remove it")
                    found[text] = np.frombuffer(vector, dtype="<f4"), bool(cut)
        if len({len(vector) for vector, _ in found.values()}) > 1:
            raise DataError(f"{self.path} is damaged: embeddings differ in length; remove it")
        if not all(np.isfinite(vector).all() for vector, _ in found.values()):
            raise DataError(f"{self.path} is damaged: an embedding is not finite; remove it")
        return found

    def put(self, hashes: Sequence[bytes], vectors: NDArray[np.float32], cut: NDArray[np.bool_], limit: str) -> None:
        """Keep a batch, all of it or nothing; a text that is there already stays as it is.

        Parameters
        ----------
        limit : how much of a text the encoder reads, for people.

        Raises
        ------
        DataError : an embedding is not finite, or the file cannot be written.
        """
        if vectors.ndim != 2 or len(vectors) != len(hashes) or not np.isfinite(vectors).all():
            raise DataError(
                f"{self.name} gave embeddings of shape {vectors.shape} for {len(hashes)} texts, or some are not finite"
            )
        rows = [
            (text, vector.astype("<f4").tobytes(), int(was_cut))
            for text, vector, was_cut in zip(hashes, vectors, cut, strict=True)
        ]
        about = {"encoder": self.name, "key": "\n".join(self.key), "limit": limit}
        with self._open() as connection:
            # Immediate: of two that begin to write, one waits from the start, and neither has to give way halfway.
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany("INSERT OR IGNORE INTO embeddings VALUES (?, ?, ?)", rows)
            connection.executemany("INSERT OR IGNORE INTO about VALUES (?, ?)", about.items())
            connection.execute("COMMIT")

    @property
    def limit(self) -> str:
        """What :meth:`put` was told of how much of a text is read."""
        with self._open() as connection:
            row = connection.execute("SELECT value FROM about WHERE key = 'limit'").fetchone()
        return str(row[0]) if row else ""

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with closing(sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None)) as connection:
                if not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                    connection.execute("BEGIN IMMEDIATE")
                    for table in _SCHEMA:
                        connection.execute(table)
                    connection.execute("COMMIT")
                yield connection
        except (sqlite3.Error, OSError, UnicodeDecodeError) as error:
            what = str(error)
            if "not a database" in what or "malformed" in what:
                hint = "it is damaged; remove it, and the texts are encoded again"
            else:
                hint = "free some space, or set ROUTEREVAL_HOME to a folder that can be written"
            raise DataError(f"embeddings in {self.path}: {what}; {hint}") from error

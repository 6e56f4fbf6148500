"""The file of results as SQLite has it: whose it is, its tables, how it is opened, and its errors as ours."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from routereval.errors import ResultsError
from routereval.results import curves, records

APPLICATION_ID = 0x52744576  # "RtEv": how a SQLite file says whose it is
VERSION = 3
"""1: runs; 2: tuning and seconds of predicting as well; 3: part of the training prompts, and scenarios."""
BUSY_SECONDS = 60.0

_SCHEMA = """
CREATE TABLE runs (
    key TEXT PRIMARY KEY,        -- sha256 of the canonical JSON of the columns up to code
    scenario TEXT NOT NULL,
    router TEXT NOT NULL,
    params TEXT NOT NULL,        -- JSON
    encoder TEXT NOT NULL,
    protocol TEXT NOT NULL,
    seed INTEGER NOT NULL,
    data_hash TEXT NOT NULL,     -- names the data in the store
    code TEXT NOT NULL,          -- sha256 of the source of a router that is not ours, or empty
    error TEXT,                  -- NULL where the run succeeded; a failed run is done again
    seconds REAL NOT NULL,
    ended TEXT NOT NULL,         -- UTC, ISO 8601
    metrics TEXT NOT NULL,       -- JSON: value by metric, null where it does not exist
    intervals TEXT NOT NULL,     -- JSON: [low, high] by metric
    notes TEXT NOT NULL,         -- JSON
    versions TEXT NOT NULL,      -- JSON: of this package and of what it computes with
    prompts INTEGER NOT NULL,    -- n
    models INTEGER NOT NULL,     -- m
    columns TEXT NOT NULL,       -- JSON: names of the rows of per_prompt
    per_prompt BLOB,             -- zlib of float64 (columns, n)
    counted BLOB,                -- zlib of uint8 (n): which prompts count
    share BLOB,                  -- zlib of float64 (m): how often each candidate is chosen
    choices BLOB,                -- zlib of int32 (n): position of the chosen candidate, -1 where none; NULL: it draws
    tuning TEXT,                 -- JSON: parameters tried and chosen; NULL where they were given
    predict_seconds REAL,        -- the part of seconds that went into predicting
    train_size INTEGER           -- how many training prompts it learnt from; NULL: all
) WITHOUT ROWID;
"""


def connect(path: Path, create: bool) -> sqlite3.Connection:
    """A connection to a results file, made where there is none and ``create`` says so.

    Raises
    ------
    ResultsError : not a results file of ours, one from a newer version, an empty one, or one that cannot be opened.
    """
    with reporting(path):
        if create:
            path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(path, timeout=BUSY_SECONDS)
        else:
            connection = _open_for_reading(path)
        try:
            empty = _check(connection, path)
            if create:
                _prepare(connection)
            elif empty:
                raise ResultsError(f"{path} is empty: nothing was stored in it yet")
        except BaseException:
            connection.close()
            raise
    return connection


def _open_for_reading(path: Path) -> sqlite3.Connection:
    uri = path.resolve().as_uri()
    connection = sqlite3.connect(f"{uri}?mode=ro", uri=True, timeout=BUSY_SECONDS)
    try:
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.OperationalError:
        # A file in WAL mode in a folder that cannot be written: nobody else can be writing it either.
        connection.close()
        connection = sqlite3.connect(f"{uri}?immutable=1", uri=True)
    return connection


def _check(connection: sqlite3.Connection, path: Path) -> bool:
    """Whether the file is empty; one that is neither that nor ours is an error."""
    owner = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    empty = bool(connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0)
    if owner != APPLICATION_ID and not (empty and owner == 0 and version == 0):
        raise ResultsError(
            f"{path} is a SQLite database, but not a RouterEval results file; name another with --results"
        )
    if version > VERSION:
        raise ResultsError(
            f"{path} has format {version}, written by a newer RouterEval; this one reads up to {VERSION}: "
            "pip install --upgrade routereval"
        )
    return empty


def _prepare(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    # Two processes may get here at once: the second waits, and finds the table.
    connection.isolation_level = None
    connection.execute("BEGIN IMMEDIATE")
    try:
        if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
            connection.execute(_SCHEMA)
            connection.execute(curves.SCHEMA)
            connection.execute(records.SCHEMA)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {VERSION}")
        elif connection.execute("PRAGMA user_version").fetchone()[0] < VERSION:
            have = {row[1] for row in connection.execute("PRAGMA table_info(runs)")}
            for column in ("tuning TEXT", "predict_seconds REAL", "train_size INTEGER"):
                if column.split()[0] not in have:
                    connection.execute(f"ALTER TABLE runs ADD COLUMN {column}")
            connection.execute(curves.SCHEMA)
            connection.execute(records.SCHEMA)
            connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.isolation_level = "DEFERRED"


@contextmanager
def reporting(path: Path) -> Iterator[None]:
    """SQLite's and the system's errors as ours."""
    try:
        yield
    except (sqlite3.Error, OSError, UnicodeDecodeError) as error:
        what = str(error)
        if "full" in what:
            hint = "free some space; every run that had ended is stored, and the same command carries on"
        elif "not a database" in what or "malformed" in what or isinstance(error, UnicodeDecodeError):
            hint = "it is not a results file of ours, or it is damaged; name another with --results"
        elif "locked" in what:
            hint = f"another process held it for more than {BUSY_SECONDS:.0f} seconds"
        else:
            hint = "check that the folder exists and can be written"
        raise ResultsError(f"results file {path}: {what}; {hint}") from error

"""Results files of several people as one: equal runs once, what contradicts named, nothing written by halves.

Every table is read in the order of its primary key from all files at once, so rows of one key come together and no more
than one row of each file is in memory.
"""

from __future__ import annotations

import heapq
import os
import secrets
import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any, Literal, get_args

from routereval.errors import ParameterError, ResultsError
from routereval.results.merged_rows import RULES, Row, Rules
from routereval.results.sqlite_file import connect, reporting

Preference = Literal["first", "last", "newest"]
"""Which file is right where two contradict: the first or last of those given, or the one with the newest row."""

_LOCKED_SECONDS = 5.0


@dataclass(frozen=True)
class Conflict:
    """Something that files say differently.

    Parameters
    ----------
    table : of the results file: ``runs``, ``curves``, ``scenarios``, ``submissions``.
    what : the run (router and scenario), the curve or the scenario.
    files : those that have it and take part, in the order they were given.
    differences : how each of the others differs from the first, a sentence each.
    taken : the file whose row was taken; None where nothing was.
    """

    table: str
    what: str
    files: tuple[Path, ...]
    differences: tuple[str, ...]
    taken: Path | None = None

    def __str__(self) -> str:
        taken = "" if self.taken is None else f"; taken from {self.taken}"
        return f"{self.what} ({', '.join(map(str, self.files))}): {'; '.join(self.differences)}{taken}"


@dataclass(frozen=True)
class MergeReport:
    """What came of merging.

    Parameters
    ----------
    out, files : what was written, and from what.
    written : False where there were conflicts and no preference: ``out`` is as it was before.
    rows : how many rows each table has now, or would have.
    read : how many runs each file has.
    failed : how many of the runs are failed ones.
    same : how many runs were there more than once with the same outcome.
    superseded : how many failed runs gave way to one that succeeded, or to a later failure.
    conflicts : all of them, by table and key.
    notes : what else a reader should know.
    """

    out: Path
    files: tuple[Path, ...]
    written: bool
    rows: Mapping[str, int]
    read: Mapping[Path, int]
    failed: int
    same: int
    superseded: int
    conflicts: tuple[Conflict, ...] = ()
    notes: tuple[str, ...] = ()


def merge(
    paths: Sequence[str | Path], out: str | Path, prefer: Preference | None = None, *, force: bool = False
) -> MergeReport:
    """Put the runs, curves and scenarios of several results files into one.

    A run that is in several files with the same choices and metrics is one run (seconds, dates and versions may differ;
    the row with most per-prompt columns is taken, then the first). A failed run gives way to one that succeeded. A key
    with different outcomes is a conflict.

    Parameters
    ----------
    paths : results files, of this or an older format; none is changed, unless it is ``out``.
    out : written beside and renamed when complete.
    prefer : whom to believe in a conflict; None: report all of them and write nothing. ``newest`` goes by when a run
        ended; curves and scenarios have no date, so the file with the newest run decides.
    force : replace ``out`` where it exists and is none of the files.

    Returns
    -------
    MergeReport : look at ``written``.

    Raises
    ------
    ResultsError : a file that is not there, not ours, newer or damaged; an ``out`` that exists or cannot be written.
    ParameterError : no file, or an unknown preference.
    """
    files = _distinct([Path(path) for path in paths])
    if not files:
        raise ParameterError("nothing to merge: give at least one results file")
    if prefer is not None and prefer not in get_args(Preference):
        raise ParameterError(f"prefer is {prefer!r}; expected one of {', '.join(get_args(Preference))}")
    for file in files:
        if not file.is_file():
            raise ResultsError(f"there is no results file {file}")
    # A link to a file is that file: its target is replaced, not the link.
    target = Path(out).resolve()
    if target.exists() and not force and not any(file.samefile(target) for file in files):
        raise ResultsError(f"{out} exists and is none of the files to merge; name another, or replace it with --force")
    beside = target.with_name(f".{target.name}.{secrets.token_hex(4)}.merging")
    try:
        report = _merged(files, beside, prefer)
        if report.written:
            _replace(target, beside)
    finally:
        for ending in ("", "-wal", "-shm", "-journal"):
            beside.with_name(beside.name + ending).unlink(missing_ok=True)
    return replace(report, out=Path(out))


def _distinct(paths: Sequence[Path]) -> tuple[Path, ...]:
    found: list[Path] = []
    for path in paths:
        if not any(path == one or (path.exists() and one.exists() and path.samefile(one)) for one in found):
            found.append(path)
    return tuple(found)


def _merged(files: Sequence[Path], beside: Path, prefer: Preference | None) -> MergeReport:
    rows: dict[str, int] = {}
    counts: Counter[str] = Counter()
    conflicts: list[Conflict] = []
    with ExitStack() as stack:
        sources = [_Source.opened(i, file, stack) for i, file in enumerate(files)]
        if prefer == "newest":
            sources = [one.dated() for one in sources]
        with reporting(beside):
            made = stack.enter_context(closing(connect(beside, create=True)))
            # Nobody sees this file before it is whole, so it needs no journal.
            made.execute("PRAGMA journal_mode = OFF")
            made.execute("PRAGMA synchronous = OFF")
            made.isolation_level = None
            made.execute("BEGIN")
        for rules in RULES:
            having = [one for one in sources if rules.table in one.tables]
            if not having:
                continue
            with reporting(beside):
                made.execute(rules.schema)
                columns = _columns(made, rules.table)
            rows[rules.table] = 0
            for group in _groups(rules, having):
                row, conflict = _settled(rules, group, prefer, counts)
                if conflict is not None:
                    conflicts.append(conflict)
                rows[rules.table] += 1
                if conflict is None or prefer is not None:
                    with reporting(beside):
                        _insert(made, rules.table, [name for name in row if name in columns], row)
                if rules.table == "runs":
                    counts["failed"] += row["error"] is not None
        written = not conflicts or prefer is not None
        notes = _namesakes(made) if "submissions" in rows else ()
        if written:
            with reporting(beside):
                made.execute("COMMIT")
                made.execute("PRAGMA synchronous = FULL")
                made.execute("PRAGMA journal_mode = WAL")
        read = {one.path: counts[f"runs of {one.place}"] for one in sources}
    return MergeReport(
        *(beside, tuple(files), written, rows, read, counts["failed"], counts["same"], counts["superseded"]),
        conflicts=tuple(conflicts),
        notes=notes,
    )


def _namesakes(made: sqlite3.Connection) -> tuple[str, ...]:
    """Submissions that share a name: reports would take their runs for those of one router."""
    query = "SELECT router, count(*) FROM submissions GROUP BY router HAVING count(*) > 1"
    return tuple(
        f"{count} submissions with different predictions are called {router!r}; reports take them for one router"
        for router, count in made.execute(query)
    )


@dataclass(frozen=True)
class _Source:
    """One of the files, open for reading and standing still: a transaction holds what it had at the start."""

    place: int
    path: Path
    connection: sqlite3.Connection
    tables: Mapping[str, tuple[str, ...]]
    newest: str = ""

    @classmethod
    def opened(cls, place: int, path: Path, stack: ExitStack) -> _Source:
        """The file, open until the stack is left; a ResultsError where it lacks a column that every version wrote."""
        connection = stack.enter_context(closing(connect(path, create=False)))
        with reporting(path):
            connection.isolation_level = None
            connection.execute("BEGIN")
            names = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            tables = {rules.table: _columns(connection, rules.table) for rules in RULES if rules.table in names}
        for rules in RULES:
            lacking = set(rules.needed) - set(tables.get(rules.table, rules.needed))
            if lacking or (rules.table == "runs" and "runs" not in tables):
                raise ResultsError(
                    f"results file {path}: its table {rules.table} lacks {', '.join(sorted(lacking)) or 'everything'}; "
                    "it is damaged, or not ours"
                )
        return cls(place, path, connection, tables)

    def dated(self) -> _Source:
        """The same, with the time at which the newest of its runs ended."""
        with reporting(self.path):
            (newest,) = self.connection.execute("SELECT max(ended) FROM runs").fetchone()
        return replace(self, newest=str(newest or ""))

    def rows(self, rules: Rules) -> Iterator[tuple[tuple[Any, ...], int, _Source, Row]]:
        """One table's rows, ascending by key: the key, this file's place among the files, the file, the row."""
        names = self.tables[rules.table]
        with reporting(self.path):
            for values in self.connection.execute(
                f"SELECT {', '.join(names)} FROM {rules.table} ORDER BY {', '.join(rules.key)}"
            ):
                row = dict(zip(names, values, strict=True))
                key = tuple(row[name] for name in rules.key)
                if not all(isinstance(value, kind) for value, kind in zip(key, rules.key_types, strict=True)):
                    raise ResultsError(f"results file {self.path}: a row of {rules.table} has no key; it is damaged")
                yield key, self.place, self, row


_Member = tuple[_Source, Row]


def _groups(rules: Rules, sources: Sequence[_Source]) -> Iterator[list[_Member]]:
    """The rows of each key, in the order of the files."""
    merged = heapq.merge(*(one.rows(rules) for one in sources), key=lambda found: found[:2])
    for _, members in groupby(merged, key=lambda found: found[0]):
        yield [(source, row) for _, _, source, row in members]


def _settled(
    rules: Rules, group: Sequence[_Member], prefer: Preference | None, counts: Counter[str]
) -> tuple[Row, Conflict | None]:
    """The row to keep, and the conflict there is about it."""
    if rules.table == "runs":
        counts.update(f"runs of {source.place}" for source, _ in group)
    standing = [member for member in group if rules.succeeded(member[1])]
    counts["superseded"] += len(group) - max(1, len(standing)) if rules.table == "runs" else 0
    if not standing:
        # As the store has it: a failure gives way to a later one.
        return max(group, key=lambda member: (rules.date(member[1]), member[0].place))[1], None
    first = standing[0]
    differing = [(source, rules.differences(first[1], row)) for source, row in standing[1:]]
    if not any(said for _, said in differing):
        counts["same"] += len(standing) - 1 if rules.table == "runs" else 0
        return max(standing, key=lambda member: (rules.richness(member[1]), -member[0].place))[1], None
    taken = first
    if prefer == "last":
        taken = standing[-1]
    elif prefer == "newest":
        taken = max(standing, key=lambda member: (rules.date(member[1]) or member[0].newest, -member[0].place))
    conflict = Conflict(
        rules.table,
        rules.name(first[1]),
        tuple(source.path for source, _ in standing),
        tuple(f"{first[0].path} and {source.path}: {one}" for source, said in differing for one in said),
        None if prefer is None else taken[0].path,
    )
    return taken[1], conflict


def _columns(connection: sqlite3.Connection, table: str) -> tuple[str, ...]:
    return tuple(row[1] for row in connection.execute(f"PRAGMA table_info({table})"))


def _insert(connection: sqlite3.Connection, table: str, names: Sequence[str], row: Row) -> None:
    marks = ", ".join("?" * len(names))
    connection.execute(f"INSERT INTO {table} ({', '.join(names)}) VALUES ({marks})", tuple(row[name] for name in names))


def _replace(target: Path, beside: Path) -> None:
    """Put the complete file in the place of whatever is there."""
    with reporting(target):
        with beside.open("rb+") as file:
            os.fsync(file.fileno())
        if target.exists():
            _let_go(target)
            beside.chmod(target.stat().st_mode & 0o777)
        beside.replace(target)


def _let_go(target: Path) -> None:
    """See to it that the old file is nobody's and that its journal is not taken for the new one's."""
    try:
        with closing(sqlite3.connect(target, timeout=_LOCKED_SECONDS)) as old:
            old.execute("PRAGMA journal_mode = DELETE")
    except sqlite3.DatabaseError as error:
        # Whatever else it is, a damaged file or none of SQLite's: to replace it is what was asked for.
        if "locked" in str(error):
            raise ResultsError(
                f"results file {target} is open elsewhere; end what uses it, or write to another file"
            ) from error
    for ending in ("-wal", "-shm", "-journal"):
        with suppress(FileNotFoundError):
            target.with_name(target.name + ending).unlink()

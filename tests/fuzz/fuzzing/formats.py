"""Files changed at random by what they are: JSON as values, archives by member, arrays by header, tables by cell."""

from __future__ import annotations

import gzip
import io
import json
import pickle
import pickletools
import random
import sqlite3
import tempfile
import warnings
import zipfile
import zlib
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from fuzzing.damage import NASTY, NUMBERS, damaged, encoded, retyped
from fuzzing.files import Files, is_inside
from fuzzing.parquet_server import SERVER
from fuzzing.values import changed

Change = Callable[[bytes, random.Random], bytes]


def mutated(files: Files, rng: random.Random, other: Files | None = None) -> Files:
    """Files of which one is changed, taken away, renamed or replaced by another's."""
    out = dict(files)
    if not out:
        return dict(other or {})
    names = list(out)
    name = rng.choice(names)
    match rng.randrange(20):
        case 0:
            del out[name]
        case 1:
            out[name] = rng.choice(list((other or out).values()) or [b""])
        case 2:
            new = retyped(name, rng)
            if is_inside(new) and len(new) < 100 and not any(one.startswith(f"{new}/") for one in names):
                out[new] = out.pop(name)
        case 3 if other:
            out |= {one: content for one, content in other.items() if rng.random() < 0.5}
        case _:
            for _ in range(rng.choice((1, 1, 2))):
                out[name] = content_changed(name, out[name], rng)
                name = rng.choice(list(out))
    return out


def content_changed(name: str, content: bytes, rng: random.Random) -> bytes:
    """A file's content changed as what its name says it is, or as bytes."""
    if rng.random() < 0.2:
        return damaged(content, rng)
    suffix = name.rpartition(".")[2].lower()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _BY_SUFFIX.get(suffix, _text)(content, rng)
    except Exception:  # it is no longer what its name says
        return damaged(content, rng)


def _text(content: bytes, rng: random.Random) -> bytes:
    return encoded(retyped(content.decode("utf-8", "surrogatepass"), rng))


def _json(content: bytes, rng: random.Random) -> bytes:
    if rng.random() < 0.3:
        return _text(content, rng)
    return encoded(json.dumps(changed(json.loads(content), rng), ensure_ascii=rng.random() < 0.5))


def _json_lines(content: bytes, rng: random.Random) -> bytes:
    if rng.random() < 0.4:
        return _text(content, rng)
    lines = content.decode("utf-8", "surrogatepass").split("\n")
    at = rng.randrange(len(lines))
    every = rng.random() < 0.2
    seed = rng.randrange(2**32)
    for i, line in enumerate(lines):
        if line and (every or i == at):
            lines[i] = json.dumps(changed(json.loads(line), random.Random(seed)), ensure_ascii=rng.random() < 0.5)
    return encoded("\n".join(lines))


def _array(content: bytes, rng: random.Random) -> bytes:
    if rng.random() < 0.4:
        return _array_header(content, rng)
    array = np.load(io.BytesIO(content), allow_pickle=False)
    new = changed(array, rng)
    out = io.BytesIO()
    np.save(out, np.asarray(new), allow_pickle=True)
    return out.getvalue()


def _array_header(content: bytes, rng: random.Random) -> bytes:
    """Another claim about type, order and shape over the same bytes."""
    version, length = content[6:8], int.from_bytes(content[8:10], "little")
    header = content[10 : 10 + length].decode("latin-1")
    header = retyped(header, rng)
    if rng.random() < 0.5:
        shape = tuple(rng.choice((0, 1, 3, 10**6, 10**9, 10**12, 2**63, -1)) for _ in range(rng.randint(0, 3)))
        header = repr(
            {"descr": rng.choice(("<f4", "<f8", "|O", "|b1", "<U9", "<M8[s]")), "fortran_order": False, "shape": shape}
        )
    raw = header.encode("latin-1", "replace")
    raw += b" " * (-(len(raw) + 11) % 64) + b"\n"
    return content[:6] + version + min(len(raw), 65535).to_bytes(2, "little") + raw + content[10 + length :]


def _archive(content: bytes, rng: random.Random) -> bytes:
    """A zip with another member, another name, another packing."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = [(info.filename, archive.read(info)) for info in archive.infolist()]
    at = rng.randrange(len(members)) if members else 0
    method = zipfile.ZIP_DEFLATED
    match rng.randrange(8) if members else 0:
        case 0:
            members.append((rng.choice(NASTY).encode("utf-8", "replace").decode(), b"x"))
        case 1:
            members[at] = (members[at][0] + rng.choice(("/../../x", "\\..\\x", "\0.pkl", "/")), members[at][1])
        case 2:
            members[at] = (f"../{members[at][0]}", members[at][1])
        case 3:
            members.append(members[at])
        case 4:
            method = rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA))
        case 5:
            members[at] = (members[at][0], members[at][1] + bytes(rng.choice((10**5, 10**7))))
        case _:
            members[at] = (members[at][0], content_changed(members[at][0], members[at][1], rng))
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return out.getvalue()


def _gzip(content: bytes, rng: random.Random) -> bytes:
    return gzip.compress(_text(gzip.decompress(content), rng), 1, mtime=0)


def _parquet(content: bytes, rng: random.Random) -> bytes:
    import polars as pl

    # Not by polars in this process: it may wait for ever on what earlier changes have made.
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "a", Path(folder) / "b"
        source.write_bytes(content)
        SERVER.start()
        if SERVER.converted(source, target, 10**6) is not None:
            return damaged(content, rng)
        frame = pl.read_ipc(target)
    columns = list(frame.columns)
    name = rng.choice(columns)
    match rng.randrange(7):
        case 0:
            frame = frame.drop(name)
        case 1:
            new = retyped(name, rng).encode("utf-8", "replace").decode()
            frame = frame.rename({name: new})
        case 2:
            kinds = (
                pl.Int8,
                pl.Int64,
                pl.UInt64,
                pl.Float32,
                pl.Float64,
                pl.String,
                pl.Boolean,
                pl.Categorical,
                pl.Date,
            )
            more = (
                pl.Binary,
                pl.Duration,
                pl.Time,
                pl.Datetime,
                pl.Decimal(10, 2),
                pl.Int128,
                pl.Null,
                pl.List(pl.Int8),
            )
            frame = frame.with_columns(frame[name].cast(rng.choice((*kinds, *more)), strict=False).alias(name))
        case 3:
            frame = frame.with_columns(frame[name].alias(rng.choice(NASTY).encode("utf-8", "replace").decode()))
        case 4:
            frame = frame[: rng.randint(0, len(frame))] if rng.random() < 0.5 else pl.concat([frame, frame])
        case 5:
            frame = frame.with_columns(frame.select(pl.struct(pl.all())).to_series().alias(name))
        case _:
            values = changed(frame[name].to_list(), rng)
            frame = frame.with_columns(pl.Series(name, values, strict=False))
    out = io.BytesIO()
    frame.write_parquet(out, compression=rng.choice(("zstd", "uncompressed", "snappy", "gzip", "lz4")))
    return out.getvalue()


def _pickle(content: bytes, rng: random.Random) -> bytes:
    if rng.random() < 0.5:
        return _opcodes(content, rng)
    from routereval.sources.unpickling import unpickle

    # Ours: Python's would run what earlier changes have made.
    value = unpickle(io.BytesIO(content), "seed", len(content), nested=True)
    return pickle.dumps(changed(value, rng), rng.randint(0, 5))


def _opcodes(content: bytes, rng: random.Random) -> bytes:
    starts = [position or 0 for _, _, position in pickletools.genops(content)] + [len(content)]
    pieces = [content[a:b] for a, b in pairwise(starts)]
    at, other = rng.randrange(len(pieces)), rng.randrange(len(pieces))
    match rng.randrange(6):
        case 0:
            del pieces[at]
        case 1:
            pieces.insert(at, pieces[other] * rng.choice((1, 1, 2, 1000)))
        case 2:
            pieces[at], pieces[other] = pieces[other], pieces[at]
        case 3:
            pieces[at] = damaged(pieces[at], rng)
        case 4:
            codes = [code.code for code in pickletools.opcodes]
            pieces.insert(
                at, rng.choice(codes).encode("latin-1") + rng.choice((b"", b"\0", b"\1\0\0\0", b"os\nsystem\n"))
            )
        case _:
            pieces = pieces[:at] + pieces[min(at, other) :]
    return b"".join(pieces)


def _database(content: bytes, rng: random.Random) -> bytes:
    """Another value in one row, or another of everything that is not rows."""
    connection = sqlite3.connect(":memory:")
    try:
        connection.deserialize(content)
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        table = rng.choice(tables)
        columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
        column = rng.choice(columns)
        match rng.randrange(12):
            case 0:
                connection.execute(f"DROP TABLE {table}")
            case 1:
                connection.execute(f"ALTER TABLE {table} RENAME COLUMN {column} TO other")
            case 2:
                connection.execute(
                    f"PRAGMA {rng.choice(('user_version', 'application_id'))} = {rng.choice((0, 1, 2, 3, 99, -1))}"
                )
            case 3:
                connection.execute(f"ALTER TABLE {table} ADD COLUMN other")
            case 4:
                connection.execute(f"DELETE FROM {table}")
            case _:
                values = [value for (value,) in connection.execute(f"SELECT {column} FROM {table}")]
                value = _cell(rng.choice(values) if values else None, rng)
                where = "" if rng.random() < 0.5 else f"WHERE {columns[0]} = (SELECT {columns[0]} FROM {table} LIMIT 1)"
                connection.execute(f"UPDATE {table} SET {column} = ? {where}", (value,))
        connection.commit()
        return connection.serialize()
    finally:
        connection.close()


def _cell(value: Any, rng: random.Random) -> Any:
    if isinstance(value, bytes) and rng.random() < 0.8:
        raw = zlib.decompress(value)
        if raw[:1] in b"[{":
            return zlib.compress(_json(raw, rng))
        return zlib.compress(damaged(raw, rng)) if rng.random() < 0.9 else zlib.compress(bytes(10**7))
    if isinstance(value, str) and value[:1] in ("[", "{"):
        return _json(value.encode(), rng).decode("utf-8", "replace")
    if isinstance(value, str) and rng.random() < 0.7:
        return retyped(value, rng).encode("utf-8", "replace").decode()
    extremes = (None, 0, -1, 1, 2**62, 2**63 - 1, -(2**63), 0.5, float("inf"), "", b"", b"x", "x", "5")
    return rng.choice((*extremes, rng.choice(NUMBERS), damaged(value, rng) if isinstance(value, bytes) else None))


_BY_SUFFIX: dict[str, Change] = {
    "json": _json,
    "jsonl": _json_lines,
    "ndjson": _json_lines,
    "npy": _array,
    "npz": _archive,
    "zip": _archive,
    "skops": _archive,
    "gz": _gzip,
    "parquet": _parquet,
    "pkl": _pickle,
    "sqlite": _database,
}

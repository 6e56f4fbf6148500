"""What every reader promises, whatever it is given: something valid, or an error of ours that can be printed.

Never another exception, never a long wait, never much memory, never a warning nobody asked for; nothing in a file is
run, and no file is made outside of the reader's own folder.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fuzzing import parquet_server
from fuzzing.files import Files, written
from fuzzing.reader import Reader
from routereval.errors import RouterEvalError
from routereval.report.printable import printable
from routereval.sources import parquet_files

SECONDS = 5.0
"""How long a reader may compute on a small file: processor time, since others may keep the machine busy."""

_ACTS = ("os.system", "os.exec", "os.posix_spawn", "os.fork", "subprocess.Popen", "socket.connect", "pickle.find_class")
_WRITES = ("os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate", "os.chmod")


@dataclass(frozen=True)
class Finding:
    """A promise that was broken.

    Parameters
    ----------
    kind : which promise, with what tells this finding from others: the exception's type and where it came from.
    detail : for people.
    """

    kind: str
    detail: str


class TooLongError(BaseException):
    """The reader took too long; no ``except Exception`` gets in its way."""


@dataclass
class _Watch:
    """What an audit hook notes; one for the process, as a hook cannot be taken away again."""

    folder: Path | None = None
    seen: list[str] = field(default_factory=list)
    installed: bool = False

    def install(self) -> None:
        if not self.installed:
            sys.addaudithook(self.hook)
            self.installed = True

    def hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.folder is None:
            return
        if event == "subprocess.Popen" and parquet_files.READER in arguments[1]:
            return  # the one process of ours
        if event == "pickle.find_class" and any("numba" in frame.filename for frame in traceback.extract_stack()):
            return  # its cache of compiled kernels
        if event in _ACTS or (event == "exec" and _of_a_string(arguments)):
            self.seen.append(f"{event} {arguments!r:.200}")
        elif event == "open" and len(arguments) > 2 and isinstance(arguments[2], int):
            if arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC):
                self.outside(event, arguments[0])
        elif event in _WRITES and (event == "os.truncate" or arguments[-1] == -1):
            # A path below an open folder (the last argument) is that folder's, not the current one's.
            self.outside(event, arguments[0])

    def outside(self, event: str, path: Any) -> None:
        assert self.folder is not None
        if isinstance(path, str | bytes):
            place = os.path.abspath(os.fsdecode(path))  # noqa: PTH100 - as it is named, wherever links lead
            if not place.startswith((str(self.folder), "/dev/null")) and "__pycache__" not in place:
                self.seen.append(f"{event} {place}")


def _of_a_string(arguments: tuple[Any, ...]) -> bool:
    # dataclasses, named tuples and NumPy make their own methods so when they are imported.
    name = getattr(arguments[0], "co_filename", "")
    return name == "<string>" and "importlib" not in "".join(traceback.format_stack(limit=40))


WATCH = _Watch()


@contextmanager
def _limited(seconds: float) -> Iterator[None]:
    def late(*_: Any) -> None:
        raise TooLongError

    before = signal.signal(signal.SIGPROF, late)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def broken_by(reader: Reader, files: Files, folder: Path, seconds: float = SECONDS) -> Finding | None:
    """The promise that a reader breaks on these files; None where it keeps them all.

    Parameters
    ----------
    folder : an empty one; the files go into ``in`` below it, and nothing but it may be written to.
    """
    place = folder / "in"
    place.mkdir(parents=True, exist_ok=True)
    try:
        written(files, place)
    except OSError:
        return None
    parquet_server.SERVER.restarted()
    WATCH.install()
    WATCH.seen.clear()
    WATCH.folder = folder
    elsewhere, tempfile.tempdir = tempfile.tempdir, str(folder)
    try:
        with warnings.catch_warnings(), _limited(seconds):
            warnings.simplefilter("error")
            reader.read(place)
    except RouterEvalError as error:
        finding = _unprintable(reader.name, error, 200_000 + 4 * sum(map(len, files.values())))
    except TooLongError as late:
        finding = Finding(f"{reader.name}: too long at {_place(late)}", _trace(late))
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a panic of polars is no Exception, nor is leaving
        finding = Finding(f"{reader.name}: {type(error).__name__} at {_place(error)}", _trace(error))
    else:
        finding = None
    finally:
        WATCH.folder = None
        tempfile.tempdir = elsewhere
    if WATCH.seen:
        return Finding(f"{reader.name}: acts: {WATCH.seen[0].split()[0]}", "; ".join(WATCH.seen[:5]))
    return finding


def _unprintable(reader: str, error: RouterEvalError, most: int) -> Finding | None:
    text = str(error)
    shown = printable(text, keep="\n")
    try:
        shown.encode()
    except UnicodeEncodeError:
        return Finding(f"{reader}: a message that cannot be printed at {_place(error)}", _trace(error))
    if not text.strip():
        return Finding(f"{reader}: {type(error).__name__} without a message at {_place(error)}", _trace(error))
    # A name of the file's may stand in it, however long, and every row that is wrong.
    if len(text) > most:
        return Finding(f"{reader}: a message longer than the file at {_place(error)}", shown[:500])
    return None


def _place(error: BaseException) -> str:
    """The innermost line of ours that it came through."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "routereval" in frame.filename and "tests" not in frame.filename]
    last = (ours or frames)[-1]
    return f"{Path(last.filename).name}:{last.name}"


def _trace(error: BaseException) -> str:
    return "".join(traceback.format_exception(error, limit=-8))[-3000:]

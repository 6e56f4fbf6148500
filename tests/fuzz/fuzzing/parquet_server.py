"""The reader of Parquet files as one process that goes on: to start one for each input would be most of the work."""

from __future__ import annotations

import os
import re
import select
import subprocess
import sys
from pathlib import Path

from routereval.sources import parquet_files

_LOOP = """
import sys, os
code = compile(sys.argv[1], "reader", "exec")
class Done(BaseException):
    pass
def leave(number):
    raise Done(number)
real = os._exit
os._exit = leave
for line in sys.stdin:
    sys.argv[1:] = line.rstrip("\\n").split("\\t")
    try:
        exec(code, {})
    except Done as done:
        print(f"={done.args[0]}", flush=True)
    except BaseException:
        real(1)
"""


_END = re.compile(rb"^=(\d+)\n", re.MULTILINE)


class Server:
    """A process that converts one file after another, started again when it dies or does not answer."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        if self._process is None or self._process.poll() is not None:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", _LOOP, parquet_files.READER],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def restarted(self) -> None:
        """Start it again where it stands for the package's and has died; while nobody watches what is started."""
        if parquet_files._converted == self.converted:
            self.start()

    def converted(self, source: Path, target: Path, most: int) -> str | None:
        """Stands for ``parquet_files._converted``."""
        process = self._process
        assert process is not None and process.stdin is not None and process.stdout is not None
        if process.poll() is not None:
            return "its reader gave up on it"
        process.stdin.write(f"{source.absolute()}\t{target}\t{most}\n".encode())
        process.stdin.flush()
        said = b""
        # Unbuffered: what was read ahead would not be waited for.
        while not (done := _END.search(said)) and select.select([process.stdout], [], [], 60.0)[0]:
            more = os.read(process.stdout.fileno(), 1 << 16)
            if not more:
                break
            said += more
        if done:
            message = said[: done.start()].decode("utf-8", "replace").strip()
            return None if done[1] == b"0" else message or "nothing was said"
        process.kill()
        process.communicate()
        return "its reader gave up on it"


SERVER = Server()


def install() -> None:
    """Let the server stand for the processes of the package, in this process alone."""
    SERVER.start()
    parquet_files._converted = SERVER.converted

"""Time to import, to print the help, and to print a stored demo run again.

python benchmarks/startup.py
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

MAIN = "import sys; sys.argv = ['routereval', *sys.argv[1:]]; from routereval.cli import main; main()"


def best_of(times: int, *words: str) -> float:
    """Seconds of the fastest of several runs of a Python command, interpreter included."""
    seconds = []
    for _ in range(times):
        start = time.perf_counter()
        subprocess.run([sys.executable, *words], check=True, capture_output=True)
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def main() -> int:
    """Measure and compare with what is allowed."""
    late = 0
    with tempfile.TemporaryDirectory() as folder:
        results = str(Path(folder) / "demo.sqlite")
        subprocess.run(
            [sys.executable, "-c", MAIN, "run", "demo", "--results", results], check=True, capture_output=True
        )
        for about, allowed, words in (
            ("import routereval", 0.3, ("-c", "import routereval")),
            ("routereval --help", 0.6, ("-c", MAIN, "--help")),
            ("routereval results (stored demo run)", 1.0, ("-c", MAIN, "results", results)),
        ):
            seconds = best_of(5, *words)
            late += seconds > allowed
            print(f"{about:<40} {seconds:.2f} s (at most {allowed})")
    return late


if __name__ == "__main__":
    sys.exit(main())

"""The whole path at the size of the official leaderboards: 201,715,850 records, made up.

    python benchmarks/leaderboards.py FOLDER

FOLDER gets the made-up leaderboards (2 GB) and a store of their own, and keeps them for the next time; the conversion
is measured only where it is done. Each line is a process of its own, its start included.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

from routereval import facts

BENCHMARKS = list(facts.benchmarks())
LOOK = """
import time
from pathlib import Path
from routereval.data import store
from routereval.sources import leaderboards
known = [leaderboards.load(key, Path({folder!r})) for key in {keys!r}]
start = time.perf_counter()
opened = [store.find(one.data_hash) for one in known]
print(f"open all twelve: {{time.perf_counter() - start:.3f}} s (at most 0.1)")
start = time.perf_counter()
for one in opened:
    one.scores.model_means
print(f"means of every model on every benchmark: {{time.perf_counter() - start:.3f}} s (at most 0.5)")
size = sum(array.nbytes for one in opened for array in (one.scores.bits, one.scores.values) if array is not None)
cells = sum(one.scores.shape[0] * one.scores.shape[1] for one in opened)
print(f"scores: {{cells:,}} records in {{size / 1e6:.1f}} MB (at most 60)")
"""


def measured(what: str, command: list[str], limit: str) -> None:
    """Run a command, print its seconds and what memory any command has taken at most so far."""
    start = time.perf_counter()
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6
    print(f"{what}: {seconds:.1f} s {limit}; no process took more than {peak:.2f} GB so far", flush=True)


def main() -> None:
    """Measure everything."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder.resolve()
    full, home = folder / "full", folder / "home"
    os.environ["ROUTEREVAL_HOME"] = str(home)
    command = [sys.executable, "-c", "from routereval.cli import main; main()"]
    for path in (folder / "scenarios", folder / "curves.sqlite"):
        shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
    data = ["--data", str(full)]
    if not full.exists():
        measured("make up", [*command, "synthesize", "--out", str(full)], "")
    look_in = (
        f"from pathlib import Path; from routereval.datasets import Datasets; Datasets(Path({str(full)!r})).origins"
    )
    convert = [sys.executable, "-c", look_in]
    measured("convert (or find converted)", convert, "")
    subprocess.run([sys.executable, "-c", LOOK.format(folder=str(full), keys=BENCHMARKS)], check=True)
    build = [*command, "build", *BENCHMARKS, *data, "--protocol", "paper", "--out", str(folder / "scenarios")]
    measured("splits and all 15 pools of all twelve", build, "(at most 15)")
    # As published without being asked: its sizes, 100 draws, p = 0, 0.1 .. 1; each of these in the figure and the JSON.
    figure, curves = folder / "scaling.png", folder / "curves.sqlite"
    scale = [*command, "scale", *BENCHMARKS, *data, "--results", str(curves), "--plot", str(figure), "--json"]
    measured("the published scaling figure, all twelve, drawn", scale, "(at most 120)")


if __name__ == "__main__":
    main()

"""The tables and the scaling figure of the paper, by its own rules, with the published numbers beside ours.

    routereval download --out official               # the routing problems of the tables
    routereval download leaderboards --out official  # what the figure draws its pools from
    python examples/reproduce_paper.py --data official --out paper

Every step is a command, printed before it is done, so each can be given by hand. What is stored in `results.sqlite` is
not done again: interrupt it at will, and the same line carries on. Smaller:

    python examples/reproduce_paper.py --data official --out small --benchmarks gsm8k --sizes 3 5 --grid short
    python examples/reproduce_paper.py --out demo    # on the demo data, of which nothing is published

The fine-tuned encoder of the paper needs PyTorch (`pip install '.[neural]'`) and hours: --routers references published
mlc. The published linear and MLP are not seeded, so --seeds 0 1 2 shows how much of a difference is luck.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

import polars as pl

import routereval as rv
from routereval.cli import app
from routereval.datasets import Datasets

SIZES = (3, 5, 10, 100, 1000)


def command(*words: str | Path) -> bool:
    """Print a command of routereval and do it; whether all of it succeeded."""
    texts = [str(word) for word in words]
    print("$ routereval", shlex.join(texts), flush=True)
    return not app(texts, standalone_mode=False)


def pools(names: Sequence[str], sizes: Sequence[int], data: Path | None) -> list[str]:
    """The pools of these sizes that there are, as globs: not every benchmark has enough models for all."""
    there = {name: {m for _, m in rv.load_benchmark(name, data, protocol="paper").pools} for name in names}
    return [f"{name}/*/{m}" for name in names for m in sizes if m in there[name]]


def differences(results: Path) -> pl.DataFrame:
    """By router, how many mean scores there are to compare, and how far ours are from the published."""
    made = rv.tables(results, metrics=["mu"], protocol="paper", published=True)
    far = pl.col("difference")
    return (
        made.frame()
        .filter(far.is_not_null())
        .group_by("router", maintain_order=True)
        .agg(far.len().alias("numbers"), far.mean().alias("mean"), far.abs().max().alias("largest"))
    )


def main() -> None:
    """Run, write the tables, draw the figure, say how far ours are from the published."""
    parser = argparse.ArgumentParser(description="The paper's tables and scaling figure.")
    parser.add_argument("--data", type=Path, help="folder of official data; without it the demo data")
    parser.add_argument("--out", type=Path, required=True, help="folder for the results, tables and figures")
    parser.add_argument("--benchmarks", nargs="+", help="all that the folder has, if not given")
    parser.add_argument("--sizes", nargs="+", type=int, default=SIZES, help="of the tables' pools")
    parser.add_argument("--routers", nargs="+", default=["references", "published"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--grid", choices=("published", "short"), default="published", help="sizes in the figure")
    parser.add_argument("--draws", type=int, default=100, help="random pools of each size in the figure")
    parser.add_argument("--plot", default="scaling.pdf", help="what the figure is called: .pdf, .png or .svg")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    results = given.out / "results.sqlite"
    data = ["--data", given.data] if given.data else []
    published = ["--published"] if given.data else []

    try:
        origins = Datasets(given.data).origins
        names = given.benchmarks or [name for name, origin in origins.items() if bool(given.data) == (origin != "demo")]
        asked = [f"--{option}={one}" for option in ("router", "seed") for one in getattr(given, f"{option}s")]
        targets = pools(names, given.sizes, given.data)
        whole = command("run", *targets, *asked, *data, "--protocol=paper", "--results", results)
        shown = ["--protocol=paper", *published]
        for kind, ending in (("markdown", "md"), ("latex", "tex"), ("csv", "csv")):
            command("tables", results, *shown, f"--format={kind}", "--out", given.out / f"tables.{ending}")
        drawn = ["--protocol=paper", f"--grid={given.grid}", f"--draws={given.draws}", *published, *data]
        command("scale", *names, *drawn, "--results", results, "--plot", given.out / given.plot)
    except rv.RouterEvalError as error:
        raise SystemExit(f"reproduce_paper: {error}") from error
    if given.data and not any(given.data.glob("leaderboard_score*")):
        print(
            "no leaderboards in the folder: the figure draws from the models of the tables' pools, the paper's from all"
        )
    if given.data and len(far := differences(results)):
        with pl.Config(tbl_rows=-1, tbl_hide_dataframe_shape=True, tbl_hide_column_data_types=True, float_precision=3):
            print("mu, ours less the published:", far, sep="\n")
    sys.exit(0 if whole else 1)


if __name__ == "__main__":
    main()

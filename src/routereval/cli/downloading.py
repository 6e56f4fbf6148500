"""download: the published files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from routereval.cli.shared import JsonOption, app, tell


@app.command(
    epilog="""\b
Examples:
  routereval download --out official/
  routereval download leaderboards --out leaderboards/
  routereval download full_data/gsm8k full_data/bbh --out official/
  routereval download router_dataset leaderboards --from /mnt/mirror --out official/
  HF_ENDPOINT=https://mirror.example routereval download --out official/
"""
)
def download(
    sets: Annotated[
        list[str] | None,
        typer.Argument(
            help="What to have: router_dataset (the default), leaderboards, full_data (or one folder of it, like "
            "full_data/gsm8k)."
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder to have it in; give it to run with --data.")] = Path("official"),
    mirror: Annotated[Path | None, typer.Option("--from", help="Copy from this folder instead.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Have the published files, whole and checked; what is there already is not fetched again."""
    from routereval.sources.downloads import download_all

    rows = []
    for made in download_all(sets or ["router_dataset"], out, mirror=mirror):
        rows.append({"file": str(made.path), "how": made.how, "sha256": made.sha256, "known": made.known})
        if not as_json:
            checked = "as expected" if made.known else "nobody published its hash; recorded, and expected from now on"
            typer.echo(f"{made.path}: {made.how}, sha256 {made.sha256[:16]}... ({checked})")
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
    tell(f"run on it: routereval run 'gsm8k/*/5' --data {out}")

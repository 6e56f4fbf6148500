"""The command line: parse, call, print. The only place that prints."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

# Importing a command's module adds it to the application; help lists them in this order.
from routereval.cli import running, routing, stored, ranking, comparing, downloading, synthesizing  # noqa: F401  # isort: skip
from routereval.cli import planning, drawing  # noqa: F401  # isort: skip
from routereval.cli import embedding, building, exporting, scaling, publishing, listing, tabling, reporting  # noqa: F401  # isort: skip
from routereval.cli.shared import app, tell
from routereval.errors import RouterEvalError

__all__ = ["app", "main"]


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version and leave.")] = False,
) -> None:
    if version:
        from routereval import __version__

        typer.echo(f"routereval {__version__}")
        raise typer.Exit


def main() -> None:
    """The ``routereval`` command: mistakes as one line on stderr and exit status 2, Ctrl-C as 130."""
    # Routers named by import path may lie in the folder one works in; last, so that nothing there passes for a package.
    sys.path.append(str(Path.cwd()))
    try:
        app(standalone_mode=True)
    except RouterEvalError as error:
        tell(f"routereval: {error}")
        sys.exit(2)
    except BrokenPipeError:
        # `routereval results | head`: the reader has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except OSError as error:
        # What the file system refuses before anything of ours is reached: a name that is too long, say.
        tell(f"routereval: {error}")
        sys.exit(2)

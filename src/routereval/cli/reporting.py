"""report and view: a results file as a page, and that page in the browser."""

from __future__ import annotations

import signal
import tempfile
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from routereval.cli.shared import DEFAULT_RESULTS, app, tell

if TYPE_CHECKING:
    from routereval.report.site.building import Built


@app.command(
    epilog="""\b
Examples:
  routereval report routereval.sqlite
  routereval report routereval.sqlite --out my_report
  routereval report routereval.sqlite --only-pages
"""
)
def report(
    file: Annotated[Path, typer.Argument(help="A results file.")] = DEFAULT_RESULTS,
    out: Annotated[Path, typer.Option(help="Folder to write; a report that is there is replaced.")] = Path("report"),
    extras: Annotated[
        bool | None,
        typer.Option(
            "--extras/--only-pages",
            help="The paper's tables, the figures and paired tests too.",
            show_default="where there are at most 10,000 runs",
        ),
    ] = None,
) -> None:
    """Write the report of a results file: pages that open from disk, tables, figures, all data; nothing is run."""
    with _tidied_up():
        built = _build(file, out, extras=extras)
    failed = f", {built.failed:,} of which failed" if built.failed else ""
    tell(f"{built.pages} pages from {built.runs:,} runs{failed}")
    for note in built.notes:
        tell(note)
    typer.echo(str(out / "index.html"))


@app.command(
    epilog="""\b
Examples:
  routereval view routereval.sqlite
  routereval view report --no-browser --port 8000
"""
)
def view(
    what: Annotated[
        Path, typer.Argument(metavar="[RESULTS|DIR]", help="A results file, or the folder of a report.")
    ] = DEFAULT_RESULTS,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: a free one.")] = 0,
    browser: Annotated[bool, typer.Option(help="Open it in the browser.")] = True,
) -> None:
    """Show a report in the browser, served to this machine only; of a results file one is made first."""
    from routereval.report.site.serving import ReportServer

    with _tidied_up(), tempfile.TemporaryDirectory(prefix="routereval-report-") as scratch:
        folder = what
        if not what.is_dir():
            folder = Path(scratch) / "report"
            _build(what, folder, extras=False)
        server = ReportServer(folder, port)
        typer.echo(server.url)
        tell("Ctrl-C ends it")
        try:
            server.serve(webbrowser.open if browser else None)
        except KeyboardInterrupt:
            tell("ended")


def _build(file: Path, out: Path, *, extras: bool | None) -> Built:
    from routereval.report.site.building import build_site
    from routereval.report.terminal import progress

    return build_site(file, out, extras=extras, progress=progress)


@contextmanager
def _tidied_up() -> Iterator[None]:
    """Within, SIGTERM, and a terminal that is closed, end the command as an exception: no half a report is left."""

    def leave(number: int, frame: FrameType | None) -> None:
        """Exit with the status that a shell shows for the signal."""
        raise SystemExit(128 + number)

    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    # Whoever set another handler (nohup has SIGHUP ignored) wants it.
    ours = [number for number in numbers if signal.getsignal(number) is signal.SIG_DFL]
    try:
        for number in ours:
            signal.signal(number, leave)
        yield
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)

"""A report served to the browser of this machine and to nobody else."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from routereval.errors import ParameterError
from routereval.report.site.folder import is_report

LOOPBACK = "127.0.0.1"


class ReportServer(ThreadingHTTPServer):
    """Serves the files of one report on the loopback interface.

    Raises
    ------
    ParameterError : the folder is no report of ours, or the port is taken.
    """

    daemon_threads = True

    def __init__(self, folder: Path, port: int = 0):
        if not is_report(folder):
            raise ParameterError(f"{folder} is no report; make one with: routereval report RESULTS --out {folder}")
        try:
            super().__init__((LOOPBACK, port), partial(_Handler, directory=str(folder)))
        except (OSError, OverflowError) as error:
            raise ParameterError(f"cannot serve on port {port}: {error}; leave --port out for a free one") from error

    @property
    def url(self) -> str:
        """Where the first page is."""
        return f"http://{LOOPBACK}:{self.server_port}/"

    def serve(self, open_page: Callable[[str], Any] | None = None) -> None:
        """Serve until interrupted.

        Parameters
        ----------
        open_page : gets the URL, beside the server: some browsers do not come back before they are closed.
        """
        if open_page is not None:
            threading.Thread(target=open_page, args=(self.url,), daemon=True).start()
        try:
            self.serve_forever(poll_interval=0.2)
        finally:
            self.server_close()


class _Handler(SimpleHTTPRequestHandler):
    """Files of the folder; no listings, no other host's name, nothing in a log."""

    server_version = "routereval"
    sys_version = ""

    def send_head(self) -> Any:
        """Refuse a request that names another host, else answer with the file."""
        # A page elsewhere whose name was made to lead here (DNS rebinding) gives itself away by that name.
        host = (self.headers.get("Host") or "").rsplit(":", 1)[0]
        if host not in (LOOPBACK, "localhost"):
            self.send_error(HTTPStatus.FORBIDDEN, "this server is for this machine")
            return None
        return super().send_head()

    def list_directory(self, path: Any) -> io.BytesIO | None:
        """Say that there is no such file: what is in a folder is nobody's business."""
        self.send_error(HTTPStatus.NOT_FOUND)
        return None

    def end_headers(self) -> None:
        """Add what keeps browsers from guessing types, from keeping pages and from showing them within another's."""
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cache-Control", "no-store")
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        super().end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the terminal is for the one line that says where the report is."""

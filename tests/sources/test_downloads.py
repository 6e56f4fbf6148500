"""Downloads, end to end against a server on loopback that cuts lines, serves a wrong byte and lacks files."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from routereval import facts
from routereval.errors import DataError, MissingDataError, ParameterError
from routereval.sources import downloads
from routereval.sources.downloads import SUMS, download, files_of

CONTENT = bytes(range(256)) * 2000


class Hub(ThreadingHTTPServer):
    """As much of a Hugging Face Hub as a download needs."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.files: dict[str, bytes] = {}
        self.cut_after: list[int] = []
        self.requests: list[tuple[str, str, str | None]] = []

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Answer(BaseHTTPRequestHandler):
    server: Hub

    def log_message(self, *args: object) -> None:
        pass

    def _content(self) -> bytes | None:
        known = facts.downloads()
        start = f"/datasets/{known.repository}/resolve/{known.revision}/"
        return self.server.files.get(self.path.removeprefix(start)) if self.path.startswith(start) else None

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, body: bool) -> None:
        self.server.requests.append((self.command, self.path, self.headers["Range"]))
        content = self._content()
        if content is None:
            self.send_response(404)
            self.send_header("X-Error-Code", "EntryNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        start = int(self.headers["Range"].removeprefix("bytes=").split("-")[0]) if self.headers["Range"] else 0
        part = content[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(part)))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("ETag", f'"{hashlib.md5(content).hexdigest()}"')
        self.send_header("X-Repo-Commit", facts.downloads().revision)
        self.send_header("Accept-Ranges", "bytes")
        self.end_headers()
        if body:
            if self.server.cut_after:
                self.wfile.write(part[: self.server.cut_after.pop(0)])
                self.close_connection = True
                self.connection.close()
            else:
                self.wfile.write(part)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    # It writes what it has received in chunks of 10 MB; the files here are smaller.
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 16_384)
    server = Hub()
    server.files["router_dataset.zip"] = CONTENT
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_file_is_had_whole_its_hash_recorded_and_not_fetched_again(hub: Hub, tmp_path: Path) -> None:
    made = download("router_dataset.zip", tmp_path, endpoint=hub.endpoint)
    assert made.path.read_bytes() == CONTENT
    assert (made.how, made.known) == ("downloaded", False)
    assert (tmp_path / SUMS).read_text() == f"{hashlib.sha256(CONTENT).hexdigest()}  router_dataset.zip\n"
    asked = len(hub.requests)
    again = download("router_dataset.zip", tmp_path, endpoint=hub.endpoint)
    assert (again.how, again.known) == ("there", True)
    assert len(hub.requests) == asked
    assert sorted(path.name for path in tmp_path.iterdir()) == [SUMS, "router_dataset.zip"]


def test_a_line_that_is_cut_is_taken_up_where_it_was(hub: Hub, tmp_path: Path) -> None:
    hub.cut_after = [100_000, 50_000]
    assert download("router_dataset.zip", tmp_path, endpoint=hub.endpoint).path.read_bytes() == CONTENT
    ranges = [asked for command, _, asked in hub.requests if command == "GET"]
    assert ranges[0] is None
    assert len(ranges) == 3
    assert all(asked is not None and asked != "bytes=0-" for asked in ranges[1:])


def test_a_line_that_stays_cut_keeps_what_came_for_the_next_time(hub: Hub, tmp_path: Path) -> None:
    hub.cut_after = [200_000] + [0] * 50
    with pytest.raises(DataError, match=r"router_dataset.zip was cut off .*the same command carries on"):
        download("router_dataset.zip", tmp_path, endpoint=hub.endpoint)
    assert not (tmp_path / "router_dataset.zip").exists()
    (part,) = tmp_path.glob(".router_dataset.zip.*.part")
    kept = part.stat().st_size
    assert 0 < kept <= 200_000
    hub.cut_after = []
    hub.requests.clear()
    assert download("router_dataset.zip", tmp_path, endpoint=hub.endpoint).path.read_bytes() == CONTENT
    assert [asked for command, _, asked in hub.requests if command == "GET"] == [f"bytes={kept}-"]


def test_a_wrong_byte_is_noticed_and_not_kept(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.files["leaderboard_score.zip"] = CONTENT
    expected = facts.downloads().sha256["leaderboard_score.zip"]
    with pytest.raises(DataError, match=rf"expected {expected}: it was not kept; fetch it again"):
        download("leaderboard_score.zip", tmp_path, endpoint=hub.endpoint)
    assert list(tmp_path.iterdir()) == []
    # The recorded hash of a file that nobody published one of holds just as well.
    download("router_dataset.zip", tmp_path, endpoint=hub.endpoint)
    (tmp_path / "router_dataset.zip").unlink()
    hub.files["router_dataset.zip"] = CONTENT[:-1] + b"x"
    with pytest.raises(DataError, match="it was not kept"):
        download("router_dataset.zip", tmp_path, endpoint=hub.endpoint)
    (tmp_path / "router_dataset.zip").write_bytes(b"half")
    with pytest.raises(DataError, match="remove it and fetch it again"):
        download("router_dataset.zip", tmp_path, endpoint=hub.endpoint)


def test_a_file_that_the_server_lacks_is_named(hub: Hub, tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match=r"leaderboard_embed\.zip cannot be had: status 404"):
        download("leaderboard_embed.zip", tmp_path, endpoint=hub.endpoint)
    assert list(tmp_path.iterdir()) == []


def test_the_revision_is_pinned(hub: Hub, tmp_path: Path) -> None:
    download("router_dataset.zip", tmp_path, endpoint=hub.endpoint)
    revision = "0ee4de2661854b588474c211bebe97dc1e434237"
    assert {path for _, path, _ in hub.requests} == {
        f"/datasets/linggm/RouterEval/resolve/{revision}/router_dataset.zip"
    }


def test_too_little_space_is_said_before_anything_is_fetched(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr(downloads.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(DataError, match=r"router_dataset.zip needs 512,000 bytes and .* has 1,000 left"):
        download("router_dataset.zip", tmp_path, endpoint=hub.endpoint)
    assert not any(command == "GET" for command, _, _ in hub.requests)


def test_a_mirror_is_copied_and_checked_alike(tmp_path: Path) -> None:
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    (mirror / "router_dataset.zip").write_bytes(CONTENT)
    made = download("router_dataset.zip", tmp_path / "out", mirror=mirror)
    assert made.how == "copied"
    assert made.path.read_bytes() == CONTENT
    (mirror / "leaderboard_prompt.zip").write_bytes(CONTENT)
    with pytest.raises(DataError, match="it was not kept"):
        download("leaderboard_prompt.zip", tmp_path / "out", mirror=mirror)
    with pytest.raises(MissingDataError, match=r"there is no .*leaderboard_embed\.zip"):
        download("leaderboard_embed.zip", tmp_path / "out", mirror=mirror)


def test_sets_are_named() -> None:
    assert files_of(["router_dataset", "leaderboards", "router_dataset"]) == [
        "router_dataset.zip", "leaderboard_score.zip", "leaderboard_prompt.zip", "leaderboard_embed.zip"
    ]  # fmt: skip
    with pytest.raises(ParameterError, match="unknown set 'scores'; expected router_dataset or leaderboards"):
        files_of(["scores"])


def test_the_command_says_what_it_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from routereval import cli

    (tmp_path / "router_dataset.zip").write_bytes(CONTENT)
    out = tmp_path / "official"
    words = ["routereval", "download", "--from", str(tmp_path), "--out", str(out), "--json"]
    monkeypatch.setattr("sys.argv", words)
    with pytest.raises(SystemExit) as left:
        cli.main()
    assert left.value.code == 0
    (row,) = json.loads(capsys.readouterr().out)
    digest = hashlib.sha256(CONTENT).hexdigest()
    assert row == {"file": str(out / "router_dataset.zip"), "how": "copied", "sha256": digest, "known": False}

"""Downloads, end to end against a server on loopback that cuts lines, serves a wrong byte and lacks files."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

import pytest

from routereval import facts
from routereval.errors import DataError, MissingDataError, ParameterError
from routereval.sources import downloads
from routereval.sources.download_sets import files_of
from routereval.sources.downloads import SUMS, download, download_all

CONTENT = bytes(range(256)) * 2000


class Hub(ThreadingHTTPServer):
    """As much of a Hugging Face Hub as a download needs."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.files: dict[str, bytes] = {}
        self.hashes: dict[str, str] = {}
        self.page = 1000
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
        path = unquote(self.path)
        return self.server.files.get(path.removeprefix(start)) if path.startswith(start) else None

    def _tree(self, url: SplitResult) -> None:
        """The files below a folder, a page at a time; those with a hash as files in large file storage."""
        known = facts.downloads()
        folder = unquote(url.path).removeprefix(f"/api/datasets/{known.repository}/tree/{known.revision}/") + "/"
        first = int(parse_qs(url.query).get("cursor", ["0"])[0])
        found = [name for name in {**self.server.files, **self.server.hashes} if name.startswith(folder)]
        rows = []
        for name in found[first : first + self.server.page]:
            size = len(self.server.files.get(name, b""))
            row = {"type": "file", "oid": "0" * 40, "size": size, "path": name}
            lfs = {"oid": self.server.hashes.get(name), "size": size, "pointerSize": 130}
            rows.append(row | ({"lfs": lfs} if name in self.server.hashes else {}))
        rows.append({"type": "directory", "oid": "0" * 40, "size": 0, "path": f"{folder}below"})
        body = json.dumps(rows if found else {"error": "folder does not exist"}).encode()
        self.send_response(200 if found else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if first + self.server.page < len(found):
            after = f"{self.server.endpoint}{url.path}?recursive=true&cursor={first + self.server.page}"
            self.send_header("Link", f'<{after}>; rel="next"')
        self.end_headers()
        self.wfile.write(body)

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, body: bool) -> None:
        self.server.requests.append((self.command, self.path, self.headers["Range"]))
        if self.path.startswith("/api/"):
            self._tree(urlsplit(self.path))
            return
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
    with pytest.raises(
        DataError, match=r"no room for router_dataset.zip: 512,000 bytes to come, and .* has 1,000 left"
    ):
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
    assert [wanted.file for wanted in files_of(["router_dataset", "leaderboards", "router_dataset"])] == [
        "router_dataset.zip", "leaderboard_score.zip", "leaderboard_prompt.zip", "leaderboard_embed.zip"
    ]  # fmt: skip
    with pytest.raises(
        ParameterError, match="unknown set 'scores'; expected one of router_dataset, leaderboards, full_data, "
    ):
        files_of(["scores"])
    with pytest.raises(ParameterError, match="unknown set 'full_data/gsm8'; did you mean 'full_data/gsm8k'"):
        files_of(["full_data/gsm8"])


FULL = {"full_data/gsm8k/part 1.zip": b"one" * 9000, "full_data/gsm8k/more/part 2.zip": b"two" * 9000}


def test_archives_whose_names_nobody_published_are_listed_and_keep_their_folders(hub: Hub, tmp_path: Path) -> None:
    hub.page = 1
    hub.files |= FULL | {"full_data/gsm8k/notes.txt": b"no archive", "full_data/bbh/other.zip": b"another set"}
    hub.hashes["full_data/gsm8k/part 1.zip"] = hashlib.sha256(FULL["full_data/gsm8k/part 1.zip"]).hexdigest()
    hub.cut_after = [20_000]
    made = list(download_all(["full_data/gsm8k", "full_data/gsm8k"], tmp_path, endpoint=hub.endpoint))
    assert {str(one.path.relative_to(tmp_path)): one.path.read_bytes() for one in made} == FULL
    assert [one.known for one in made] == [True, False]
    sums = dict(line.split(maxsplit=1)[::-1] for line in (tmp_path / SUMS).read_text().splitlines())
    assert sums == {name: hashlib.sha256(content).hexdigest() for name, content in FULL.items()}
    assert [one.how for one in download_all(["full_data/gsm8k"], tmp_path, endpoint=hub.endpoint)] == ["there"] * 2
    assert list(tmp_path.rglob("*.part")) == []


def test_the_hash_in_the_list_is_the_expected_one(hub: Hub, tmp_path: Path) -> None:
    hub.files |= FULL
    hub.hashes = dict.fromkeys(FULL, hashlib.sha256(b"what was published").hexdigest())
    with pytest.raises(DataError, match=r"part 1\.zip in .* has sha256 .*it was not kept; fetch it again"):
        list(download_all(["full_data/gsm8k"], tmp_path, endpoint=hub.endpoint))
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_what_is_wrong_with_a_list_is_said_before_anything_is_fetched(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(error: type[Exception], message: str) -> None:
        with pytest.raises(error, match=message):
            list(download_all(["full_data"], tmp_path, endpoint=hub.endpoint))
        assert not any("/resolve/" in path for _, path, _ in hub.requests)

    refused(MissingDataError, "full_data/arc_challenge of linggm/RouterEval cannot be listed: status 404")
    folders = facts.downloads().folders["full_data"]
    hub.files = {f"{folder}/notes.txt": b"" for folder in folders}
    refused(MissingDataError, r"full_data/arc_challenge of linggm/RouterEval has no \.zip files")
    hub.files = {f"{folder}/all.zip": CONTENT for folder in folders} | {"full_data/bbh/../../out.zip": b""}
    refused(DataError, r"names 'full_data/bbh/\.\./\.\./out\.zip', which lies outside of it")
    hub.files.pop("full_data/bbh/../../out.zip")
    usage = type("Usage", (), {"free": 50_000_000 + 2 * len(CONTENT)})
    monkeypatch.setattr(downloads.shutil, "disk_usage", lambda path: usage)
    refused(DataError, r"no room for 12 files: 6,144,000 bytes to come, and .* has 51,024,000 left")
    with pytest.raises(DataError, match=r"cannot be listed \(\w+: .*copy from a folder with --from"):
        files_of(["full_data/bbh"], endpoint="http://127.0.0.1:1")


def test_a_copy_of_the_archives_is_listed_from_its_own_folder(tmp_path: Path) -> None:
    mirror = tmp_path / "mirror"
    for name, content in (FULL | {"full_data/gsm8k/notes.txt": b"no"}).items():
        (mirror / name).parent.mkdir(parents=True, exist_ok=True)
        (mirror / name).write_bytes(content)
    made = list(download_all(["full_data/gsm8k"], tmp_path / "out", mirror=mirror))
    assert {str(one.path.relative_to(tmp_path / "out")): one.path.read_bytes() for one in made} == FULL
    with pytest.raises(MissingDataError, match=r"there is no folder .*full_data/bbh"):
        files_of(["full_data/bbh"], mirror=mirror)


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

"""Embeddings of a server, which here runs in the test."""

from __future__ import annotations

import json
import socket
import threading
import urllib.error
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import routereval as rv
from routereval.encoders import endpoint
from routereval.encoders.embedding import embed
from routereval.encoders.endpoint import Endpoint
from routereval.errors import DataError, MissingDataError

Answer = tuple[int, dict[str, str], Any]


@dataclass
class Server:
    """Answers one request after another as it was told, then with lengths and first letters."""

    url: str = ""
    scripted: list[Answer] = field(default_factory=list)
    requests: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    def answer(self, request: dict[str, Any]) -> Answer:
        if self.scripted:
            return self.scripted.pop(0)
        items = [{"index": i, "embedding": [len(t), ord(t[0])]} for i, t in enumerate(request["input"])]
        return 200, {}, {"data": items[::-1]}  # servers may answer in any order


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    told = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.requests.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            told.headers.append({**self.headers, "path": self.path})
            code, headers, body = told.answer(told.requests[-1])
            raw = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(code)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, *_: Any) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever, daemon=True)
    thread.start()
    told.url = f"http://127.0.0.1:{http.server_port}/v1"
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    yield told
    http.shutdown()
    http.server_close()
    thread.join()


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    waited: list[float] = []
    monkeypatch.setattr(endpoint, "_sleep", waited.append)
    return waited


def test_texts_are_sent_as_openai_takes_them_and_come_back_in_order(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    found = Endpoint("small", server.url, dimensions=2).encode(["abc", "", "de"])
    np.testing.assert_array_equal(found, [[3, 97], [1, 32], [2, 100]])  # an empty text is sent as a space
    assert found.dtype == np.float32
    assert server.requests == [
        {"model": "small", "input": ["abc", " ", "de"], "encoding_format": "float", "dimensions": 2}
    ]
    assert server.headers[0]["Authorization"] == "Bearer sk-test"
    assert server.headers[0]["path"] == "/v1/embeddings"


def test_without_a_key_none_is_sent(server: Server) -> None:
    Endpoint("small", server.url + "/").encode(["abc"])
    assert "Authorization" not in server.headers[0]
    assert server.headers[0]["path"] == "/v1/embeddings"


def test_a_busy_server_is_asked_again_ever_more_slowly(server: Server, waits: list[float]) -> None:
    server.scripted = [(429, {}, {}), (503, {}, b"<html>"), (429, {"Retry-After": "7"}, {}), (500, {}, {})]
    np.testing.assert_array_equal(Endpoint("small", server.url).encode(["abc"]), [[3, 97]])
    assert waits == [1, 2, 7, 14]


@pytest.mark.parametrize(
    ("code", "body", "message"),
    [
        (401, {"error": {"message": "no key"}}, r"answered 401: no key; set \$OPENAI_API_KEY"),
        (404, {"error": "no such model"}, r"answered 404: no such model; check url and model \('small'\)"),
        (400, b"too\n long", "answered 400: too long; if a text is too long for the model, lower max_chars"),
        (307, b"", "answered 307: no reason given"),
    ],
)
def test_a_refusal_is_final_and_says_why(
    server: Server, waits: list[float], code: int, body: Any, message: str
) -> None:
    server.scripted = [(code, {"Location": "http://127.0.0.1:1/"}, body)]
    with pytest.raises(MissingDataError, match=message):
        Endpoint("small", server.url).encode(["abc"])
    assert (len(server.requests), waits) == (1, [])


def test_a_server_that_stays_busy_is_given_up(server: Server, waits: list[float]) -> None:
    server.scripted = [(429, {}, {"error": {"message": "quota"}})] * 3
    with pytest.raises(MissingDataError, match="answered 429: quota; the limit is used up; what was embedded is kept"):
        Endpoint("small", server.url, retries=2).encode(["abc"])
    assert waits == [1, 2]


def test_a_server_that_is_not_there_is_an_error_that_names_it_and_nobody_waits(
    waits: list[float], server: Server
) -> None:
    with pytest.raises(MissingDataError, match=r"http://127.0.0.1:9/v1 cannot be reached: .*is the server running"):
        Endpoint("small", "http://127.0.0.1:9/v1").encode(["abc"])
    assert waits == [1]


def test_nor_for_a_host_that_has_no_address(waits: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: Any, **__: Any) -> None:
        raise urllib.error.URLError(socket.gaierror(-2, "Name or service not known"))

    monkeypatch.setattr(endpoint._OPENER, "open", unknown)
    with pytest.raises(MissingDataError, match=r"cannot be reached: .*Name or service not known"):
        Endpoint("small", "http://nowhere.invalid/v1").encode(["abc"])
    assert waits == [1]


def test_a_connection_that_is_lost_is_tried_as_often_as_a_busy_server(
    waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(*_: Any, **__: Any) -> None:
        raise TimeoutError("timed out")

    monkeypatch.setattr(endpoint._OPENER, "open", lost)
    with pytest.raises(MissingDataError, match="cannot be reached: timed out"):
        Endpoint("small", "http://127.0.0.1:9/v1", retries=3).encode(["abc"])
    assert waits == [1, 2, 4]


def test_a_long_wait_is_said_and_a_short_one_is_not(
    server: Server, waits: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    server.scripted = [(429, {}, {}), (429, {"Retry-After": "7"}, {})]
    Endpoint("small", server.url).encode(["abc"])
    assert waits == [1, 7]
    assert caplog.messages == [f"{server.url} answered 429; asking again in 7 s"]


def test_openai_without_a_key_is_refused_before_anything_is_sent(
    monkeypatch: pytest.MonkeyPatch, waits: list[float]
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setattr(endpoint._OPENER, "open", lambda *_, **__: pytest.fail("something was sent"))
    with pytest.raises(MissingDataError, match=r"\$OPENAI_API_KEY is not set"):
        Endpoint("text-embedding-3-small").encode(["abc"])
    assert waits == []


@pytest.mark.parametrize(
    "body",
    [
        b"<html>",
        {"data": []},
        {"data": [{"index": 1, "embedding": [1.0]}]},
        {"data": [{"index": 0, "embedding": [1.0, 2.0]}, {"index": 1, "embedding": [1.0]}]},
        {"data": [{"index": 0, "embedding": "AAAA"}]},
    ],
)
def test_an_answer_that_is_none_is_an_error(server: Server, body: Any) -> None:
    server.scripted = [(200, {}, body)]
    with pytest.raises(DataError, match=r"gave (no embeddings|embeddings of shape)"):
        Endpoint("small", server.url).encode(["abc"])


def test_what_was_embedded_before_a_refusal_is_kept(server: Server, waits: list[float]) -> None:
    encoder = Endpoint("small", server.url, batch_size=2, retries=0)
    real: Callable[[dict[str, Any]], Answer] = server.answer
    server.answer = lambda request: (429, {}, {}) if len(server.requests) == 2 else real(request)  # type: ignore[method-assign]
    texts = ["a", "bb", "ccc", "dddd"]
    with pytest.raises(MissingDataError, match="429"):
        embed(encoder, f"openai:url={server.url}", texts)
    embed(encoder, f"openai:url={server.url}", texts)
    assert [request["input"] for request in server.requests] == [["dddd", "ccc"], ["bb", "a"], ["bb", "a"]]


@pytest.mark.parametrize(("keep", "sent"), [("first", "abcd"), ("last", "cdef")])
def test_of_a_text_too_long_one_end_is_sent_and_it_is_said(server: Server, keep: Any, sent: str) -> None:
    encoder = Endpoint("small", server.url, max_chars=4, keep=keep)
    found = embed(encoder, f"openai:url={server.url},keep={keep}", ["abcdef", "abcd"])
    assert server.requests[0]["input"] == [sent, "abcd"]
    assert found.note == f"1 of 2 texts are longer than 4 characters; the {keep} ones were kept"


def test_much_text_goes_in_several_requests(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "MOST_CHARS", 10)
    found = Endpoint("small", server.url).encode(["a" * 6, "b" * 6, "c" * 3])
    np.testing.assert_array_equal(found[:, 0], [6, 6, 3])
    assert [request["input"] for request in server.requests] == [["a" * 6], ["b" * 6, "c" * 3]]


def test_workers_do_not_ask_again_for_what_the_driver_was_given(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A megabyte of embeddings, so that workers map one file.
    def wide(request: dict[str, Any]) -> Answer:
        items = [{"index": i, "embedding": [len(t)] * 4000} for i, t in enumerate(request["input"])]
        return 200, {}, {"data": items}

    monkeypatch.setattr(server, "answer", wide)
    monkeypatch.setenv("ROUTEREVAL_HOME", str(tmp_path / "home"))
    texts = [f"text number {p}" for p in range(80)]
    rows = [f"{p},{text},m{m},{(p * m) % 3 == 0:d}" for p, text in enumerate(texts) for m in range(4)]
    (tmp_path / "scores.csv").write_text("\n".join(["prompt,text,model,score", *rows]))
    encoder = f"openai:model=m,url={server.url}"
    target = [str(tmp_path / "scores.csv")]
    results = {
        jobs: rv.run(target, ["knn", "kmeans"], results=tmp_path / f"{jobs}.sqlite", encoder=encoder, jobs=jobs)
        for jobs in (2, 1)
    }
    assert {run.error for runs in results.values() for run in runs} == {None}
    assert [run.metrics["mu"] for run in results[1]] == [run.metrics["mu"] for run in results[2]]
    assert sorted(text for request in server.requests for text in request["input"]) == sorted(texts)
    assert len(list(tmp_path.glob("home/embeddings/openai*/*/vectors.npy"))) == 1

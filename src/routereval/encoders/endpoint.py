"""Embeddings of a server that speaks OpenAI's ``/v1/embeddings``: OpenAI's own, or one that runs here."""

from __future__ import annotations

import http.client
import json
import logging
import os
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from routereval.encoders.contract import Encoder, Keep
from routereval.errors import DataError, MissingDataError, ParameterError

OPENAI = "https://api.openai.com/v1"
KEY_VARIABLE = "OPENAI_API_KEY"
TIMEOUT_SECONDS = 60.0
LONGEST_WAIT_SECONDS = 60.0
TOLD_FROM_SECONDS = 4.0
"""From how long a wait on it is said."""
UNREACHED_RETRIES = 1
"""How often a server is asked again that refuses the connection or has no such name: neither passes by waiting."""
MOST_CHARS = 400_000
"""How much is sent in one request: OpenAI refuses more than 300,000 tokens."""


class _StayHere(urllib.request.HTTPRedirectHandler):
    """Follows nobody elsewhere: the key is for this server."""

    def redirect_request(self, *_: Any) -> None:
        return None


_LOG = logging.getLogger(__name__)
_OPENER = urllib.request.build_opener(_StayHere)


@dataclass(frozen=True)
class Endpoint(Encoder):
    """An OpenAI-compatible ``/v1/embeddings`` endpoint; the key is taken from ``$OPENAI_API_KEY``.

    The texts leave this machine unless the server runs on it. A busy server is asked again, ever more slowly; one that
    is not there, once.

    Parameters
    ----------
    model : as the server calls it: ``text-embedding-3-small``.
    url : up to and with ``/v1``.
    dimensions : asks for shorter embeddings, where the model can; 0: as they are.
    max_chars : characters of a text that are sent, since no server says how many tokens it reads; 0: all.
    keep : which end of a longer text is sent.
    batch_size, retries : texts per request; how often a request is made again.
    """

    remote: ClassVar[bool] = True
    incidental: ClassVar[frozenset[str]] = frozenset({"batch_size", "retries"})

    model: str = ""
    url: str = OPENAI
    dimensions: int = 0
    max_chars: int = 24_000
    keep: Keep = "last"
    batch_size: int = 64
    retries: int = 6

    def __post_init__(self) -> None:
        try:
            parts = urlsplit(self.url)
        except ValueError as error:
            raise ParameterError(f"openai: url is {self.url!r}: {error}; expected http(s)://HOST/v1") from None
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ParameterError(f"openai: url is {self.url!r}; expected http(s)://HOST/v1")
        if parts.username or parts.password or parts.query:
            # It is part of the encoder's name, which stands in every result.
            raise ParameterError(f"openai: a url holds no password and no query; put the key into ${KEY_VARIABLE}")

    @property
    def limit(self) -> str:
        """How many characters are sent, for people."""
        return f"{self.max_chars} characters" if self.max_chars else ""

    def shorten(self, texts: Sequence[str]) -> tuple[list[str], NDArray[np.bool_]]:
        """The first or last ``max_chars`` characters of each text, and whether that is less than all of it."""
        if not self.max_chars:
            return super().shorten(texts)
        cut = np.array([len(text) > self.max_chars for text in texts], dtype=np.bool_)
        end = slice(self.max_chars) if self.keep == "first" else slice(-self.max_chars, None)
        return [text[end] for text in texts], cut

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embeddings (n, d) float32.

        Raises
        ------
        MissingDataError : the server cannot be reached, refuses, or stays busy; no key for OpenAI's own.
        DataError : it answers with something else than n embeddings.
        """
        if urlsplit(self.url).hostname == urlsplit(OPENAI).hostname and not os.environ.get(KEY_VARIABLE):
            raise MissingDataError(
                f"{self.url} wants a key, and ${KEY_VARIABLE} is not set: export {KEY_VARIABLE}=..., or name a server "
                "of your own: openai:model=NAME,url=http://localhost:8000/v1"
            )
        if len(texts) > 1 and sum(map(len, texts)) > MOST_CHARS:
            half = len(texts) // 2
            return np.concatenate([self.encode(texts[:half]), self.encode(texts[half:])])
        # Servers refuse a text that is empty.
        said = [text or " " for text in texts]
        body: dict[str, Any] = {"model": self.model, "input": said, "encoding_format": "float"}
        if self.dimensions:
            body["dimensions"] = self.dimensions
        return _vectors(self._answer(json.dumps(body).encode()), len(texts), self.url)

    def _answer(self, body: bytes) -> bytes:
        wait = 1.0
        for attempt in range(self.retries + 1):
            last = attempt == self.retries
            try:
                with _OPENER.open(self._request(body), timeout=TIMEOUT_SECONDS) as answer:
                    return bytes(answer.read())
            except urllib.error.HTTPError as error:
                with error:
                    said = _message(error.read(2000))
                if last or not (error.code in (408, 409, 429) or error.code >= 500):
                    raise MissingDataError(self._refusal(error.code, said)) from error
                wait, reason = _asked_to_wait(error.headers.get("Retry-After"), wait), f"answered {error.code}"
            except (OSError, http.client.HTTPException) as error:
                cause = getattr(error, "reason", error)
                absent = isinstance(cause, ConnectionRefusedError | socket.gaierror)
                if last or (absent and attempt >= UNREACHED_RETRIES):
                    raise MissingDataError(f"{self.url} cannot be reached: {cause}; is the server running?") from error
                reason = f"cannot be reached ({cause})"
            pause = min(wait, LONGEST_WAIT_SECONDS)
            if pause >= TOLD_FROM_SECONDS:
                _LOG.warning("%s %s; asking again in %.0f s", self.url, reason, pause)
            _sleep(pause)
            wait *= 2
        raise AssertionError("unreachable")

    def _request(self, body: bytes) -> urllib.request.Request:
        headers = {"Content-Type": "application/json"}
        key = os.environ.get(KEY_VARIABLE)
        if key:
            headers["Authorization"] = f"Bearer {key}"
        # The scheme was checked when this was made: http or https.
        return urllib.request.Request(f"{self.url.rstrip('/')}/embeddings", body, headers, method="POST")

    def _refusal(self, code: int, said: str) -> str:
        hints = {
            401: f"check ${KEY_VARIABLE}" if os.environ.get(KEY_VARIABLE) else f"set ${KEY_VARIABLE}",
            403: f"check ${KEY_VARIABLE} and what it may do",
            404: f"check url and model ({self.model!r})",
            400: "if a text is too long for the model, lower max_chars",
            429: "the limit is used up; what was embedded is kept, and the same command goes on from there",
        }
        hint = hints.get(code, "what was embedded is kept, and the same command goes on from there")
        return f"{self.url} answered {code}: {said or 'no reason given'}; {hint}"


def _vectors(answer: bytes, n: int, url: str) -> NDArray[np.float32]:
    try:
        items = sorted(json.loads(answer)["data"], key=lambda item: item["index"])
        with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, which the cache refuses
            vectors = np.array([item["embedding"] for item in items], dtype=np.float32)
        positions = [item["index"] for item in items]
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise DataError(f"{url} gave no embeddings as OpenAI's are ({type(error).__name__}: {error})") from error
    if positions != list(range(n)) or vectors.ndim != 2:
        raise DataError(f"{url} gave embeddings of shape {vectors.shape} for {n} texts; expected one for each")
    return vectors


def _message(answer: bytes) -> str:
    """What a server says went wrong, in one line."""
    text = answer.decode("utf-8", "replace")
    try:
        error = json.loads(text).get("error")
        text = str(error["message"]) if isinstance(error, dict) else str(error or text)
    except (ValueError, KeyError, AttributeError, RecursionError):
        pass  # it says so in a way of its own
    return " ".join(text.split())[:300]


def _asked_to_wait(header: str | None, otherwise: float) -> float:
    try:
        return max(0.0, float(header or otherwise))
    except ValueError:  # a date
        return otherwise


_sleep = time.sleep

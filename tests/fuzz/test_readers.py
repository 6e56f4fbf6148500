"""Every reader keeps its promise on valid files with something changed in them, and is seen to break it if it does."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fuzzing.catalogue import READERS
from fuzzing.files import Files, packed, unpacked
from fuzzing.formats import mutated
from fuzzing.promise import broken_by
from fuzzing.reader import Reader
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from routereval.errors import DataError

QUICK = sorted(set(READERS) - {"saved-routers", "merging", "results"})
"""The others fit routers and run them first, which takes its time."""


@pytest.fixture(scope="module")
def seeds(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], list[Files]]:
    made: dict[str, list[Files]] = {}

    def of(name: str) -> list[Files]:
        if name not in made:
            made[name] = READERS[name].seeds(tmp_path_factory.mktemp(name))
        return made[name]

    return of


@pytest.mark.parametrize("name", QUICK)
def test_a_reader_keeps_its_promise(
    name: str, seeds: Callable[[str], list[Files]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    valid = seeds(name)

    @given(st.integers(0, len(valid) - 1), st.integers(0, 2**32), st.integers(1, 3))
    @settings(max_examples=8, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    def keeps(which: int, number: int, changes: int) -> None:
        files, rng = valid[which], random.Random(number)
        for _ in range(changes):
            files = mutated(files, rng, rng.choice(valid))
        assert broken_by(READERS[name], files, tmp_path_factory.mktemp("one"), seconds=60) is None

    keeps()


@pytest.mark.parametrize("name", QUICK)
def test_a_campaign_begins_from_files_that_are_valid(
    name: str, seeds: Callable[[str], list[Files]], tmp_path: Path
) -> None:
    accepted = 0
    for i, files in enumerate(seeds(name)):
        assert unpacked(packed(files)) == files
        place = tmp_path / str(i) / "in"
        for file, content in files.items():
            (place / file).parent.mkdir(parents=True, exist_ok=True)
            (place / file).write_bytes(content)
        try:
            READERS[name].read(place)
            accepted += 1
        except DataError:
            pass  # a condition that no two models meet, an answer that is an error
    assert accepted >= len(seeds(name)) / 2


def _overflows(place: Path) -> None:
    raise RecursionError("too deep")


def _is_slow(place: Path) -> None:
    end = time.process_time() + 5
    while time.process_time() < end:
        pass


def _writes_elsewhere(place: Path) -> None:
    (place.parent.parent / "elsewhere").write_text("x")


def _runs_something(place: Path) -> None:
    import subprocess

    subprocess.run(["true"], check=True)


def _warns(place: Path) -> None:
    import numpy as np

    np.float32(1e38) * np.float32(10)


def _says_nothing(place: Path) -> None:
    raise DataError(" ")


@pytest.mark.parametrize(
    ("read", "said"),
    [
        (_overflows, "RecursionError at"),
        (_is_slow, "too long at"),
        (_writes_elsewhere, "acts: open"),
        (_runs_something, "acts: subprocess.Popen"),
        (_warns, "RuntimeWarning at"),
        (_says_nothing, "without a message"),
    ],
)
def test_a_broken_promise_is_a_finding(read: Any, said: str, tmp_path: Path) -> None:
    finding = broken_by(Reader("mine", read, lambda _: []), {"a": b"x"}, tmp_path / "place", seconds=0.3)
    assert finding is not None
    assert said in finding.kind


def test_an_error_of_ours_is_no_finding(tmp_path: Path) -> None:
    def refuses(place: Path) -> None:
        raise DataError(f"{(place / 'a').read_text()} is no table")

    assert broken_by(Reader("mine", refuses, lambda _: []), {"a": b"x\x1b"}, tmp_path) is None

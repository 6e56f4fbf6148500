"""Routers that misbehave: each a failed run that says why, and no other router suffers from it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import routereval as rv
from routereval.errors import ParameterError, RouterError
from routereval.policies import PolicySpec

FAULTY = """
from __future__ import annotations

import sys
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import routereval as rv

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Base:
    columnwise = False

    def fit(self, train, val=None):
        self.m_ = len(train.model_ids)
        return self

    def predict(self, queries):
        return rv.Prediction(np.zeros((len(queries), self.m_)))


@dataclass
class Hinted(Base):
    weights: NDArray | None = None


class Encoder:
    pass


class WithObject(Base):
    def __init__(self):
        self.encoder = Encoder()


class NoScores(Base):
    def predict(self, queries):
        return rv.Prediction(None)


class Matrix(Base):
    def predict(self, queries):
        return rv.Prediction(np.matrix(np.zeros((len(queries), self.m_))))


class Lock(Base):
    def __init__(self):
        self._lock = threading.Lock()


class Quits(Base):
    def fit(self, train, val=None):
        sys.exit(0)


class Crashes(Base):
    def fit(self, train, val=None):
        return {}["x"]


class NoSlices(Base):
    columnwise = True

    def predict_slices(self, queries, slices):
        return []


class Overwrites(Base):
    def fit(self, train, val=None):
        embeddings = train.queries.embeddings
        embeddings -= 10
        return self


class Unmade(Base):
    def __init__(self):
        raise ValueError("not today")


def function():
    pass
"""


@pytest.fixture
def run(tmp_path: Path):
    """Run routers of a module of their own on one scenario (or several), as from the shell."""
    (tmp_path / "faulty.py").write_text(FAULTY)

    def routereval(*routers: str, targets: str = "demo_math/all_strong/3", jobs: str = "1"):
        words = ["run", targets, "--results", "r.sqlite", "--json", "--jobs", jobs]
        for router in routers:
            words += ["--router", router]
        command = [sys.executable, "-c", "from routereval.cli import main; main()", *words]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)

    return routereval


@pytest.mark.parametrize(
    ("router", "message"),
    [
        ("NoScores", "scores must be a numeric array, not NoneType"),
        ("Matrix", "scores must be a numeric array, not matrix"),
        ("Lock", "Lock cannot be copied (TypeError: cannot pickle"),
        ("Quits", "Quits raised SystemExit: 0 (faulty.py, line"),
        ("Crashes", "Crashes raised KeyError: 'x' (faulty.py, line"),
        ("Overwrites", "Overwrites raised ValueError: output array is read-only"),
    ],
)
def test_a_faulty_router_fails_its_own_run_and_no_other(router: str, message: str, run) -> None:
    alone = json.loads(run("knn").stdout)[0]["mu"]
    done = run(f"faulty:{router}", "best_single")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    rows = {row["router"]: row for row in json.loads(done.stdout)}
    assert message in rows[f"faulty:{router}"]["error"]
    assert rows["best_single"]["error"] is None
    assert json.loads(run("knn", f"faulty:{router}").stdout)[1]["mu"] == alone


def test_slices_that_are_too_few_are_noticed(run) -> None:
    done = run("faulty:NoSlices", targets="demo_math/*/3")
    errors = [row["error"] for row in json.loads(done.stdout)]
    # Each scenario is then tried by itself, where nothing has to be sliced.
    assert errors == [None] * 3


@pytest.mark.parametrize(
    ("router", "message"),
    [
        ("faulty:Unmade", "faulty:Unmade cannot be made: ValueError: not today"),
        ("faulty:function", "no class; a router is a class with fit and predict"),
        ("numpy:pi", "numpy:pi is 3.14"),
        ("./faulty.py:Base", "is a file; go to its folder and write --router faulty:Base"),
        ("faulty:Nothing", "cannot import router 'faulty:Nothing'"),
    ],
)
def test_what_cannot_be_built_is_one_line_and_status_2(router: str, message: str, run) -> None:
    done = run(router)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_hints_for_type_checkers_alone_do_no_harm(run) -> None:
    done = run("faulty:Hinted")
    assert done.returncode == 0, done.stderr


def test_a_parameter_without_a_stable_form_is_the_same_in_every_process(run) -> None:
    first = run("faulty:WithObject", targets="demo_math/*/*", jobs="2")
    assert first.returncode == 0, first.stderr
    assert len(json.loads(first.stdout)) == 12
    again = run("faulty:WithObject", targets="demo_math/*/*", jobs="2")
    assert "12 runs: 0 new, 12 stored" in again.stderr


def test_the_data_a_router_gets_cannot_be_written_to() -> None:
    scenario = rv.load_scenario("demo_chat/all_strong/3")
    for part in (scenario.train, scenario.test):
        assert not part.queries.require_embeddings().flags.writeable
        assert not part.scores.dense().flags.writeable or part.scores.binary
    mine = np.zeros((2, 3), dtype=np.float32)
    rv.Queries(("a", "b"), mine)
    mine[0, 0] = 1  # what is one's own stays one's own


def test_seeds_are_whole_numbers_however_they_are_written(tmp_path: Path) -> None:
    seeds = np.arange(2)
    runs = rv.run(["demo_math/all_strong/3"], ["knn", "best_single"], results=tmp_path / "r.sqlite", seeds=seeds)
    assert sorted((run.spec.router, run.spec.seed) for run in runs) == [
        ("best_single", 0), ("best_single", 1), ("knn", 0), ("knn", 1)
    ]  # fmt: skip


def test_python_callers_are_told_what_they_did_wrong() -> None:
    scenario = rv.load_scenario("demo_math/all_strong/3")
    with pytest.raises(ParameterError, match="recipe = 'bogus'; expected published or minibatch"):
        rv.evaluate(rv.Linear(recipe="bogus"), scenario)  # type: ignore[arg-type]
    with pytest.raises(RouterError, match="no method fit"):
        rv.evaluate(object(), scenario)
    assert rv.evaluate(PolicySpec("knn", {"k": 3}), scenario).mu == rv.evaluate(rv.KNN(k=3), scenario).mu

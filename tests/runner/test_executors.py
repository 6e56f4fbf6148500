"""Executors of other people's, and the pool of watched processes."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

import routereval as rv
from routereval.errors import LimitError, ParameterError, RouterEvalError, WorkerError
from routereval.runner.limits import Limits
from routereval.runner.pool import WorkerPool
from routereval.runner.threads import bounded, environment


@pytest.fixture(scope="module")
def pool():
    """Two processes."""
    with WorkerPool(2, limits=Limits(timeout=30)) as found:
        yield found


def test_calls_are_made_in_other_processes_and_their_results_come_back(pool: WorkerPool) -> None:
    assert pool.submit(pow, 2, 10).result() == 1024
    assert pool.submit(os.getpid).result() != os.getpid()
    with pytest.raises(ZeroDivisionError):
        pool.submit(divmod, 1, 0).result()


def test_what_is_written_in_a_script_comes_along_whole(pool: WorkerPool) -> None:
    factor = 3
    assert pool.submit(lambda x: x * factor, 5).result() == 15


def test_a_process_that_dies_costs_its_own_call_alone(pool: WorkerPool) -> None:
    slow = pool.submit(time.sleep, 0.5)
    with pytest.raises(WorkerError, match="ended by itself with exit status 3"):
        pool.submit(os._exit, 3).result()
    assert slow.result() is None
    assert pool.submit(pow, 2, 3).result() == 8


def test_what_cannot_come_back_is_said(pool: WorkerPool) -> None:
    with pytest.raises(WorkerError, match="lock cannot be sent back"):
        pool.submit(threading.Lock).result()


def test_a_call_of_more_weight_may_take_longer() -> None:
    with WorkerPool(1, limits=Limits(timeout=1)) as pool:
        assert pool.schedule(time.sleep, 1.5, weight=60).result() is None
        with pytest.raises(LimitError, match="took longer than 1 seconds"):
            pool.schedule(time.sleep, 600).result()


def test_a_pool_that_is_killed_leaves_no_process_and_cancels_what_waits() -> None:
    pool = WorkerPool(1)
    running = pool.schedule(time.sleep, 600, what="sleeping")
    waiting = pool.submit(pow, 2, 2)
    while not (found := pool.running()):
        time.sleep(0.01)
    assert found[0].what == "sleeping"
    pool.kill()
    assert waiting.cancelled()
    with pytest.raises(WorkerError, match="stopped"):
        running.result()
    with pytest.raises(RuntimeError, match="shut down"):
        pool.submit(pow, 2, 2)


@pytest.mark.parametrize("kind", ["threads", "processes"])
def test_a_pool_of_threads_or_processes_gives_the_results_of_one_process(tmp_path: Path, kind: str) -> None:
    routers, targets = ["knn", "kmeans", "oracle"], ["demo_math/*/3", "demo_chat/*/3"]
    here = rv.run(targets, routers, results=tmp_path / "here.sqlite")
    spawn = get_context("spawn")
    with ThreadPoolExecutor(2) if kind == "threads" else ProcessPoolExecutor(2, mp_context=spawn) as executor:
        there = rv.run(targets, routers, results=tmp_path / "there.sqlite", executor=executor)
        assert executor.submit(pow, 2, 2).result() == 4  # it stays its owner's
    assert [(run.spec, run.metrics) for run in here] == [(run.spec, run.metrics) for run in there]
    assert len(here) == 18


def test_a_process_pool_that_breaks_is_said_with_what_to_do(site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(site.folder))
    monkeypatch.setenv("PYTHONPATH", str(site.folder))
    with (
        ProcessPoolExecutor(1, mp_context=get_context("spawn")) as executor,
        pytest.raises(RouterEvalError, match="with jobs= instead of executor= a worker that dies costs its own run"),
    ):
        rv.run(["demo_math/*/3"], ["faulty:Exits"], results=site.folder / "r.sqlite", executor=executor)
    sys.modules.pop("faulty", None)


def test_an_executor_that_cannot_end_a_run_is_given_no_limits(tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as executor, pytest.raises(ParameterError, match="cannot end a run"):
        rv.run(["demo_math/*/3"], ["knn"], results=tmp_path / "r.sqlite", executor=executor, limits=Limits(timeout=1))


def test_a_router_written_in_a_script_reaches_workers(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent("""
        from dataclasses import dataclass
        from typing import ClassVar
        import numpy as np
        import routereval as rv

        @dataclass
        class Mine:
            columnwise: ClassVar[bool] = False
            def fit(self, train, val=None):
                self.means_ = train.scores.model_means
                return self
            def predict(self, queries):
                return rv.Prediction(np.tile(self.means_, (len(queries), 1)))

        runs = rv.run(["demo_math/*/3"], [Mine()], results="r.sqlite", jobs=2)
        assert [run.error for run in runs] == [None] * 3, runs
        print("all done")
    """)
    )
    done = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True, timeout=200)
    assert done.stdout == "all done\n", done.stderr


def test_what_cannot_be_sent_to_a_worker_fails_its_run_with_what_to_do(tmp_path: Path) -> None:
    router = rv.KNN()
    router.lock = threading.Lock()  # type: ignore[attr-defined]
    with pytest.raises(TypeError):
        pickle.dumps(router)
    runs = rv.run(["demo_math/*/3"], [router, "oracle"], results=tmp_path / "r.sqlite", jobs=2)
    assert {run.spec.router: run.error is None for run in runs} == {"knn": False, "oracle": True}
    assert "KNN cannot be sent to another process (TypeError: cannot pickle" in str(runs[0].error)


def test_libraries_are_kept_to_the_threads_of_a_run() -> None:
    from threadpoolctl import threadpool_info

    with bounded(1):
        assert {one["num_threads"] for one in threadpool_info()} == {1}
        assert os.environ["LOKY_MAX_CPU_COUNT"] == "1"
    assert os.environ.get("LOKY_MAX_CPU_COUNT") != "1"
    assert environment(3)["OPENBLAS_NUM_THREADS"] == environment(3)["NUMBA_NUM_THREADS"] == "3"


def test_a_router_that_its_owner_changed_is_sent_anew(tmp_path: Path) -> None:
    router = rv.KNN(k=1)
    first = rv.run(["demo_math/*/3"], [router], results=tmp_path / "r.sqlite", jobs=2)
    router.k = 50
    second = rv.run(["demo_math/*/3"], [router], results=tmp_path / "r.sqlite", jobs=2)
    assert [run.spec.params["k"] for run in first + second] == [1] * 3 + [50] * 3
    alone = rv.run(["demo_math/*/3"], [rv.KNN(k=50)], results=tmp_path / "alone.sqlite")
    assert [run.metrics for run in second] == [run.metrics for run in alone]
    assert [run.metrics for run in second] != [run.metrics for run in first]

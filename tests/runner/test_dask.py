"""A Dask cluster: the same results, faults of routers and of workers, a scheduler that goes away."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

import routereval as rv
from routereval.datasets import Datasets
from routereval.errors import ClusterError, WorkerError
from routereval.policies import PolicySpec
from routereval.results import ResultStore
from routereval.runner import dask_cluster, dask_worker
from routereval.runner import dask_crew as crew_module
from routereval.runner.dask_cluster import dask_crew
from routereval.runner.dask_worker import Guards
from routereval.runner.execute import execute
from routereval.runner.limits import Limits
from routereval.runner.plan import Task, plan

dask = pytest.importorskip("dask", reason="no Dask; pip install 'routereval[dask]'")
distributed = pytest.importorskip("distributed", reason="no Dask; pip install 'routereval[dask]'")


class Cluster:
    """A scheduler and workers, each a process as on machines of their own."""

    def __init__(self, folder: Path):
        self.folder = folder
        self._processes: list[subprocess.Popen[str]] = []
        self.scheduler = self._start("scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard")
        self.address = self._line(self.scheduler, "Scheduler at:").split()[-1]

    def worker(self, *words: str, **environment: str) -> subprocess.Popen[str]:
        options = ("--nworkers", "1", "--nthreads", "1", "--no-dashboard", "--local-directory", str(self.folder))
        process = self._start("worker", self.address, *options, *words, **environment)
        self._line(process, "Registered to:")
        return process

    def stop(self) -> None:
        for process in reversed(self._processes):
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def _start(self, *words: str, **environment: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "distributed.cli.dask_" + words[0], *words[1:]],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.folder,
            start_new_session=True,
            env=os.environ | environment,
        )
        self._processes.append(process)
        return process

    def _line(self, process: subprocess.Popen[str], wanted: str) -> str:
        """The first line that says so; whatever else is printed is read and dropped."""
        found: Future[str] = Future()

        def read() -> None:
            assert process.stderr is not None
            with process.stderr as lines:
                for line in lines:
                    if wanted in line and not found.done():
                        found.set_result(line.strip())

        threading.Thread(target=read, daemon=True).start()
        return found.result(timeout=120)


@pytest.fixture(scope="module")
def s3() -> Iterator[dict[str, str]]:
    """How to reach a server on this machine that speaks S3 and has a bucket; empty where there is none."""
    try:
        import s3fs  # noqa: F401
        from moto.server import ThreadedMotoServer
    except ImportError:
        yield {}
        return
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with urlopen(Request(f"http://{host}:{port}/bucket", method="PUT")) as answer:
        assert answer.status == 200
    yield {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    server.stop()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, s3: dict[str, str]) -> Iterator[Cluster]:
    """Two workers, one of which declares a GPU; they have a home of their own and know no module of anybody's."""
    folder = tmp_path_factory.mktemp("cluster")
    found = Cluster(folder)
    found.worker(ROUTEREVAL_HOME=str(folder / "home"), **s3)
    found.worker("--resources", "GPU=1", ROUTEREVAL_HOME=str(folder / "gpu"), ON_GPU="1", **s3)
    yield found
    found.stop()


def tasks_of(
    *routers: object, targets: tuple[str, ...] = ("demo_math/*/3",), seeds: tuple[int, ...] = (0,)
) -> list[Task]:
    policies = [PolicySpec.parse(one).build() if isinstance(one, str) else one for one in routers]
    return plan(Datasets().select(targets), policies)


@pytest.fixture(autouse=True)
def faulty(site, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The routers that misbehave, known to the driver alone."""
    monkeypatch.syspath_prepend(str(site.folder))
    yield
    sys.modules.pop("faulty", None)


def test_a_cluster_gives_the_results_of_one_process_and_of_two_with_data_from_a_url(
    site, cluster: Cluster, s3: dict[str, str]
) -> None:
    routers = ("-r", "knn", "-r", "kmeans", "-r", "mlp:epochs=2", "-r", "faulty:Fine")
    for jobs in (1, 2):
        words = ("run", "demo_code/*/3", "demo_chat/*/5", *routers, "--jobs", jobs, "--results", f"{jobs}.sqlite")
        assert site.run(*words).returncode == 0
    by_file = (site.folder / "by-url").as_uri()
    for target, url in (("demo_code/*/3", "s3://bucket/store" if s3 else by_file), ("demo_chat/*/5", by_file)):
        before = stores(cluster.folder / "home", cluster.folder / "gpu", site.folder / "driver")
        done = site.run(
            *("run", target, *routers, "--dask", cluster.address, "--results", "dask.sqlite"),
            ROUTEREVAL_STORE=url,
            # Where workers run there is no such folder: what the driver has converted they do not see.
            ROUTEREVAL_HOME="driver",
            **s3,
        )
        assert done.returncode == 0, done.stderr
        (made,) = stores(site.folder / "driver") - before
        assert made in stores(cluster.folder / "home", cluster.folder / "gpu") - before
    assert site.contents("1.sqlite") == site.contents("2.sqlite")
    assert site.contents("1.sqlite") == site.contents("dask.sqlite")
    assert len(site.contents("1.sqlite")) == 24


def stores(*homes: Path) -> set[str]:
    """The hashes of the data that lie there."""
    return {path.parent.name for home in homes for path in home.glob("store/*/meta.json")}


def test_processes_beside_a_worker_serve_whatever_driver_comes_and_none_is_left_over(is_running) -> None:
    guards = Guards()
    ask, hang = pickle.dumps((os.getpid, ())), pickle.dumps((time.sleep, (600,)))

    def pid(limits: Limits, threads: int) -> int:
        return pickle.loads(guards.call(ask, limits, 1.0, threads, lambda: False))[1]

    first = {pid(Limits(timeout=seconds), 1) for seconds in (30.0, 40.0, None)}
    assert len(first) == 1
    other = pid(Limits(), 2)
    assert [is_running(one) for one in (*first, other)] == [False, True]
    with pytest.raises(WorkerError, match="stopped"):
        guards.call(hang, Limits(), 1.0, 2, lambda: True)
    assert not is_running(other)


def test_routers_that_misbehave_cost_their_own_run_and_no_worker(site, cluster: Cluster) -> None:
    names = ("Exits", "Hangs", "Leaks", "Prints", "Forks", "Fine")
    tasks = tasks_of(*(f"faulty:{name}" for name in names), targets=("demo_math/all_strong/3",))
    with (
        ResultStore(site.folder / "r.sqlite") as store,
        dask_crew(cluster.address, limits=Limits(timeout=10, memory=700 * 10**6)) as crew,
    ):
        execute(tasks, store, executor=crew)
        there = crew.workers
    errors = {router.partition(":")[2]: str(error) for (router, _), error in site.errors().items()}
    assert errors.pop("Leaks").startswith("LimitError: took ")
    assert errors == {
        "Exits": "WorkerError: the worker process ended by itself with exit status 7; so it went 4 times",
        "Hangs": "LimitError: took longer than 10 seconds",
        "Prints": "None",
        "Forks": "None",
        "Fine": "None",
    }
    assert len(site.log("fit Leaks")) == len(site.log("fit Forks")) == 1
    assert there == 2


def test_a_router_that_wants_a_gpu_gets_a_worker_that_has_one(site, cluster: Cluster) -> None:
    (site.folder / "wants.py").write_text(
        "import os\nfrom dataclasses import dataclass\nfrom typing import ClassVar\nimport numpy as np\n"
        "import routereval as rv\n\n\n@dataclass\nclass Wants:\n    columnwise: ClassVar[bool] = False\n"
        "    device: str = 'cuda'\n    number: int = 0\n\n    def fit(self, train, val=None):\n"
        "        assert os.environ.get('ON_GPU') == '1', 'no GPU here'\n        self.m_ = len(train.model_ids)\n"
        "        return self\n\n    def predict(self, queries):\n"
        "        return rv.Prediction(np.zeros((len(queries), self.m_)))\n"
    )
    tasks = tasks_of(*(f"wants:Wants:number={i}" for i in range(6)), targets=("demo_math/all_strong/3",))
    with ResultStore(site.folder / "r.sqlite") as store, dask_crew(cluster.address) as crew:
        execute(tasks, store, executor=crew)
    assert set(site.errors().values()) == {None}


def test_ctrl_c_once_takes_back_what_waits_and_lets_what_runs_end(site, cluster: Cluster, eventually) -> None:
    words = ("run", "demo_math/*/*", "-r", "faulty:Fine:seconds=3", "--results", "r.sqlite")
    process = site.start(*words, "--dask", cluster.address)
    eventually(lambda: len({worker for _, _, _, worker in site.log("fit")}) == 2)
    begun = len(site.log("fit"))
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    # Each worker had one more in hand; at most one may have begun it before word came.
    assert len(site.log("fit")) - begun in (0, 1)
    assert f"interrupted; {len(site.log('fit'))} of 12 runs are stored in r.sqlite" in said
    assert set(site.errors().values()) == {None}


@pytest.mark.parametrize("how", ["Ctrl-C twice", "killed"])
def test_workers_end_what_they_do_for_a_driver_that_stops_now(
    site, cluster: Cluster, eventually, is_running, how: str
) -> None:
    words = ("run", "demo_math/*/3", "--results", "r.sqlite", "--dask", cluster.address)
    process = site.start(*words, "-r", "faulty:Hangs", "--events", "events.jsonl")
    eventually(lambda: len(site.log("fit")) == 2)
    if how == "killed":
        process.kill()
    else:
        os.killpg(process.pid, signal.SIGINT)
        eventually(lambda: "stopping" in (site.folder / "events.jsonl").read_text())
        os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == (-signal.SIGKILL if how == "killed" else 130), said
    assert "Traceback" not in said
    eventually(lambda: not any(is_running(int(pid)) for _, _, pid, _ in site.log("fit")), 5)
    start = time.monotonic()
    assert site.run(*words, "-r", "faulty:Fine").returncode == 0
    assert time.monotonic() - start < 60
    assert len(site.log("fit Hangs")) == 2
    assert len(site.contents()) == 3


def test_the_executor_of_ones_own_client_will_do(site, cluster: Cluster) -> None:
    from distributed import Client

    with Client(cluster.address) as client:
        runs = rv.run(["demo_math/*/3"], ["knn"], results=site.folder / "r.sqlite", executor=client.get_executor())
    assert [run.error for run in runs] == [None] * 3


def test_a_worker_with_another_version_is_refused(site) -> None:
    (site.folder / "sitecustomize.py").write_text(
        "import importlib.metadata as metadata\n"
        "real = metadata.version\n"
        "metadata.version = lambda name: '9.9.9' if name == 'routereval' else real(name)\n"
    )
    mine = Cluster(site.folder)
    try:
        mine.worker(PYTHONPATH=str(site.folder))
        done = site.run("run", "demo_math/*/3", "-r", "knn", "--dask", mine.address, "--results", "r.sqlite")
    finally:
        mine.stop()
    assert done.returncode == 1
    here = rv.__version__
    assert f"has routereval 9.9.9, here it is {here}; install the same on every worker" in done.stderr
    assert "0 of 3 runs are stored in r.sqlite" in done.stderr
    assert site.contents() == []


def test_a_worker_that_joins_later_with_another_version_does_nothing_and_ends_the_suite(
    site, dask_here: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    crew = dask_cluster.crew_of(dask_here)  # which asks the workers that are there now
    here = dask_worker.facts()
    monkeypatch.setattr(dask_worker, "facts", lambda: here | {"routereval": "9.9.9"})
    with (
        ResultStore(site.folder / "r.sqlite") as store,
        pytest.raises(ClusterError, match=f"a worker has routereval 9.9.9, here it is {rv.__version__}; install the"),
    ):
        execute(tasks_of("faulty:Fine"), store, executor=crew)
    assert site.log("fit") == []
    assert site.contents() == []


def test_a_run_whose_result_was_lost_with_its_worker_is_done_again(
    site, dask_here: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crew_module, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(crew_module, "LOST_SECONDS", 0.2)
    gather, asked = dask_here._gather, []

    async def lost_at_first(*given: Any, **how: Any) -> Any:
        asked.append(given)
        if len(asked) == 1:
            raise distributed.KilledWorker("key", next(iter(dask_here.cluster.scheduler.workers.values())), 0)
        return await gather(*given, **how)

    monkeypatch.setattr(dask_here, "_gather", lost_at_first)
    with ResultStore(site.folder / "r.sqlite") as store:
        execute(tasks_of("faulty:Fine"), store, executor=dask_cluster.crew_of(dask_here))
        assert [run.error for run in store.runs()] == [None] * 3
    assert len(site.log("fit")) == 3 + 1


def test_a_result_that_is_lost_ends_its_call_when_nothing_is_handed_out_any_more(
    dask_here: Any, eventually: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crew_module, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(crew_module, "LOST_SECONDS", 0.2)

    async def lost(*given: Any, **how: Any) -> Any:
        raise distributed.KilledWorker("key", next(iter(dask_here.cluster.scheduler.workers.values())), 0)

    monkeypatch.setattr(dask_here, "_gather", lost)
    crew = dask_cluster.crew_of(dask_here)
    tasks = tasks_of("best_single")
    future = crew.start(tasks)

    def over() -> bool:
        """What the driver does after Ctrl-C: it asks what runs, for the dashboard."""
        crew.running()
        return future.done()

    eventually(over)
    (answer,) = crew.answers(future, tasks)
    assert "the result was lost with the Dask worker that had it" in str(answer)


def test_the_scheduler_of_a_local_cluster_leaves_it_to_the_driver_to_try_again(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []

    def cluster_of_threads(**how: Any) -> Any:
        made.append(distributed.deploy.local.LocalCluster(**how, processes=False))
        return made[0]

    monkeypatch.setattr(distributed, "LocalCluster", cluster_of_threads)
    # By itself a scheduler tries again, three times.
    with dask.config.set({"distributed.scheduler.allowed-failures": 3}), dask_crew("local", workers=1):
        assert made[0].scheduler.allowed_failures == 0


def test_nobody_at_the_address_is_one_sentence_and_status_1(site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dask_cluster, "CONNECT_SECONDS", 1.0)
    with (
        pytest.raises(ClusterError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:9"),
        dask_crew("tcp://127.0.0.1:9"),
    ):
        pass


def test_a_cluster_without_workers_is_waited_for_with_a_word_and_not_for_ever(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from distributed import LocalCluster

    monkeypatch.setattr(dask_cluster, "WORKERS_SECONDS", 1.0)
    with (
        LocalCluster(n_workers=0, dashboard_address=":0", silence_logs=50) as empty,
        pytest.raises(ClusterError, match="has no worker after 1 seconds; start some with: dask worker ADDRESS"),
        dask_crew(empty.scheduler_address),
    ):
        pass
    assert "waiting for a worker of the Dask cluster, for 1 seconds at most" in caplog.messages


def test_a_scheduler_that_dies_leaves_what_had_ended_and_the_same_command_carries_on(site, eventually) -> None:
    mine = Cluster(site.folder)
    try:
        mine.worker(FAULTY_FOLDER=str(site.folder))
        words = ("run", "demo_math/*/*", "-r", "faulty:Fine:seconds=0.3", "--results", "r.sqlite")
        process = site.start(*words, "--dask", mine.address, FAULTY_FOLDER=str(site.folder))
        eventually(lambda: site.stored() >= 2)
        os.killpg(mine.scheduler.pid, signal.SIGKILL)
        _, said = process.communicate(timeout=120)
        assert process.returncode == 1, said
        assert "the Dask scheduler is gone" in said
        assert "of 12 runs are stored in r.sqlite" in said
        assert "Traceback" not in said
        kept = site.stored()
        assert 2 <= kept < 12
    finally:
        mine.stop()
    assert site.run(*words).returncode == 0
    assert site.run(*words[:-1], "whole.sqlite").returncode == 0
    assert site.contents() == site.contents("whole.sqlite")


def test_a_run_whose_dask_workers_die_is_tried_three_times_more_and_costs_no_other(site) -> None:
    (site.folder / "deadly.py").write_text(
        "import os, signal\nfrom dataclasses import dataclass\nfrom faulty import HERE, Base\n\n\n@dataclass\n"
        "class Deadly(Base):\n    always: bool = False\n\n    def act(self):\n"
        "        if self.always or not (HERE / 'died').exists():\n            (HERE / 'died').touch()\n"
        "            assert os.getppid() > 1\n            os.kill(os.getppid(), signal.SIGKILL)\n\n\n"
        "class Once(Deadly):\n    pass\n"
    )
    routers = ("-r", "deadly:Deadly:always=true", "-r", "deadly:Once", "-r", "faulty:Fine:seconds=0.5")
    words = ("run", "demo_math/all_strong/3", *routers, "--results", "r.sqlite", "--dask", "local", "--jobs", 2)
    # What the router does to the Dask worker is what the system does where memory runs out.
    done = site.run(*words, "--events", "events.jsonl", FAULTY_FOLDER=str(site.folder))
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    errors = {router.partition(":")[2]: error for (router, _), error in site.errors().items()}
    assert errors["Fine"] is None
    assert errors["Once"] is None
    assert str(errors["Deadly"]).startswith("WorkerError: the Dask worker tcp://")
    assert str(errors["Deadly"]).endswith(" died; so it went 4 times")
    # Four times it was begun; a worker may die before it comes to that.
    assert 2 <= len(site.log("fit Deadly")) <= 4
    # By the driver, not by the scheduler.
    retries = [event for event in site.events() if event["event"] == "retry" and "deadly:Deadly" in str(event["what"])]
    assert len(retries) >= 3

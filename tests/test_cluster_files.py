"""The configuration files for clusters: that they parse, and that what they call is there."""

from __future__ import annotations

import importlib
import importlib.util
import re
import shlex
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer

FOLDER = Path(__file__).parents[1] / "examples" / "clusters"

yaml = pytest.importorskip("yaml", reason="PyYAML comes with the extra dask")


def kubernetes() -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((FOLDER / "kubernetes.yaml").read_text(encoding="utf-8")))


def test_shell_scripts_parse() -> None:
    content = yaml.safe_load((FOLDER / "cloud-init.yaml").read_text(encoding="utf-8"))
    worker = content["write_files"][0]["content"]
    for script in ((FOLDER / "slurm.sh").read_text(encoding="utf-8"), worker):
        subprocess.run(["bash", "-n"], input=script, text=True, check=True)
    assert worker.startswith("#!/bin/bash")


def texts() -> list[str]:
    """Every text in the files that a shell reads, and every command of a container as a line."""
    found = [(FOLDER / "slurm.sh").read_text(encoding="utf-8")]
    cloud = yaml.safe_load((FOLDER / "cloud-init.yaml").read_text(encoding="utf-8"))
    found.append(cloud["write_files"][0]["content"])
    for container in (container for one in kubernetes() for container in _containers(one)):
        found.append(shlex.join(container["command"]))
        found += container.get("args", [])
    return found


def commands(text: str) -> list[tuple[str, str, set[str]]]:
    """Every call of dask and routereval in a shell text: the program, its command, the options it is given."""
    joined = re.sub(r"\\\n\s*", " ", text)
    calls = re.findall(
        r"(?:^|\s)(dask|routereval) ((?:scheduler|worker|run|download)\b.*)$", joined, flags=re.MULTILINE
    )
    words = [(program, shlex.split(rest, comments=True)) for program, rest in calls]
    return [(program, rest[0], {word for word in rest if word.startswith("--")}) for program, rest in words]


def options(program: str, name: str) -> set[str]:
    """What a command knows, said by itself."""
    if program == "dask":
        module = importlib.import_module(f"distributed.cli.dask_{name}")
        command = module.main
    else:
        command = typer.main.get_command(importlib.import_module("routereval.cli").app).commands[name]
    return {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}


def test_the_commands_they_call_know_the_options_they_use() -> None:
    pytest.importorskip("distributed", reason="no Dask; pip install 'routereval[dask]'")
    calls = [call for text in texts() for call in commands(text)]
    assert sorted(f"{program} {name}" for program, name, _ in calls) == [
        *("dask scheduler", "dask scheduler", "dask worker", "dask worker", "dask worker"),
        *("routereval download", "routereval run", "routereval run"),
    ]
    unknown = {f"{program} {name} {one}" for program, name, used in calls for one in used - options(program, name)}
    assert unknown == set()
    jobs = yaml.safe_load((FOLDER / "jobqueue.yaml").read_text(encoding="utf-8"))["jobqueue"]["slurm"]
    assert {word for word in jobs["worker-extra-args"] if word.startswith("--")} <= options("dask", "worker")


def test_the_image_is_built_from_extras_that_exist() -> None:
    lines = (FOLDER / "Dockerfile").read_text(encoding="utf-8").splitlines()
    (extras,) = re.findall(r"pip install [^\n]*/src\[([a-z0-9,]+)\]", "\n".join(lines))
    project = tomllib.loads((FOLDER.parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert set(extras.split(",")) <= set(project["optional-dependencies"])
    # What kubernetes.yaml and cloud-init.yaml call comes with these: dask, and s3 for the bucket.
    assert {"dask", "s3"} <= set(extras.split(","))
    (python,) = re.findall(r"^FROM python:3\.(\d+)", "\n".join(lines), flags=re.MULTILINE)
    assert int(python) >= int(project["requires-python"].rpartition(".")[2])


def test_what_kubernetes_is_given_fits_together() -> None:
    kinds = {(one["kind"], one["metadata"]["name"]): one for one in kubernetes()}
    service = kinds["Service", "routereval-scheduler"]
    scheduler = kinds["Deployment", "routereval-scheduler"]["spec"]
    assert service["spec"]["selector"].items() <= scheduler["template"]["metadata"]["labels"].items()
    for name in ("routereval-scheduler", "routereval-worker"):
        spec = kinds["Deployment", name]["spec"]
        assert spec["selector"]["matchLabels"] == spec["template"]["metadata"]["labels"]
    images = {container["image"] for one in kinds.values() for container in _containers(one)}
    assert len(images) == 1
    claims = {volume["persistentVolumeClaim"]["claimName"] for volume in _pod(kinds["Job", "routereval"])["volumes"]}
    assert claims == {"routereval-results"} == {name for kind, name in kinds if kind == "PersistentVolumeClaim"}


def test_schedulers_leave_it_to_the_driver_to_try_again() -> None:
    config = pytest.importorskip("dask.config", reason="no Dask; pip install 'routereval[dask]'")
    before_it_starts = (FOLDER / "slurm.sh").read_text(encoding="utf-8").partition("\ndask scheduler")[0]
    slurm = dict(re.findall(r"^export (DASK_\w+)=(\S+)$", before_it_starts, flags=re.MULTILINE))
    kinds = {(one["kind"], one["metadata"]["name"]): one for one in kubernetes()}
    (container,) = _containers(kinds["Deployment", "routereval-scheduler"])
    maps = [kinds["ConfigMap", source["configMapRef"]["name"]]["data"] for source in container["envFrom"]]
    for environment in (slurm, {name: value for one in maps for name, value in one.items()}):
        found = config.collect_env(environment)
        assert config.get("distributed.scheduler.allowed-failures", config=found) == 0


def test_slurm_is_given_the_job_that_is_meant() -> None:
    pytest.importorskip("dask_jobqueue", reason="dask-jobqueue is not installed")
    spec = importlib.util.spec_from_file_location("slurm_adaptive", FOLDER / "slurm_adaptive.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with module.slurm_cluster() as cluster:
        script = cluster.job_script()
        assert cluster.scheduler.allowed_failures == 0
    assert "#SBATCH -J routereval-worker" in script
    assert "#SBATCH --cpus-per-task=1" in script
    assert "#SBATCH -t 04:00:00" in script
    assert "export OMP_NUM_THREADS=1" in script
    assert "--nthreads 1" in script
    assert "--lifetime 225m" in script


def _pod(job: dict[str, Any]) -> dict[str, Any]:
    return job["spec"]["template"]["spec"]


def _containers(one: dict[str, Any]) -> list[dict[str, Any]]:
    return one.get("spec", {}).get("template", {}).get("spec", {}).get("containers", [])

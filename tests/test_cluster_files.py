"""The configuration files for clusters: that they parse, and that what they call is there."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parents[1] / "examples" / "clusters"

yaml = pytest.importorskip("yaml", reason="PyYAML comes with the extra dask")


def commands(text: str) -> list[list[str]]:
    """Every call of routereval in a shell text."""
    joined = re.sub(r"\\\n\s*", " ", text)
    return [line.split() for line in re.findall(r"^\s*routereval (run .*)$", joined, flags=re.MULTILINE)]


def kubernetes() -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((FOLDER / "kubernetes.yaml").read_text(encoding="utf-8")))


def test_shell_scripts_parse() -> None:
    content = yaml.safe_load((FOLDER / "cloud-init.yaml").read_text(encoding="utf-8"))
    worker = content["write_files"][0]["content"]
    for script in ((FOLDER / "slurm.sh").read_text(encoding="utf-8"), worker):
        subprocess.run(["bash", "-n"], input=script, text=True, check=True)
    assert worker.startswith("#!/bin/bash")


def test_the_options_they_use_exist() -> None:
    texts = [(FOLDER / "slurm.sh").read_text(encoding="utf-8")]
    texts += [arg for one in kubernetes() for arg in _arguments(one)]
    calls = [call for text in texts for call in commands(text)]
    assert len(calls) == 2
    code = "from routereval.cli import main; main()"
    known = subprocess.run([sys.executable, "-c", code, "run", "--help"], capture_output=True, text=True, check=True)
    for call in calls:
        assert {word for word in call if word.startswith("--")} <= set(re.findall(r"--[a-z-]+", known.stdout))


def test_what_kubernetes_is_given_fits_together() -> None:
    kinds = {(one["kind"], one["metadata"]["name"]): one for one in kubernetes()}
    service = kinds["Service", "routereval-scheduler"]
    scheduler = kinds["Deployment", "routereval-scheduler"]["spec"]
    assert service["spec"]["selector"].items() <= scheduler["template"]["metadata"]["labels"].items()
    for name in ("routereval-scheduler", "routereval-worker"):
        spec = kinds["Deployment", name]["spec"]
        assert spec["selector"]["matchLabels"] == spec["template"]["metadata"]["labels"]
    images = {
        container["image"]
        for one in kinds.values()
        for container in one.get("spec", {}).get("template", {}).get("spec", {}).get("containers", [])
    }
    assert len(images) == 1
    claims = {volume["persistentVolumeClaim"]["claimName"] for volume in _pod(kinds["Job", "routereval"])["volumes"]}
    assert claims == {"routereval-results"} == {name for kind, name in kinds if kind == "PersistentVolumeClaim"}


def test_slurm_is_given_the_job_that_is_meant() -> None:
    pytest.importorskip("dask_jobqueue", reason="dask-jobqueue is not installed")
    spec = importlib.util.spec_from_file_location("slurm_adaptive", FOLDER / "slurm_adaptive.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with module.slurm_cluster() as cluster:
        script = cluster.job_script()
    assert "#SBATCH -J routereval-worker" in script
    assert "#SBATCH --cpus-per-task=1" in script
    assert "#SBATCH -t 04:00:00" in script
    assert "export OMP_NUM_THREADS=1" in script
    assert "--nthreads 1" in script
    assert "--lifetime 225m" in script


def _pod(job: dict[str, Any]) -> dict[str, Any]:
    return job["spec"]["template"]["spec"]


def _arguments(one: dict[str, Any]) -> list[str]:
    containers = one.get("spec", {}).get("template", {}).get("spec", {}).get("containers", [])
    return [arg for container in containers for arg in container.get("args", [])]

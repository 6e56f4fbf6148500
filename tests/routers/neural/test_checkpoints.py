from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the extra neural: pip install 'routereval[neural]'")
pytest.importorskip("transformers", reason="needs the extra neural: pip install 'routereval[neural]'")

import torch

import routereval as rv
from routereval.data.home import home
from routereval.errors import DataError
from routereval.policies import PolicySpec
from routereval.routers.neural.checkpoints import FILE, Checkpoint, asked_of, checkpoint_for, content_of
from routereval.sources.synthetic import Synthetic, SyntheticSpec

SPEC = "SyntheticSpec('resumed', prompts=80, models=50, skills=3, dimensions=6, sizes=(5,), seed=9)"

KILLED = """
import os, signal, sys
import routereval as rv
from routereval.routers.neural import checkpoints
from routereval.sources.synthetic import Synthetic, SyntheticSpec

write, written = checkpoints.Checkpoint.write, 0

def write_until(self, *given):
    global written
    if written == {writes}:
        (self.folder / (checkpoints.FILE + ".1")).write_bytes(b"half a file")
        os.kill(os.getpid(), signal.SIGKILL)
    write(self, *given)
    written += 1

checkpoints.Checkpoint.write = write_until
problem = Synthetic({spec}).data.scenario("strong_to_weak", 5)
rv.MLC({arguments}, checkpoint_seconds=0).fit(problem.train, {val})
"""


def problem() -> rv.Scenario:
    spec: SyntheticSpec = eval(SPEC)
    return Synthetic(spec).data.scenario("strong_to_weak", 5)


def kept() -> list[Path]:
    folder = home() / "checkpoints"
    return sorted(folder.iterdir()) if folder.is_dir() else []


@pytest.mark.parametrize("training", ["validated", "published"])
def test_a_fit_that_was_killed_carries_on_and_ends_with_the_same_bits(
    training: str, tiny_roberta: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    val = problem().val if training == "validated" else None
    router = rv.MLC(model=str(tiny_roberta), training=training, epochs=3, learning_rate=1e-3)  # type: ignore[arg-type]
    whole = dataclasses.replace(router).fit(problem().train, val)
    arguments = f"model={str(tiny_roberta)!r}, training={training!r}, epochs=3, learning_rate=1e-3"
    code = KILLED.format(spec=SPEC, arguments=arguments, writes=5, val="problem.val" if val else None)
    done = subprocess.run([sys.executable, "-c", code], env=os.environ.copy(), capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    (folder,) = kept()
    assert {path.name for path in folder.iterdir()} == {FILE, f"{FILE}.1"}

    steps = 0
    loss = rv.MLC._loss

    def counted(self: rv.MLC, *given: Any) -> Any:
        nonlocal steps
        steps += 1
        return loss(self, *given)

    monkeypatch.setattr(rv.MLC, "_loss", counted)
    resumed = dataclasses.replace(router, checkpoint_seconds=0).fit(problem().train, val)
    per_epoch = -(-len(problem().train) // (16 if val else 10))
    assert steps == 3 * per_epoch - 5
    assert resumed.weights_.keys() == whole.weights_.keys()
    assert all(values.tobytes() == whole.weights_[name].tobytes() for name, values in resumed.weights_.items())
    assert not kept()


def test_without_asking_nothing_is_written(tiny_roberta: Path) -> None:
    rv.MLC(model=str(tiny_roberta), epochs=1).fit(problem().train)
    assert not kept()


def test_a_checkpoint_belongs_to_one_router_with_its_parameters_on_these_data() -> None:
    train, val = problem().train, problem().val
    assert checkpoint_for("mlc", {"seed": 0}, None, train, val) is None

    def folder(router: str, seed: int, *parts: rv.Partition | None) -> Path:
        made = checkpoint_for(router, {"seed": seed}, 1.0, *parts)
        assert made is not None
        return made.folder

    first = folder("mlc", 0, train, val)
    assert first == folder("mlc", 0, problem().train, problem().val)
    others = [folder("mlc", 1, train, val), folder("other", 0, train, val), folder("mlc", 0, train, None)]
    others.append(folder("mlc", 0, train.rows(np.arange(len(train) - 1)), val))
    assert len({first, *others}) == 5
    assert content_of(train) != content_of(val or train)


@pytest.mark.parametrize("name", ["attention", "graph", "mlc", "probe", "routellm_mf", "routerdc"])
def test_a_fit_carries_on_on_another_device_and_not_with_another_seed(name: str) -> None:
    one = PolicySpec.parse(name).build()
    asked = [asked_of(dataclasses.replace(one, **other)) for other in ({}, {"device": "cpu"}, {"seed": 2})]
    assert asked[0] == asked[1]
    assert asked[0] != asked[2]


def test_what_is_written_is_read_and_what_is_damaged_is_nothing(tmp_path: Path) -> None:
    one = Checkpoint(tmp_path / "fit", seconds=3600)
    assert not one.due
    assert dataclasses.replace(one, seconds=0).due
    assert one.read() is None
    tied = torch.arange(3.0)
    one.write({"a": tied, "b": tied}, {"done": 3})
    tensors, about = one.read() or ({}, {})
    assert about == {"done": 3}
    assert tensors["b"].tolist() == [0, 1, 2]
    (tmp_path / "fit" / FILE).write_bytes(b"not one")
    assert one.read() is None
    one.remove()
    assert not (tmp_path / "fit").exists()
    (tmp_path / "fit").write_text("a file where the folder should be")
    with pytest.raises(DataError, match="cannot write the checkpoint"):
        one.write({"a": tied}, {})

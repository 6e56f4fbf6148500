"""Routers on fixed features end with the same bits whether or not their fit was cut off."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="needs the extra neural: pip install 'routereval[neural]'")
pytest.importorskip("transformers", reason="needs the extra neural: pip install 'routereval[neural]'")

import routereval as rv
from routereval.policies import PolicySpec
from routereval.routers.neural.checkpoints import Checkpoint
from routereval.sources.synthetic import Synthetic, SyntheticSpec

SPEC = SyntheticSpec("resuming", prompts=150, models=12, skills=2, dimensions=6, sizes=(5,), seed=1)


class CutOff(BaseException):
    """Not an error that anybody catches: the process is gone."""


@pytest.mark.parametrize(
    "spec", ["routellm_mf:epochs=6", "attention:epochs=6", "attention:epochs=6,extra=0", "probe:epochs=6,model={model}"]
)
def test_a_fit_that_was_cut_off_carries_on_and_ends_with_the_same_bits(
    spec: str, tiny_roberta: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROUTEREVAL_HOME", str(tmp_path))
    problem: rv.Scenario = Synthetic(SPEC).data.scenario("strong_to_weak", 5)
    router: Any = PolicySpec.parse(spec.format(model=tiny_roberta)).build()
    whole = dataclasses.replace(router).fit(problem.train, problem.val)
    written = []
    write = Checkpoint.write

    def write_and_die(self: Checkpoint, *given: Any) -> None:
        write(self, *given)
        written.append(1)
        if len(written) == 5:
            raise CutOff

    monkeypatch.setattr(Checkpoint, "write", write_and_die)
    often = dataclasses.replace(router, checkpoint_seconds=0)
    with pytest.raises(CutOff):
        dataclasses.replace(often).fit(problem.train, problem.val)
    assert len(list((tmp_path / "checkpoints").iterdir())) == 1
    resumed = often.fit(problem.train, problem.val)
    steps = 6 * -(-len(problem.train) // 64)
    assert len(written) == steps  # five before, the others after: no step was made twice
    assert {k: v.tobytes() for k, v in resumed.weights_.items()} == {k: v.tobytes() for k, v in whole.weights_.items()}
    assert not list((tmp_path / "checkpoints").iterdir())

from __future__ import annotations

import subprocess
import sys
from importlib.machinery import ModuleSpec
from importlib.util import find_spec

import pytest

import routereval as rv
from routereval.errors import MissingDataError, ParameterError
from routereval.policies import PolicySpec
from routereval.routers.neural import extra

STATEMENTS = {
    "importing the package": "import routereval",
    "importing mlc": "import routereval as rv; rv.MLC()",
    "making one by name": "from routereval.policies import PolicySpec; PolicySpec.parse('mlc:epochs=3').build()",
    "listing": "from routereval.cli import main; sys.argv = ['routereval', 'list', 'routers']; main()",
    "showing": "from routereval.cli import main; sys.argv = ['routereval', 'show', 'mlc']; main()",
}


@pytest.mark.parametrize("statement", STATEMENTS.values(), ids=STATEMENTS.keys())
def test_pytorch_is_not_imported_before_a_network_is_needed(statement: str) -> None:
    at_exit = "atexit.register(lambda: print({'torch', 'transformers'} & set(sys.modules)))"
    code = f"import atexit, sys; {at_exit}; {statement}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "set()"


def test_without_the_extra_a_router_can_be_made_and_fitting_it_prints_the_command(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def only_numpy(name: str) -> ModuleSpec | None:
        return None if name in extra.NEEDED else find_spec(name)

    monkeypatch.setattr(extra, "find_spec", only_numpy)
    assert not extra.installed()
    router = PolicySpec.parse("mlc").build()
    with pytest.raises(MissingDataError, match=r"mlc needs torch, .*pip install 'routereval\[neural\]'"):
        rv.evaluate(router, rv.load_scenario("demo_math/all_strong/3"))


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"epochs": 0}, "epochs = 0; it must be at least 1"),
        ({"batch": 0}, "batch = 0"),
        ({"learning_rate": -1.0}, "learning_rate = -1.0; it must be positive"),
        ({"max_tokens": 3}, "max_tokens = 3; it must be at least 8"),
        ({"head": "round"}, "head = 'round'; expected clipped or sigmoid"),
        ({"truncation": "middle"}, "truncation = 'middle'; expected first or last"),
        ({"training": "short"}, "training = 'short'; expected published or validated"),
    ],
)
def test_a_parameter_that_cannot_be_is_refused_before_anything_is_loaded(
    params: dict[str, object], message: str
) -> None:
    with pytest.raises(ParameterError, match=message):
        rv.evaluate(rv.MLC(**params), rv.load_scenario("demo_math/all_strong/3"))  # type: ignore[arg-type]

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra neural: pip install 'routereval[neural]'")

from routereval.errors import ParameterError, RouterError  # noqa: E402
from routereval.routers.neural.batching import Indices, shuffled_batches  # noqa: E402
from routereval.routers.neural.determinism import deterministic  # noqa: E402
from routereval.routers.neural.devices import Device, find_device  # noqa: E402
from routereval.routers.neural.loop import Trained, train  # noqa: E402
from routereval.routers.neural.memory import in_parts  # noqa: E402
from routereval.routers.neural.progress import Step, listening  # noqa: E402
from routereval.routers.neural.settings import Settings  # noqa: E402

CPU = Device("cpu")
X = torch.tensor(np.random.default_rng(0).standard_normal((40, 3)), dtype=torch.float32)
Y = X @ torch.tensor([[1.0], [-2.0], [0.5]])


def network(dropout: float = 0.0) -> Any:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return torch.nn.Sequential(torch.nn.Linear(3, 8), torch.nn.Dropout(dropout), torch.nn.Linear(8, 1))


def loss(module: Any, index: Indices) -> Any:
    return ((module(X[index]) - Y[index]) ** 2).mean()


def trained(module: Any, settings: Settings, **more: Any) -> Trained:
    given = {"loss": loss, "batches": lambda rng: shuffled_batches(40, settings.batch, rng)} | more
    return train(module, settings=settings, names=("test", 0), device=CPU, **given)


def bits(module: Any) -> bytes:
    return b"".join(values.numpy().tobytes() for values in module.state_dict().values())


def test_the_first_step_of_adamw_is_the_learning_rate_and_the_decay_of_weights_alone() -> None:
    module = torch.nn.Linear(1, 1)
    with torch.no_grad():
        module.weight.fill_(2.0)
        module.bias.fill_(2.0)
    settings = Settings(epochs=1, batch=1, learning_rate=0.1, warmup=0, decay="constant", weight_decay=0.5, clip=0)
    trained(
        module,
        settings,
        loss=lambda module, index: module(torch.ones(1, 1)).mean(),
        batches=lambda rng: [np.array([0])],
    )
    # Adam's first step is the rate, whatever the gradient; 2 x 0.1 x 0.5 of the weight decays, nothing of the bias.
    assert module.weight.item() == pytest.approx(2.0 - 0.1 - 0.1, abs=1e-6)
    assert module.bias.item() == pytest.approx(2.0 - 0.1, abs=1e-6)


def test_it_learns() -> None:
    module = network()
    before = loss(module, np.arange(40)).item()
    trained(module, Settings(epochs=40, batch=8, learning_rate=0.02))
    assert loss(module, np.arange(40)).item() < before / 100


def test_equal_names_give_equal_bits_and_pytorch_is_left_as_it_was() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first, second = network(0.5), network(0.5)
    for module in (first, second):
        trained(module, Settings(epochs=3, batch=8, learning_rate=0.01))
    assert bits(first) == bits(second)
    assert bits(first) != bits(network(0.5))
    assert torch.equal(torch.rand(3), expected)
    assert not torch.are_deterministic_algorithms_enabled()
    with pytest.raises(KeyError), deterministic("x"):
        raise KeyError
    assert not torch.are_deterministic_algorithms_enabled()


def test_a_batch_that_does_not_fit_is_halved_and_the_gradient_is_the_same() -> None:
    asked = []

    def crowded(module: Any, index: Indices) -> Any:
        asked.append(len(index))
        if len(index) > 3:
            raise torch.OutOfMemoryError("out of memory")
        return loss(module, index)

    small, whole = network(), network()
    outcome = trained(small, Settings(epochs=2, batch=10, learning_rate=0.01), loss=crowded)
    trained(whole, Settings(epochs=2, batch=10, learning_rate=0.01))
    assert asked[:3] == [10, 5, 2]
    assert outcome.together == 2
    for ours, theirs in zip(small.parameters(), whole.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


def test_one_prompt_that_does_not_fit_is_an_error_and_so_is_any_other_failure() -> None:
    def full(module: Any, index: Indices) -> Any:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes")

    def broken(module: Any, index: Indices) -> Any:
        raise RuntimeError("shapes do not match")

    with pytest.raises(RouterError, match="one prompt alone does not fit into memory"):
        trained(network(), Settings(epochs=1, batch=8), loss=full)
    with pytest.raises(RuntimeError, match="shapes"):
        trained(network(), Settings(epochs=1, batch=8), loss=broken)


def test_predicting_halves_what_does_not_fit_too() -> None:
    def work(part: Indices) -> int:
        if len(part) > 2:
            raise torch.OutOfMemoryError("out of memory")
        return int(part.sum())

    made = in_parts([np.arange(5), np.arange(5, 10)], work)
    assert [len(part) for part, _ in made] == [2, 2, 1, 2, 2, 1]
    assert [total for _, total in made] == [1, 5, 4, 11, 15, 9]


def test_a_loss_that_is_not_finite_is_reported() -> None:
    with pytest.raises(RouterError, match=r"the loss is nan after 1 epochs; lower learning_rate"):
        trained(network(), Settings(epochs=1), loss=lambda module, index: loss(module, index) * float("nan"))


def test_it_stops_when_validation_does_and_keeps_the_best_weights() -> None:
    scores = iter([0.1, 0.5, 0.7, 0.6, 0.6, 0.9])
    seen = []

    def validate(module: Any) -> float:
        assert not module.training
        assert not torch.is_grad_enabled()
        seen.append(copy.deepcopy(module))
        return next(scores)

    module = network(0.5)
    outcome = trained(module, Settings(epochs=10, batch=8, learning_rate=0.01, patience=2), validate=validate)
    assert outcome.scores == (0.1, 0.5, 0.7, 0.6, 0.6)
    assert (outcome.epochs, outcome.best) == (4, 2)
    assert bits(module) == bits(seen[2])


def test_weights_from_before_the_first_epoch_are_kept_where_nothing_is_better() -> None:
    module, before = network(), network()
    scores = iter([0.5, 0.4, float("nan")])
    outcome = trained(module, Settings(epochs=9, patience=2), validate=lambda module: next(scores))
    assert outcome.best == 0
    assert bits(module) == bits(before)


def test_a_head_learns_faster_and_what_is_frozen_does_not() -> None:
    module = network()
    module[0].requires_grad_(False)
    before = copy.deepcopy(module)
    settings = Settings(epochs=1, batch=40, learning_rate=0.01, warmup=0, decay="constant", weight_decay=0)
    trained(module, Settings(**vars(settings) | {"head_factor": 10}), is_head=lambda name: name == "2.bias")
    assert torch.equal(module[0].weight, before[0].weight)
    assert (module[2].bias - before[2].bias).abs().item() == pytest.approx(0.1, rel=1e-3)
    assert (module[2].weight - before[2].weight).abs().max().item() == pytest.approx(0.01, rel=1e-3)


def test_whoever_listens_hears_of_steps_loss_and_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("routereval.routers.neural.progress.QUIET_SECONDS", 0.0)
    heard: list[Step | None] = []
    with listening(heard.append):
        trained(network(), Settings(epochs=2, batch=20, patience=5), validate=lambda module: 0.25)
    *steps, end = heard
    assert end is None
    assert [(step.done, step.total) for step in steps if step] == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert str(steps[0]).startswith("test: loss ")
    assert str(steps[0]).endswith(", validation 0.2500")
    assert steps[3] is not None
    assert steps[3].left == 0


def test_the_device_is_found_or_refused() -> None:
    assert find_device("cpu") == CPU
    assert find_device().name in ("cpu", "cuda", "mps")
    with pytest.raises(ParameterError, match=r"device = 'tpu' is not here; there is .*cpu"):
        find_device("tpu")
    assert find_device("tpu", or_another=True).name == find_device().name

"""Training a network on features that stay as they are: embeddings, or hidden states of a frozen network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from routereval.routers.neural.batching import Indices, shuffled_batches
from routereval.routers.neural.checkpoints import Checkpoint
from routereval.routers.neural.devices import Device
from routereval.routers.neural.held_out import held_out
from routereval.routers.neural.loop import Loss, Trained, Validate, train
from routereval.routers.neural.settings import Settings

if TYPE_CHECKING:
    import torch

Objective = Callable[["torch.Tensor", "torch.Tensor"], "torch.Tensor"]
"""What is to become small: outputs (b, M) and targets (b, M or the first m of M), nan where not observed, to a mean."""

_PREDICTED = 1024
"""Prompts that go through a small network together in predicting."""


@dataclass(frozen=True, eq=False)
class Examples:
    """n prompts to learn from, or to be judged on.

    Parameters
    ----------
    features : (n, d) float32.
    targets : (n, m) float32, nan where not observed.
    """

    features: NDArray[np.float32]
    targets: NDArray[np.float32]

    def rows(self, index: Indices) -> Examples:
        """Those at these positions."""
        return Examples(self.features[index], self.targets[index])


def train_on_features(
    module: torch.nn.Module,
    objective: Objective,
    learn: Examples,
    judge: Examples | None,
    settings: Settings,
    *,
    names: tuple[object, ...],
    device: Device,
    checkpoint: Checkpoint | None = None,
    judged_by: Objective | None = None,
) -> Trained | None:
    """Train a module in place, shuffled batches of prompts at a time; the best epoch's weights are kept.

    Parameters
    ----------
    module : features (b, d) to outputs (b, M).
    judge : says when to stop; None: one prompt in five of ``learn`` is set aside for it.
    names : seeds everything.
    judged_by : the objective on these, where it is another one.

    Returns
    -------
    What the training came to; None where there are too few prompts to learn from, and the initial weights stay.
    """
    if judge is None or not np.isfinite(judge.targets).any():
        rows, aside = held_out(len(learn.features), *names)
        learn, judge = learn.rows(rows), learn.rows(aside)
    if not len(learn.features):
        return None
    count = len(learn.features)
    return train(
        module,
        _loss_on(learn, objective, device),
        lambda rng: shuffled_batches(count, settings.batch, rng),
        settings,
        names=names,
        device=device,
        validate=_score_on(judge, judged_by or objective, device),
        checkpoint=checkpoint,
    )


def _loss_on(examples: Examples, objective: Objective, device: Device) -> Loss:
    """The objective of a module on a batch of these prompts, given by their positions."""
    import torch

    x, targets = _tensors(examples, device)

    def loss(module: torch.nn.Module, index: Indices) -> torch.Tensor:
        some = torch.from_numpy(index).to(device.name)
        return objective(module(x[some]).float(), targets[some])

    return loss


def _score_on(examples: Examples, objective: Objective, device: Device) -> Validate:
    """How good a module is on all of these prompts: minus the mean of the objective."""
    x, targets = _tensors(examples, device)

    def score(module: torch.nn.Module) -> float:
        """Minus the mean of the objective, a stretch of prompts after the other."""
        total = 0.0
        for start in range(0, len(x), _PREDICTED):
            stretch = slice(start, start + _PREDICTED)
            with device.autocast():
                outputs = module(x[stretch]).float()
            total -= float(objective(outputs, targets[stretch])) * len(outputs)
        return total / len(x)

    return score


def _tensors(examples: Examples, device: Device) -> tuple[torch.Tensor, torch.Tensor]:
    """Features and targets on the device; copies, since PyTorch wants arrays that may be written to."""
    import torch

    x, targets = (torch.from_numpy(np.array(one)).to(device.name) for one in (examples.features, examples.targets))
    return x, targets


def outputs_of(module: torch.nn.Module, features: NDArray[np.float32], device: Device) -> NDArray[np.float64]:
    """What a module, on this device, makes of features (n, d): (n, M)."""
    import torch

    pieces: list[Any] = []
    for start in range(0, len(features), _PREDICTED):
        some = torch.from_numpy(np.array(features[start : start + _PREDICTED], dtype=np.float32)).to(device.name)
        with torch.no_grad():
            pieces.append(module(some).float().cpu().numpy())
    return np.concatenate(pieces).astype(np.float64) if pieces else np.zeros((0, 0))


def cross_entropy(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Binary cross-entropy, mean over each prompt's observed models, then over the prompts.

    Parameters
    ----------
    targets : (b, m); of logits of more models the first m count.
    """
    import torch

    seen = ~targets.isnan()
    losses = torch.nn.functional.binary_cross_entropy_with_logits(
        logits[:, : targets.shape[1]], targets.nan_to_num(0.0), weight=seen.float(), reduction="none"
    )
    return (losses.sum(1) / seen.sum(1).clamp(min=1)).mean()

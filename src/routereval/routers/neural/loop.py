"""The training loop: AdamW over batches of prompts, stopped early, resumed after a crash, repeatable to the bit."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from routereval.errors import RouterError
from routereval.routers.neural.batching import Indices
from routereval.routers.neural.checkpoints import Checkpoint
from routereval.routers.neural.determinism import deterministic, seed_of
from routereval.routers.neural.devices import Device
from routereval.routers.neural.memory import out_of_memory, release
from routereval.routers.neural.progress import Clock
from routereval.routers.neural.settings import Settings
from routereval.seeding import generator

if TYPE_CHECKING:
    import torch

_log = logging.getLogger(__name__)

Loss = Callable[["torch.nn.Module", Indices], "torch.Tensor"]
"""The mean loss over some prompts, a scalar that gradients flow from."""
Batches = Callable[[np.random.Generator], list[Indices]]
"""The batches of one epoch; as many each time."""
Validate = Callable[["torch.nn.Module"], float]
"""How good the module is, the higher the better; called without gradients, in evaluation mode."""


@dataclass(frozen=True)
class Trained:
    """What a training came to; the weights are in the module.

    Parameters
    ----------
    epochs : how many were begun.
    scores : validation scores before the first epoch and after each; empty where nobody validated.
    best : the epoch whose weights are kept, 0 for those before the first.
    together : how many prompts fitted through the network at once.
    """

    epochs: int
    scores: tuple[float, ...]
    best: int
    together: int


def train(
    module: torch.nn.Module,
    loss: Loss,
    batches: Batches,
    settings: Settings,
    *,
    names: tuple[object, ...],
    device: Device,
    validate: Validate | None = None,
    checkpoint: Checkpoint | None = None,
    is_head: Callable[[str], bool] = lambda name: False,
) -> Trained:
    """Train a module in place.

    Each step's random numbers are seeded by ``names`` and the step's number and each epoch's order by the epoch's, so a
    step depends on nothing but the weights, the optimiser's moments and its number. A fit that was killed carries on
    from its checkpoint and ends, on the CPU, with the bits it would have ended with.

    Parameters
    ----------
    module : on any device; it is moved. Parameters that ask for no gradient stay as they are.
    loss : mean over the prompts given. A batch that does not fit into memory is halved until it does, and the parts'
        gradients are added up in proportion; a loss that compares prompts of one batch then compares fewer.
    names : seeds everything: the router's name, its seed, ....
    validate : with ``settings.patience`` decides when to stop, and which epoch's weights are kept.
    checkpoint : where the state is kept meanwhile; removed at the end.
    is_head : which parameters, by name, learn ``settings.head_factor`` times faster.

    Raises
    ------
    RouterError : the loss is not finite, or one prompt alone does not fit into memory.
    """
    with deterministic(*names):
        run = _Run(module.to(device.name), loss, batches, settings, names, device, validate, checkpoint, is_head)
        try:
            return run.all()
        finally:
            run.clock.end()


@dataclass
class _Run:
    """One training under way."""

    module: torch.nn.Module
    loss: Loss
    batches: Batches
    settings: Settings
    names: tuple[object, ...]
    device: Device
    validate: Validate | None
    checkpoint: Checkpoint | None
    is_head: Callable[[str], bool]
    done: int = 0
    scores: list[float] = field(default_factory=list)
    best: dict[str, torch.Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        import torch

        self.together = self.settings.batch
        self.parameters = {name: p for name, p in self.module.named_parameters() if p.requires_grad}
        # Fused: all of a step in one pass over the memory, twice as fast on the CPU.
        fused = self.device.name == "cpu"
        self.optimiser = torch.optim.AdamW(self._groups(), betas=(0.9, 0.999), eps=1e-8, fused=fused)
        self.scaler = torch.amp.GradScaler("cuda", enabled=self.device.scales)
        self.per_epoch = len(self._order(0))
        self.steps = self.per_epoch * self.settings.epochs
        self.compiled = self.device.compiled(self.module)
        self._resume()
        self.clock = Clock(str(self.names[0]), self.steps, self.done)

    def all(self) -> Trained:
        """Every step that is left."""
        if self.done == 0:
            self._judge()
        order: list[Indices] = []
        while self.done < self.steps and not self._given_up():
            epoch, at = divmod(self.done, self.per_epoch)
            if at == 0 or not order:
                order = self._order(epoch)
            last = self._step(order[at])
            self.done += 1
            self.clock.step(self.done, lambda last=last: float(last))  # type: ignore[misc]
            if self.done % self.per_epoch == 0:
                if not math.isfinite(float(last)):
                    raise RouterError(
                        f"{self.names[0]}: the loss is {float(last)} after {epoch + 1} epochs; lower learning_rate, or "
                        "raise warmup"
                    )
                self._judge()
                _log.info("%s: epoch %d, loss %.4f, validation %s", self.names[0], epoch + 1, last, self.scores[-1:])
            if self.checkpoint is not None and self.checkpoint.due:
                self._write(self.checkpoint)
        best = int(np.argmax(self.scores)) if self.best else -(-self.done // self.per_epoch)
        if self.best:
            self.module.load_state_dict(self.best)
        self.module.eval()
        if self.checkpoint is not None:
            self.checkpoint.remove()
        return Trained(-(-self.done // self.per_epoch), tuple(self.scores), best, self.together)

    def _groups(self) -> list[dict[str, Any]]:
        """Parameters by whether they decay and how fast they learn."""
        groups: dict[tuple[bool, bool], list[torch.nn.Parameter]] = {}
        for name, parameter in self.parameters.items():
            groups.setdefault((parameter.ndim > 1, self.is_head(name)), []).append(parameter)
        return [
            {
                "params": members,
                "weight_decay": self.settings.weight_decay if decays else 0.0,
                "factor": self.settings.head_factor if head else 1.0,
            }
            for (decays, head), members in groups.items()
        ]

    def _order(self, epoch: int) -> list[Indices]:
        return self.batches(generator(*self.names, "order", epoch))

    def _step(self, index: Indices) -> torch.Tensor:
        """One step of the optimiser; its loss."""
        import torch

        rate = self.settings.rate(self.done, self.steps)
        for group in self.optimiser.param_groups:
            group["lr"] = rate * group["factor"]
        self.module.train()
        total = None
        while total is None:
            torch.manual_seed(seed_of(*self.names, "step", self.done))
            total = self._gradients(index)
        self.scaler.unscale_(self.optimiser)
        if self.settings.clip:
            torch.nn.utils.clip_grad_norm_(list(self.parameters.values()), self.settings.clip)
        self.scaler.step(self.optimiser)
        self.scaler.update()
        return total

    def _gradients(self, index: Indices) -> torch.Tensor | None:
        """Gradients of a whole batch, part by part, and its loss; None where a part was too large, now halved."""
        import torch

        self.optimiser.zero_grad(set_to_none=True)
        total = torch.zeros((), device=self.device.name)
        try:
            for start in range(0, len(index), self.together):
                part = index[start : start + self.together]
                with self.device.autocast():
                    loss = self.loss(self.compiled, part) * (len(part) / len(index))
                self.scaler.scale(loss).backward()
                total += loss.detach()
            return total
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
        # Out here, where the exception no longer holds on to what filled the memory.
        if self.together == 1:
            raise RouterError(f"{self.names[0]}: one prompt alone does not fit into memory; lower max_tokens")
        self.together = max(1, min(self.together, len(index)) // 2)
        self.optimiser.zero_grad(set_to_none=True)
        release()
        return None

    def _judge(self) -> None:
        """A validation score, and the weights set aside if it is the best so far."""
        import torch

        if self.validate is None or self.settings.patience == 0:
            return
        self.module.eval()
        with torch.no_grad():
            score = float(self.validate(self.module))
        score = -math.inf if math.isnan(score) else score
        if not self.scores or score > max(self.scores):
            self.best = {name: values.detach().cpu().clone() for name, values in self.module.state_dict().items()}
        self.scores.append(score)
        self.clock.score(score)

    def _given_up(self) -> bool:
        return bool(self.scores) and len(self.scores) - 1 - int(np.argmax(self.scores)) >= self.settings.patience

    def _write(self, checkpoint: Checkpoint) -> None:
        tensors = {f"module/{name}": values for name, values in self.module.state_dict().items()}
        tensors |= {f"best/{name}": values for name, values in self.best.items()}
        for name, parameter in self.parameters.items():
            tensors |= {f"adam/{name}/{key}": v for key, v in self.optimiser.state.get(parameter, {}).items()}
        about = {"done": self.done, "scores": self.scores, "together": self.together, **self._setting()}
        checkpoint.write(tensors, about | {"scaler": self.scaler.state_dict()})

    def _resume(self) -> None:
        """Carry on from the checkpoint, if there is one of this very training."""
        found = None if self.checkpoint is None else self.checkpoint.read()
        if found is None or any(found[1].get(key) != value for key, value in self._setting().items()):
            return
        tensors, about = found

        def under(prefix: str) -> dict[str, torch.Tensor]:
            return {name.removeprefix(prefix): v for name, v in tensors.items() if name.startswith(prefix)}

        self.module.load_state_dict(under("module/"))
        self.best = under("best/")
        for name, parameter in self.parameters.items():
            moments = under(f"adam/{name}/")
            self.optimiser.state[parameter] = {
                key: v if key == "step" else v.to(self.device.name) for key, v in moments.items()
            }
        self.scaler.load_state_dict(about["scaler"])
        self.done, self.scores, self.together = about["done"], about["scores"], about["together"]

    def _setting(self) -> dict[str, Any]:
        """What must not have changed for a checkpoint to be of use."""
        import torch

        return {"torch": torch.__version__, "steps": self.steps, "names": list(map(str, self.names))}

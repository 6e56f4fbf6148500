"""RouteLLM's matrix factorisation: which of two models wins on a prompt, learned from pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from routereval.data.prediction import Prediction, softmax
from routereval.data.queries import Queries
from routereval.data.scenario import Partition
from routereval.errors import ParameterError
from routereval.routers.neural.checkpoints import asked_of, checkpoint_for
from routereval.routers.neural.determinism import deterministic
from routereval.routers.neural.devices import find_device
from routereval.routers.neural.extra import require_extra
from routereval.routers.neural.features import Examples, outputs_of, train_on_features
from routereval.routers.neural.modules import arrays_of, built, with_arrays
from routereval.routers.neural.settings import Settings, small_network_settings
from routereval.routers.training import NEVER, log_odds, standard, standardised
from routereval.seeding import generator

if TYPE_CHECKING:
    import torch

_PAIRS = 512
"""Pairs of models that a step compares on each of its prompts; all of them where there are no more."""
_JUDGED_PAIRS = 4096


@dataclass
class RouteLLM:
    """Agreement of a model's direction with a linear map of the embedding, learned from who wins (Ong et al. 2024).

    ::

        delta(M, x) = w . (v_M / |v_M| * W x) + c_M
        P(s wins over w on x) = sigmoid(delta(s, x) - delta(w, x))

    Binary cross-entropy over pairs of the pool's models with different scores on a prompt. The published router has one
    strong and one weak model; the best of any number is the one with the highest delta, and the softmax of the deltas
    is the distribution in which any two have the odds above. Published: 128 factors, learning rate 0.0003, weight decay
    0.00001, batch 64, noise of 0.05 on the embeddings, no c.

    With ``levels`` (not published) embeddings are standardised, c_M begins at the log odds of the train mean, which is
    right where models fail independently, and w at 0: the start is ``best_single``, and validation pairs say when to
    stop (one training prompt in five, where there are no validation prompts). Of pools with many models each step
    compares 512 pairs drawn anew, the same on each of its prompts. Cells that were not observed are in no pair.

    Parameters
    ----------
    factors : length of a model's vector.
    learning_rate, weight_decay, batch : of AdamW; a batch is so many prompts, with all their pairs.
    epochs : at most.
    noise : standard deviation of what is added to the embeddings in training.
    levels : whether there is a c.
    device : as PyTorch names it; empty: CUDA if there is any, else MPS, else the CPU.
    checkpoint_seconds : the state of a fit is kept on disk so often, and a fit that was killed carries on; None: not.
    seed : of initial weights, noise, pairs and order.
    """

    columnwise: ClassVar[bool] = False
    incidental: ClassVar[frozenset[str]] = frozenset({"device", "checkpoint_seconds"})
    search_space: ClassVar[Mapping[str, Sequence[Any]]] = {
        "learning_rate": (3e-3, 3e-4, 1e-2),
        "factors": (128, 32),
        "weight_decay": (1e-5, 1e-1),
    }
    factors: int = 128
    learning_rate: float = 3e-3
    weight_decay: float = 1e-5
    batch: int = 64
    epochs: int = 100
    noise: float = 0.05
    levels: bool = True
    device: str = ""
    checkpoint_seconds: float | None = None
    seed: int = 0

    def fit(self, train: Partition, val: Partition | None = None) -> Self:
        """Train on the pool's pairs; ``val`` says when to stop.

        Raises
        ------
        ParameterError : a parameter that cannot be.
        MissingDataError : no embeddings, or no extra.
        """
        settings = self._settings()
        x = train.queries.require_embeddings()
        require_extra("routellm_mf")
        device = find_device(self.device)
        self.centre_, self.factor_ = standard(x) if self.levels else (np.zeros(x.shape[1]), 1.0)
        means = train.target_means
        self.unseen_ = np.isnan(means)
        with deterministic("routellm_mf", self.seed, "initial"):
            module = self._module(x.shape[1], log_odds(means, len(x)))
        judge = None if val is None else Examples(self._features(val.queries), val.targets)
        drawn = generator("routellm_mf", self.seed, "judged").random((2, _JUDGED_PAIRS))
        outcome = train_on_features(
            module,
            lambda deltas, targets: pair_loss(deltas, targets, _pairs_anew(deltas)),
            Examples(self._features(train.queries), train.targets),
            judge,
            settings,
            names=("routellm_mf", self.seed),
            device=device,
            checkpoint=checkpoint_for("routellm_mf", asked_of(self), self.checkpoint_seconds, train, val),
            judged_by=lambda deltas, targets: pair_loss(deltas, targets, _pairs_of(deltas, drawn)),
        )
        self.epochs_ = 0 if outcome is None else outcome.best
        self.weights_ = arrays_of(module)
        return self

    def predict(self, queries: Queries) -> Prediction:
        """Deltas (n, m) and their softmax."""
        require_extra("routellm_mf")
        device = find_device(self.device, or_another=True)

        def build() -> torch.nn.Module:
            module = self._module(len(self.centre_), np.zeros(len(self.unseen_), dtype=np.float32))
            return with_arrays(module, self.weights_).to(device.name)

        deltas = outputs_of(built(self, self.weights_, build), self._features(queries), device)
        deltas = deltas.reshape(len(queries), len(self.unseen_))
        deltas[:, self.unseen_] = NEVER
        return Prediction(deltas, softmax(deltas))

    def _settings(self) -> Settings:
        if self.factors < 1:
            raise ParameterError(f"routellm_mf has factors = {self.factors}; it must be at least 1")
        if not 0 <= self.noise < np.inf:
            raise ParameterError(f"routellm_mf has noise = {self.noise}; it must be 0 or more")
        return small_network_settings("routellm_mf", self)

    def _features(self, queries: Queries) -> NDArray[np.float32]:
        return standardised(queries.require_embeddings(), self.centre_, self.factor_).astype(np.float32)

    def _module(self, d: int, levels: NDArray[np.float32]) -> torch.nn.Module:
        from routereval.routers.neural.networks import Bilinear

        return Bilinear(d, self.factors, levels, levelled=self.levels, noise=self.noise)


def pair_loss(deltas: torch.Tensor, targets: torch.Tensor, pairs: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    """Mean binary cross-entropy over those of the pairs that have different scores on a prompt; 0 where none has.

    Parameters
    ----------
    deltas, targets : (b, m); targets nan where not observed.
    pairs : the columns of the first and of the second models.
    """
    import torch

    first, second = pairs
    apart = targets[:, first] - targets[:, second]
    decided = apart.nan_to_num(0.0) != 0
    margin = torch.where(apart > 0, 1.0, -1.0) * (deltas[:, first] - deltas[:, second])
    losses = torch.nn.functional.softplus(-margin) * decided
    return losses.sum() / decided.sum().clamp(min=1)


def _pairs_anew(deltas: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """All pairs of columns, or some of them by PyTorch's generator."""
    import torch

    m = deltas.shape[1]
    if m * (m - 1) // 2 <= _PAIRS:
        first, second = torch.triu_indices(m, m, 1, device=deltas.device)
        return first, second
    drawn = torch.randint(m, (2, _PAIRS)).to(deltas.device)
    return drawn[0], drawn[1]


def _pairs_of(deltas: torch.Tensor, drawn: NDArray[np.float64]) -> tuple[torch.Tensor, torch.Tensor]:
    """All pairs of columns, or those that uniform numbers (2, pairs) stand for."""
    import torch

    m = deltas.shape[1]
    if m * (m - 1) // 2 <= drawn.shape[1]:
        first, second = torch.triu_indices(m, m, 1, device=deltas.device)
        return first, second
    columns = torch.from_numpy((drawn * m).astype(np.int64)).to(deltas.device)
    return columns[0], columns[1]

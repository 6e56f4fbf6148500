"""Attention over models: what a prompt looks for among all models of a leaderboard, learned on all of them at once."""

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
from routereval.routers.neural.features import Examples, cross_entropy, outputs_of, train_on_features
from routereval.routers.neural.modules import arrays_of, built, with_arrays
from routereval.routers.neural.settings import Settings, small_network_settings
from routereval.routers.training import NEVER, log_odds, standard, standardised
from routereval.seeding import generator

if TYPE_CHECKING:
    import torch

Floats = NDArray[np.float32]


@dataclass
class Attention:
    """A prompt attends over the models of a whole leaderboard, and is compared with those of the pool.

    ::

        q_h = W_h x + w_h                                     what head h looks for
        c_h = sum_m softmax_m(q_h . K v_m / sqrt(k)) V v_m    what it finds among all models
        logit_m = level_m + sum_h gate_h normal(q_h + c_h) . v_m / sqrt(k)

    Embeddings x are standardised. The models' embeddings v begin at the first singular vectors of the table of training
    scores less each model's mean, levels at the log odds of the train means, gates at 0, which is ``best_single``.
    Binary cross-entropy over the observed cells of the training prompts, half of it the pool's and half that of the
    other models of the benchmark (the extra data D of Huang et al. 2025, ``Partition.extra``): they are scored on
    training prompts only. Validation prompts, with the pool's scores alone, say when to stop; where there are none, one
    training prompt in five does.

    Parameters
    ----------
    extra : how many models outside the pool it learns from at most, drawn at random where there are more; 0: none.
    share : of the loss that is theirs.
    factors : length of a model's embedding.
    heads : how many things a prompt looks for.
    dropout : share of the embedding's dimensions left out in training.
    learning_rate, weight_decay, batch : of AdamW; a batch is so many prompts.
    epochs : at most.
    device : as PyTorch names it; empty: CUDA if there is any, else MPS, else the CPU.
    checkpoint_seconds : the state of a fit is kept on disk so often, and a fit that was killed carries on; None: not.
    seed : of initial weights, of which models are drawn, dropout and order.
    """

    columnwise: ClassVar[bool] = False
    uses_extra: ClassVar[bool] = True
    incidental: ClassVar[frozenset[str]] = frozenset({"device", "checkpoint_seconds"})
    search_space: ClassVar[Mapping[str, Sequence[Any]]] = {
        "extra": (10_000, 0),
        "share": (0.5, 0.9),
        "learning_rate": (1e-3, 3e-3),
        "weight_decay": (0.1, 1.0),
    }
    extra: int = 10_000
    share: float = 0.5
    factors: int = 32
    heads: int = 4
    dropout: float = 0.2
    learning_rate: float = 1e-3
    weight_decay: float = 0.1
    batch: int = 64
    epochs: int = 100
    device: str = ""
    checkpoint_seconds: float | None = None
    seed: int = 0

    def fit(self, train: Partition, val: Partition | None = None) -> Self:
        """Train on the pool's models and on others of the benchmark; ``val`` says when to stop.

        Learned: ``weights_`` by name, ``extra_``, how many other models it learned from.

        Raises
        ------
        ParameterError : a parameter that cannot be.
        MissingDataError : no embeddings, or no extra ``neural``.
        """
        settings = self._settings()
        x = train.queries.require_embeddings()
        require_extra("attention")
        device = find_device(self.device)
        self.centre_, self.factor_ = standard(x)
        self.unseen_ = np.isnan(train.target_means)
        targets, means = self._table(train)
        m = len(train.model_ids)
        self.extra_ = targets.shape[1] - m
        with deterministic("attention", self.seed, "initial"):
            module = self._module(x.shape[1], self._embeddings(targets, means), log_odds(means, len(x)))
        judge = None if val is None else Examples(self._features(val.queries), val.targets)
        share = self.share if self.extra_ else 0.0

        def objective(logits: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
            loss = cross_entropy(logits, wanted[:, :m])
            return loss if not share else (1 - share) * loss + share * cross_entropy(logits[:, m:], wanted[:, m:])

        outcome = train_on_features(
            module,
            objective,
            Examples(self._features(train.queries), targets),
            judge,
            settings,
            names=("attention", self.seed),
            device=device,
            checkpoint=checkpoint_for("attention", self._identity(targets), self.checkpoint_seconds, train, val),
            judged_by=lambda logits, wanted: cross_entropy(logits, wanted[:, :m]),
        )
        self.epochs_ = 0 if outcome is None else outcome.best
        self.weights_ = arrays_of(module)
        return self

    def predict(self, queries: Queries) -> Prediction:
        """Probabilities of being right (n, m), and the softmax of the logits."""
        require_extra("attention")
        device = find_device(self.device, or_another=True)
        m = len(self.unseen_)

        def build() -> torch.nn.Module:
            arrays = self.weights_
            module = self._module(len(self.centre_), arrays["models"], arrays["levels"])
            return with_arrays(module, arrays).to(device.name)

        logits = outputs_of(built(self, self.weights_, build), self._features(queries), device)
        logits = logits.reshape(len(queries), -1)[:, :m] if len(queries) else np.zeros((0, m))
        logits[:, self.unseen_] = NEVER
        return Prediction(1 / (1 + np.exp(-logits)), softmax(logits))

    def _settings(self) -> Settings:
        for name, least in (("extra", 0), ("factors", 1), ("heads", 1)):
            if getattr(self, name) < least:
                raise ParameterError(f"attention has {name} = {getattr(self, name)}; it must be at least {least}")
        for name in ("share", "dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise ParameterError(f"attention has {name} = {getattr(self, name)}; it must be 0 or more and below 1")
        return small_network_settings("attention", self)

    def _identity(self, targets: Floats) -> dict[str, Any]:
        """What a checkpoint must have been made with to be carried on from: the other models' scores too."""
        return asked_of(self) | {"table": float(np.nansum(targets, dtype=np.float64)), "models": targets.shape[1]}

    def _features(self, queries: Queries) -> Floats:
        return standardised(queries.require_embeddings(), self.centre_, self.factor_).astype(np.float32)

    def _table(self, train: Partition) -> tuple[Floats, NDArray[np.float64]]:
        """Targets (n, M) of the pool's models and then of the others, and their means."""
        if train.extra is None or not self.extra:
            return train.targets, train.target_means
        pool = set(train.model_ids)
        known = np.isfinite(train.extra.model_means)
        others = [i for i, name in enumerate(train.extra.model_ids) if known[i] and name not in pool]
        if len(others) > self.extra:
            rng = generator("attention", self.seed, "extra")
            others = [others[i] for i in sorted(rng.choice(len(others), self.extra, replace=False))]
        extra = train.extra.columns(np.array(others, dtype=np.intp))
        targets = np.concatenate([train.targets, extra.dense()], axis=1)
        return targets, np.concatenate([train.target_means, extra.model_means])

    def _embeddings(self, targets: Floats, means: NDArray[np.float64]) -> Floats:
        """Model embeddings (M, k) to begin with: singular vectors times values, and a little noise."""
        from sklearn.utils.extmath import randomized_svd

        rng = generator("attention", self.seed, "embeddings")
        noise = rng.standard_normal((targets.shape[1], self.factors)).astype(np.float32)
        centred = np.nan_to_num(targets - np.nan_to_num(means).astype(np.float32))
        if not centred.any():
            return noise
        k = min(self.factors, *centred.shape)
        _, values, vectors = randomized_svd(centred, k, random_state=0)
        start = np.zeros_like(noise)
        start[:, :k] = (vectors * values[:, None]).T
        start /= np.sqrt(np.mean(np.square(start)))
        return start + np.float32(0.1) * noise

    def _module(self, d: int, vectors: Floats, levels: Floats) -> torch.nn.Module:
        from routereval.routers.neural.networks import ModelAttention

        return ModelAttention(d, vectors, levels, self.heads, self.dropout)

"""A small head on the hidden states of a pretrained network that itself stays as it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, get_args

import numpy as np
from numpy.typing import NDArray

from routereval.data.prediction import Prediction, softmax
from routereval.data.queries import Queries
from routereval.data.scenario import Partition
from routereval.errors import MissingDataError, ParameterError
from routereval.protocols import STRICT
from routereval.routers.neural.checkpoints import asked_of, checkpoint_for
from routereval.routers.neural.determinism import deterministic
from routereval.routers.neural.devices import Device, find_device
from routereval.routers.neural.extra import require_extra
from routereval.routers.neural.features import Examples, cross_entropy, outputs_of, train_on_features
from routereval.routers.neural.hidden_states import Pooling, hidden_states, revision
from routereval.routers.neural.modules import arrays_of, built, with_arrays
from routereval.routers.neural.pretrained import Pretrained, pretrained
from routereval.routers.neural.settings import Settings, small_network_settings
from routereval.routers.neural.tokens import Truncation, require_texts
from routereval.routers.training import NEVER, log_odds, standard, standardised

if TYPE_CHECKING:
    import torch


@dataclass
class Probe:
    """One logit per model on the hidden states of a layer of any network of Hugging Face, encoder or decoder.

    ``P(model m is right on x) = sigmoid(w_m . h(x) + b_m)``, or the same with one hidden layer before it; h(x) are the
    layer's states of the prompt's tokens, pooled and standardised (a probe as RouterXBench has it). They are computed
    once per text and kept with the embeddings on disk; the head alone is trained, by binary cross-entropy over the
    observed cells. It begins at the log odds of the train means, which is ``best_single``; validation prompts say when
    to stop (one training prompt in five, where there are none).

    A saved probe has its head and knows the network by name: to predict, the network has to be there again.

    Parameters
    ----------
    model : a network: a name on Hugging Face, a folder, or ``minilm``.
    layer : 0 the tokens' embeddings, 1 the first layer, -1 the last.
    pooling : ``mean`` of the tokens, the ``last`` (decoders), the first (``cls``), or the ``max`` of each entry.
    hidden : units of the hidden layer; 0: the head is linear.
    truncation : whether the ``first`` or the ``last`` tokens of a prompt that is too long are read, or as the protocol
        says.
    max_tokens : so many are read, at most.
    learning_rate, weight_decay, batch : of AdamW.
    epochs : at most.
    device : as PyTorch names it; empty: CUDA if there is any, else MPS, else the CPU.
    checkpoint_seconds : the state of a fit is kept on disk so often, and a fit that was killed carries on; None: not.
    seed : of initial weights and order.
    """

    columnwise: ClassVar[bool] = False
    needs_embeddings: ClassVar[bool] = False
    incidental: ClassVar[frozenset[str]] = frozenset({"device", "checkpoint_seconds"})
    search_space: ClassVar[Mapping[str, Sequence[Any]]] = {
        "layer": (-1, -2),
        "pooling": ("mean", "last", "max"),
        "hidden": (0, 128),
        "weight_decay": (0.1, 1.0),
    }
    model: str = "minilm"
    layer: int = -1
    pooling: Pooling = "mean"
    hidden: int = 0
    truncation: Truncation = "protocol"
    max_tokens: int = 512
    learning_rate: float = 1e-3
    weight_decay: float = 0.1
    batch: int = 64
    epochs: int = 100
    device: str = ""
    checkpoint_seconds: float | None = None
    seed: int = 0

    def fit(self, train: Partition, val: Partition | None = None) -> Self:
        """Train the head; ``val`` says when to stop.

        Learned: ``weights_`` by name, ``revision_`` of the network, ``notes_``.

        Raises
        ------
        ParameterError : a parameter that cannot be.
        MissingDataError : no texts, no extra, no network.
        """
        settings = self._settings()
        texts = require_texts("probe", train.queries)
        require_extra("probe")
        device = find_device(self.device)
        network = pretrained(self.model, self.max_tokens)
        self.revision_ = revision(network.folder)
        states, cut = self._states(network, texts, device)
        self.centre_, self.factor_ = standard(states)
        means = train.target_means
        self.unseen_ = np.isnan(means)
        with deterministic("probe", self.seed, "initial"):
            module = self._module(log_odds(means, len(train)))
        judge = None
        if val is not None and len(val):
            theirs, _ = self._states(network, require_texts("probe", val.queries), device)
            judge = Examples(self._scaled(theirs), val.targets)
        outcome = train_on_features(
            module,
            cross_entropy,
            Examples(self._scaled(states), train.targets),
            judge,
            settings,
            names=("probe", self.seed),
            device=device,
            checkpoint=checkpoint_for("probe", self._identity(), self.checkpoint_seconds, train, val),
        )
        self.epochs_ = 0 if outcome is None else outcome.best
        self.weights_ = arrays_of(module)
        self.notes_: tuple[str, ...] = ()
        if cut:
            kept = f"{self._truncation} {network.limit} tokens"
            self.notes_ = (f"probe read the {kept} of {cut} of {len(train)} training prompts: they have more",)
        return self

    def predict(self, queries: Queries) -> Prediction:
        """Probabilities of being right (n, m), and the softmax of the logits.

        Raises
        ------
        MissingDataError : no texts, or the network is not there, or another one has its name now.
        """
        require_extra("probe")
        device = find_device(self.device, or_another=True)
        m = len(self.unseen_)

        def build() -> torch.nn.Module:
            module = self._module(np.zeros(m, dtype=np.float32))
            return with_arrays(module, self.weights_).to(device.name)

        texts = require_texts("probe", queries)
        network = pretrained(self.model, self.max_tokens)
        if revision(network.folder) != self.revision_:
            raise MissingDataError(f"{self.model} has other weights than when this probe was fitted; fit it again")
        states, _ = self._states(network, texts, device)
        logits = outputs_of(built(self, self.weights_, build), self._scaled(states), device).reshape(len(queries), m)
        logits[:, self.unseen_] = NEVER
        return Prediction(1 / (1 + np.exp(-logits)), softmax(logits))

    @property
    def _truncation(self) -> Literal["first", "last"]:
        """Where it is left to the protocol and nobody filled it in, what ``strict`` says."""
        return STRICT.truncation if self.truncation == "protocol" else self.truncation

    def _settings(self) -> Settings:
        for name, value, allowed in (
            ("pooling", self.pooling, get_args(Pooling)),
            ("truncation", self._truncation, ("first", "last")),
        ):
            if value not in allowed:
                raise ParameterError(f"probe has {name} = {value!r}; expected {' or '.join(allowed)}")
        for name, least in (("hidden", 0), ("max_tokens", 8)):
            if getattr(self, name) < least:
                raise ParameterError(f"probe has {name} = {getattr(self, name)}; it must be at least {least}")
        return small_network_settings("probe", self)

    def _identity(self) -> dict[str, Any]:
        """What a checkpoint must have been made with to be carried on from."""
        return asked_of(self) | {"truncation": self._truncation, "revision": self.revision_}

    def _states(self, network: Pretrained, texts: Sequence[str], device: Device) -> tuple[NDArray[np.float32], int]:
        return hidden_states(
            network,
            texts,
            name=self.model,
            layer=self.layer,
            pooling=self.pooling,
            truncation=self._truncation,
            device=device,
        )

    def _scaled(self, states: NDArray[np.float32]) -> NDArray[np.float32]:
        return standardised(states, self.centre_, self.factor_).astype(np.float32)

    def _module(self, levels: NDArray[np.float32]) -> torch.nn.Module:
        from routereval.routers.neural.networks import Head

        return Head(len(self.centre_), self.hidden, levels)

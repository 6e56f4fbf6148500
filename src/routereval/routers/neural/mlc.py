"""A pretrained encoder fine-tuned to say from a prompt's text which models will be right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray

from routereval.data.prediction import Prediction, softmax
from routereval.data.queries import Queries
from routereval.data.scenario import Partition
from routereval.errors import ParameterError
from routereval.protocols import STRICT
from routereval.routers.neural.batching import (
    Indices,
    bucketed_batches,
    padded,
    shuffled_batches,
    sorted_batches,
)
from routereval.routers.neural.checkpoints import checkpoint_for
from routereval.routers.neural.determinism import deterministic
from routereval.routers.neural.devices import Device, find_device
from routereval.routers.neural.extra import require_extra
from routereval.routers.neural.held_out import held_out
from routereval.routers.neural.loop import train as train_module
from routereval.routers.neural.memory import in_parts
from routereval.routers.neural.modules import arrays_of, built
from routereval.routers.neural.pretrained import Pretrained, last_layer, module_of, pretrained, rebuilt
from routereval.routers.neural.settings import Settings
from routereval.routers.neural.tokens import Tokens, Truncation, require_texts, tokenised
from routereval.routers.training import NEVER, log_odds

if TYPE_CHECKING:
    import torch

_PREDICTED = 32
"""Prompts that go through the network together in predicting, where they fit."""


@dataclass
class MLC:
    """An encoder of Hugging Face with one logit per model, fine-tuned whole on the prompts' texts (Huang et al. 2025).

    ``P(model m is right on x) = sigmoid(logit_m(x))``, learned by binary cross-entropy over the observed cells.

    As ``paper`` has it (``training=published, head=clipped, truncation=first``): 10 epochs of AdamW in batches of 10,
    learning rate 0.00005 after 500 steps of warm-up, weight decay 0.01, last weights; the first 512 tokens of a prompt;
    logits below 0 become 0, and what is left, normalised, is the distribution. A prompt on which nothing is left (0/0)
    goes to the first candidate with all of the probability; how many did is noted.

    As ``strict`` has it (``validated``, ``sigmoid``, ``last``): biases begin at the log odds of the train means and the
    last layer's weights at 0, which is ``best_single``; after each epoch the cross-entropy on validation prompts says
    whether to go on, and the best epoch's weights are kept, the first ones included. Where there are no validation
    prompts, one training prompt in five is set aside.

    Parameters
    ----------
    model : an encoder: a name on Hugging Face, a folder, or ``minilm``.
    training : ``published``, ``validated``, or as the protocol says.
    head : what becomes of the logits, ``clipped`` or ``sigmoid``, or as the protocol says.
    truncation : whether the ``first`` or the ``last`` tokens of a prompt that is too long are read, or as the protocol
        says.
    max_tokens : so many are read.
    learning_rate, epochs, batch : None: 0.00005, 10 and 10 (published) or 16 (validated).
    device : as PyTorch names it; empty: CUDA if there is any, else MPS, else the CPU.
    checkpoint_seconds : the state of a fit is kept on disk so often, and a fit that was killed carries on; None: not.
    seed : of the head's initial weights, order and dropout.
    """

    columnwise: ClassVar[bool] = False
    needs_embeddings: ClassVar[bool] = False
    paper_entropy_floor: ClassVar[float] = 1e-4
    incidental: ClassVar[frozenset[str]] = frozenset({"device", "checkpoint_seconds"})
    search_space: ClassVar[Mapping[str, Sequence[Any]]] = {
        "learning_rate": (None, 2e-5, 2e-4),
        "max_tokens": (512, 128),
        "batch": (None, 32),
    }
    model: str = "roberta-base"
    training: Literal["protocol", "published", "validated"] = "protocol"
    head: Literal["protocol", "clipped", "sigmoid"] = "protocol"
    truncation: Truncation = "protocol"
    max_tokens: int = 512
    learning_rate: float | None = None
    epochs: int | None = None
    batch: int | None = None
    device: str = ""
    checkpoint_seconds: float | None = None
    seed: int = 0

    def fit(self, train: Partition, val: Partition | None = None) -> Self:
        """Fine-tune the encoder; ``val`` says when to stop.

        Learned: ``weights_`` by name, ``config_`` and ``tokenizer_`` as text, ``notes_``.

        Raises
        ------
        ParameterError : a parameter that cannot be.
        MissingDataError : no texts, no extra, no weights.
        """
        settings = self._settings()
        texts = require_texts("mlc", train.queries)
        require_extra("mlc")
        device = find_device(self.device)
        encoder = pretrained(self.model, self.max_tokens)
        tokens = self._tokens(encoder.state, texts)
        self.encoder_ = encoder.state
        self.unseen_ = np.isnan(train.target_means)
        with deterministic("mlc", self.seed, "initial"):
            module = self._initial(encoder, train)
        judge, rows = None, np.arange(len(train))
        if settings.patience:
            judge, rows = self._judge(train, val, tokens, device)
        targets = train.targets
        if len(rows):
            checkpoint = checkpoint_for("mlc", self._identity(), self.checkpoint_seconds, train, val)
            outcome = train_module(
                module,
                lambda module, index: self._loss(module, tokens, targets, rows[index], device),
                lambda rng: self._batches(tokens.lengths[rows], settings.batch, rng),
                settings,
                names=("mlc", self.seed),
                device=device,
                validate=judge,
                checkpoint=checkpoint,
                is_head=lambda name: name.startswith(("classifier", "score", "head")),
            )
            self.epochs_ = outcome.best
        self.weights_ = arrays_of(module)
        self.notes_ = self._notes(tokens)
        return self

    def predict(self, queries: Queries) -> Prediction:
        """Scores (n, m), and the distribution that the head makes of them."""
        require_extra("mlc")
        device = find_device(self.device, or_another=True)
        m = len(self.unseen_)
        encoder = self.encoder_

        def build() -> torch.nn.Module:
            return rebuilt(encoder["config"], "classifier", self.weights_, m).to(device.name)

        tokens = self._tokens(encoder, require_texts("mlc", queries))
        logits = self._logits(built(self, self.weights_, build), tokens, np.arange(len(tokens)), device)
        logits[:, self.unseen_] = NEVER
        if self._rule("head") == "sigmoid":
            return Prediction(1 / (1 + np.exp(-logits)), softmax(logits))
        return clipped(logits, self.unseen_)

    def _rule(self, name: str) -> Any:
        """A parameter; where it is left to the protocol and nobody filled it in, what ``strict`` says."""
        value = getattr(self, name)
        return getattr(STRICT, name) if value == "protocol" else value

    def _settings(self) -> Settings:
        """How to train, checked."""
        for name, allowed in (
            ("training", ("published", "validated")),
            ("head", ("clipped", "sigmoid")),
            ("truncation", ("first", "last")),
        ):
            if self._rule(name) not in allowed:
                raise ParameterError(f"mlc has {name} = {getattr(self, name)!r}; expected {' or '.join(allowed)}")
        if self.max_tokens < 8:
            raise ParameterError(f"mlc has max_tokens = {self.max_tokens}; it must be at least 8")
        published = self._rule("training") == "published"
        return Settings(
            epochs=10 if self.epochs is None else self.epochs,
            batch=(10 if published else 16) if self.batch is None else self.batch,
            learning_rate=5e-5 if self.learning_rate is None else self.learning_rate,
            warmup=500 if published else 0.1,
            weight_decay=0.01,
            patience=0 if published else 3,
            head_factor=1 if published else 10,
        ).check("mlc")

    def _identity(self) -> dict[str, Any]:
        """What a checkpoint must have been made with to be carried on from."""
        return {f.name: self._rule(f.name) for f in fields(self) if f.name not in self.incidental}

    def _tokens(self, encoder: Mapping[str, Any], texts: Sequence[str]) -> Tokens:
        return tokenised(encoder["tokenizer"], texts, encoder["limit"], self._rule("truncation"))

    def _initial(self, encoder: Pretrained, train: Partition) -> torch.nn.Module:
        """The encoder with a head for these models; under ``validated`` it says what ``best_single`` says."""
        import torch

        m = len(train.model_ids)
        module = module_of(encoder, "classifier", m)
        if self._rule("training") == "validated":
            last = last_layer(module, m)
            with torch.no_grad():
                last.weight.zero_()
                if last.bias is not None:
                    last.bias.copy_(torch.from_numpy(log_odds(train.target_means, len(train))))
        return module

    def _batches(self, lengths: NDArray[np.int64], batch: int, rng: np.random.Generator) -> list[Indices]:
        """Plainly shuffled as published; else of like length, which is several times faster."""
        if self._rule("training") == "published":
            return shuffled_batches(len(lengths), batch, rng)
        return bucketed_batches(lengths, batch, rng)

    def _judge(self, train: Partition, val: Partition | None, tokens: Tokens, device: Device) -> tuple[Any, Indices]:
        """What says how good the module is, and the training prompts that are left to learn from."""
        if val is not None and len(val):
            judged = self._tokens(self.encoder_, require_texts("mlc", val.queries)), val.targets, np.arange(len(val))
            rows = np.arange(len(train))
        else:
            rows, aside = held_out(len(train), "mlc", self.seed)
            judged = tokens, train.targets, aside
        theirs, targets, index = judged

        def score(module: torch.nn.Module) -> float:
            return -cross_entropy(self._logits(module, theirs, index, device), targets[index])

        return score, rows

    def _loss(
        self, module: torch.nn.Module, tokens: Tokens, targets: NDArray[np.float32], index: Indices, device: Device
    ) -> torch.Tensor:
        """Binary cross-entropy, mean over each prompt's observed models, then over the prompts."""
        import torch

        ids, mask = padded(tokens, index, self.encoder_["pad"], device.name)
        logits = module(input_ids=ids, attention_mask=mask).logits.float()
        wanted = torch.from_numpy(targets[index]).to(device.name)
        seen = ~wanted.isnan()
        losses = torch.nn.functional.binary_cross_entropy_with_logits(
            logits, wanted.nan_to_num(0.0), weight=seen.float(), reduction="none"
        )
        return (losses.sum(1) / seen.sum(1).clamp(min=1)).mean()

    def _logits(self, module: torch.nn.Module, tokens: Tokens, index: Indices, device: Device) -> NDArray[np.float64]:
        """Logits (n, m) of these prompts."""
        import torch

        def one(part: Indices) -> NDArray[np.float64]:
            ids, mask = padded(tokens, index[part], self.encoder_["pad"], device.name)
            with torch.no_grad(), device.autocast():
                logits = module(input_ids=ids, attention_mask=mask).logits
            return np.asarray(logits.float().cpu().numpy(), dtype=np.float64)

        logits = np.zeros((len(index), len(self.unseen_)))
        for part, values in in_parts(sorted_batches(tokens.lengths[index], _PREDICTED), one):
            logits[part] = values
        return logits

    def _notes(self, tokens: Tokens) -> tuple[str, ...]:
        if not tokens.cut:
            return ()
        kept = self._rule("truncation")
        return (
            f"mlc read the {kept} {self.encoder_['limit']} tokens of {tokens.cut} of {len(tokens)} training prompts: "
            "they have more",
        )


def clipped(logits: NDArray[np.float64], unseen: NDArray[np.bool_]) -> Prediction:
    """Logits (n, m) clipped at 0 and normalised, as published; a row that this empties goes to the first candidate.

    Parameters
    ----------
    unseen : (m,) models that training never saw: never chosen.
    """
    positive = np.where(unseen, 0.0, np.maximum(logits, 0.0))
    total = positive.sum(axis=1, keepdims=True)
    empty = total[:, 0] <= 0
    probs = np.divide(positive, total, out=np.zeros_like(positive), where=total > 0)
    probs[empty, int(np.argmin(unseen))] = 1.0
    count = int(empty.sum())
    notes: tuple[str, ...] = ()
    if count:
        notes = (
            f"{count} of {len(logits)} test prompts have no positive logit: clipping leaves nothing to choose by, so "
            "they go to the first candidate (unless ties are broken otherwise) and count 0 for E_p",
        )
    return Prediction(np.where(unseen, -1.0, positive), probs, notes)


def cross_entropy(logits: NDArray[np.float64], targets: NDArray[np.float32]) -> float:
    """Mean binary cross-entropy over the observed cells; 0 where there is none."""
    losses = np.logaddexp(0, logits) - np.nan_to_num(targets) * logits
    seen = np.isfinite(targets)
    return float(losses[seen].mean()) if seen.any() else 0.0

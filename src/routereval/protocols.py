"""The rules a run is played by: ``paper`` (as published, faults and all) and ``strict`` (sound)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from routereval.catalogue import unknown_name


@dataclass(frozen=True)
class Protocol:
    """One set of rules over the one code path.

    Parameters
    ----------
    name, about : what it is called; what it does, in a sentence.
    ties : who wins among equal scores, where a router's own ``ties`` does not say: ``first`` is the weakest candidate,
        ``train_mean`` the one with the best mean on the training prompts.
    own_entropy : whether E_p follows the formula of each router's published code, small probabilities dropped.
    pool_labels : whether graded scores are learnt as labels, 1 from 0.95 of the best in the pool on.
    baseline : the column of an outcome that stands for the best single model in ``gap_closed``.
    drop_leaked : whether training prompts whose text is also a validation or test prompt are left out.
    truncation : which end of a text is read that is too long for an encoder that is fine-tuned.
    training : whether such an encoder trains as ``published`` or stops early by validation prompts.
    head : whether its logits are ``clipped`` at 0, as published, or go through a ``sigmoid``.

    A router's parameter that has the value ``protocol`` takes the value that its namesake has here.
    """

    name: Literal["paper", "strict"]
    about: str
    ties: Literal["first", "train_mean"]
    own_entropy: bool
    pool_labels: bool
    baseline: Literal["best_single", "best_single_train"]
    drop_leaked: bool
    truncation: Literal["first", "last"]
    training: Literal["published", "validated"]
    head: Literal["clipped", "sigmoid"]


PAPER = Protocol(
    name="paper",
    about="as published: ties to the weakest candidate, each router's own E_p, best single in hindsight",
    ties="first",
    own_entropy=True,
    pool_labels=True,
    baseline="best_single",
    drop_leaked=False,
    truncation="first",
    training="published",
    head="clipped",
)
STRICT = Protocol(
    name="strict",
    about="sound: ties by train mean, one E_p for all, best single chosen on train, leaked prompts left out",
    ties="train_mean",
    own_entropy=False,
    pool_labels=False,
    baseline="best_single_train",
    drop_leaked=True,
    truncation="last",
    training="validated",
    head="sigmoid",
)
PROTOCOLS = {protocol.name: protocol for protocol in (PAPER, STRICT)}


def protocol(name: str) -> Protocol:
    """The protocol of that name.

    Raises
    ------
    UnknownNameError : neither ``paper`` nor ``strict``.
    """
    if name not in PROTOCOLS:
        raise unknown_name("protocol", name, list(PROTOCOLS))
    return PROTOCOLS[name]

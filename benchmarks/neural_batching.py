"""How much faster an epoch is with texts tokenised once, sorted by length and padded to their batch's own longest.

    python benchmarks/neural_batching.py

The same batches go through the same tiny RoBERTa (two layers, 32 wide, random weights) both ways, forward and backward,
turn by turn in one run; the slow way tokenises each batch anew and pads it to 512. Texts are made up, their lengths
log-normal: half of them have fewer than 60 words. Of texts that are all longer than 512 tokens, as few-shot prompts
are, no batching makes fewer tokens: then both ways take the same.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import torch
from tokenizers import ByteLevelBPETokenizer
from transformers import RobertaConfig, RobertaForSequenceClassification

from routereval.routers.neural.batching import Indices, bucketed_batches, padded, shuffled_batches
from routereval.routers.neural.tokens import Tokens, tokenised

TEXTS, BATCH, LIMIT, MODELS = 64, 8, 512, 5
REPEATS = 2
PAD = 1


def made_up(rng: np.random.Generator) -> list[str]:
    """Texts of made-up words."""
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    words = ["".join(rng.choice(letters, rng.integers(2, 8))) for _ in range(500)]
    lengths = np.clip(np.exp(rng.normal(np.log(60), 0.8, TEXTS)), 5, 400).astype(int)
    return [" ".join(rng.choice(words, length)) for length in lengths]


def epoch(
    model: torch.nn.Module, batches: list[Indices], inputs: Callable[[Indices], tuple[torch.Tensor, ...]]
) -> float:
    """Seconds of one epoch, forward and backward."""
    start = time.perf_counter()
    for batch in batches:
        ids, mask = inputs(batch)
        model.zero_grad()
        logits = model(input_ids=ids, attention_mask=mask).logits
        torch.nn.functional.binary_cross_entropy_with_logits(logits, torch.zeros_like(logits)).backward()
    return time.perf_counter() - start


def main() -> None:
    rng = np.random.default_rng(0)
    texts = made_up(rng)
    trainer = ByteLevelBPETokenizer()
    trainer.train_from_iterator(texts, vocab_size=1000, special_tokens=["<s>", "<pad>", "</s>"], show_progress=False)
    tokenizer = trainer.to_str()
    config = RobertaConfig(
        vocab_size=1000,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=LIMIT + 2,
        num_labels=MODELS,
    )
    torch.manual_seed(0)
    model = RobertaForSequenceClassification(config).train()

    start = time.perf_counter()
    tokens = tokenised(tokenizer, texts, LIMIT, "last")
    once = time.perf_counter() - start
    sorted_by_length = bucketed_batches(tokens.lengths, BATCH, rng)
    shuffled = shuffled_batches(TEXTS, BATCH, rng)

    def each_time(batch: Indices) -> tuple[torch.Tensor, ...]:
        own: Tokens = tokenised(tokenizer, [texts[i] for i in batch], LIMIT, "last")
        return padded(own, np.arange(len(batch)), PAD, width=LIMIT)

    def own_longest(batch: Indices) -> tuple[torch.Tensor, ...]:
        return padded(tokens, batch, PAD)

    ways = {
        "tokenised each time, padded to 512": lambda: epoch(model, sorted_by_length, each_time),
        "tokenised once, own longest, shuffled": lambda: epoch(model, shuffled, own_longest),
        "tokenised once, own longest, by length": lambda: epoch(model, sorted_by_length, own_longest),
    }
    rounds = [{name: way() for name, way in ways.items()} for _ in range(REPEATS)]
    seconds = {name: min(one[name] for one in rounds) for name in ways}
    mean = tokens.lengths.mean()
    print(f"{TEXTS} texts of {mean:.0f} tokens in the mean, batches of {BATCH}; tokenising {once:.2f} s")
    fixed = seconds["tokenised each time, padded to 512"]
    for name, taken in seconds.items():
        print(f"{name:40} {taken:6.2f} s an epoch   {fixed / taken:4.1f} times as fast")
    ratio = fixed / (taken + once)
    print(f"with the tokenising counted to one epoch: {ratio:.1f} times as fast")
    assert ratio >= 2, "an epoch is to be at least twice as fast"


if __name__ == "__main__":
    main()

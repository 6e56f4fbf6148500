"""Tiny models of the true architectures, for the routers that fine-tune one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

WORDS = ("what", "is", "the", "sum", "of", "two", "plus", "who", "was", "when", "how", "many", "city", "prompt")


@pytest.fixture(scope="session")
def tiny_roberta(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """RoBERTa with two layers of 32, random weights, and a tokenizer trained on a few words; a folder."""
    pytest.importorskip("torch", reason="needs the extra neural: pip install 'routereval[neural]'")
    pytest.importorskip("transformers", reason="needs the extra neural: pip install 'routereval[neural]'")
    import torch
    from tokenizers import ByteLevelBPETokenizer, processors
    from transformers import RobertaConfig, RobertaModel

    folder = tmp_path_factory.mktemp("tiny") / "roberta"
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    tokenizer = ByteLevelBPETokenizer()
    texts = [" ".join(WORDS[i:] + WORDS[:i]) for i in range(len(WORDS))]
    tokenizer.train_from_iterator(texts, vocab_size=400, special_tokens=special, show_progress=False)
    tokenizer._tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    config = RobertaConfig(
        vocab_size=400,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=130,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        RobertaModel(config).save_pretrained(folder)
    tokenizer._tokenizer.save(str(folder / "tokenizer.json"))
    names = dict(zip(("bos_token", "pad_token", "eos_token", "unk_token", "mask_token"), special, strict=True))
    about = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 128, **names}
    (folder / "tokenizer_config.json").write_text(json.dumps(about), encoding="utf-8")
    return folder

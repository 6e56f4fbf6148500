"""Whatever a campaign once found is found no more."""

from __future__ import annotations

from pathlib import Path

import pytest
from fuzzing.catalogue import READERS
from fuzzing.files import packed, unpacked
from fuzzing.minimising import minimised
from fuzzing.promise import broken_by

CORPUS = Path(__file__).parent / "corpus"
FINDINGS = sorted(path.relative_to(CORPUS).as_posix() for path in CORPUS.glob("*/*"))


@pytest.mark.parametrize("finding", FINDINGS)
def test_what_broke_a_reader_once_does_not_break_it_again(finding: str, tmp_path: Path) -> None:
    files = unpacked((CORPUS / finding).read_bytes())
    assert files, "no input"
    assert broken_by(READERS[finding.split("/")[0]], files, tmp_path, seconds=60) is None


def test_every_finding_is_one_of_a_reader_there_is() -> None:
    assert {finding.split("/")[0] for finding in FINDINGS} <= set(READERS)
    assert len(FINDINGS) >= 18


def test_files_come_back_out_of_an_input() -> None:
    files = {"a.csv": b"x\n\n", "b/c.npy": b"", "d": b"\xff"}
    assert unpacked(packed(files)) == files
    assert unpacked(packed({"../outside": b""})) is None
    assert unpacked(b"nothing of ours") is None


def test_a_finding_is_cut_down_to_what_shows_it() -> None:
    files = {"a": b"0123456789" * 5 + b"!" + b"x" * 30, "b": b"more"}
    assert minimised(files, lambda found: b"!" in found.get("a", b"")) == {"a": b"!"}

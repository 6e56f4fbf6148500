"""A .npy file is believed no further than it is long."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from routereval.data.array_files import read_array
from routereval.errors import DataError


def with_header(path: Path, header: str, data: bytes = b"12345678") -> Path:
    raw = header.encode()
    raw += b" " * (-(len(raw) + 11) % 64) + b"\n"
    path.write_bytes(b"\x93NUMPY\x01\x00" + len(raw).to_bytes(2, "little") + raw + data)
    return path


@pytest.mark.parametrize("mapped", [False, True])
@pytest.mark.parametrize("values", [np.arange(6.0).reshape(2, 3), np.asfortranarray(np.eye(3)), np.array(["ab", "c"])])
def test_an_array_comes_back(values: np.ndarray, mapped: bool, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", values)
    found = read_array(tmp_path / "a.npy", mapped=mapped)
    assert np.array_equal(found, values)
    assert isinstance(found, np.memmap) == mapped


@pytest.mark.parametrize("mapped", [False, True])
@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,)}", "8000000000000 bytes, and has 8"),
        ("{'descr': '<f8', 'fortran_order': False, 'shape': (9223372036854775808, 9)}", "and has 8"),
        ("{'descr': '<f8', 'fortran_order': False, 'shape': (2,)}", "it claims (2,) of float64, 16 bytes, and has 8"),
        ("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}", "it holds Python objects"),
        ("{'descr': '<f8', 'fortran_order': False, 'shape': (1", "no .npy file"),
        ("{'descr': '<f8', 'fortran_order': False, 'shape': 1}", "no .npy file"),
        ("{'descr': 'nothing', 'fortran_order': False, 'shape': (1,)}", "no .npy file"),
        ("(" * 5000, "no .npy file"),
        ("__import__('os').abort()", "no .npy file"),
    ],
)
def test_what_a_header_claims_is_compared_with_the_file(header: str, said: str, mapped: bool, tmp_path: Path) -> None:
    path = with_header(tmp_path / "a.npy", header)
    with pytest.raises(DataError) as refused:
        read_array(path, mapped=mapped)
    assert str(path) in str(refused.value)
    assert said in str(refused.value)


def test_other_files_are_errors(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", np.eye(2))
    (tmp_path / "empty").write_bytes(b"")
    for name in ("a.npz", "empty", "nothing"):
        with pytest.raises(DataError, match=r"no \.npy file of numbers"):
            read_array(tmp_path / name)

from __future__ import annotations

import io
import os
import pickle
import pickletools
import random
import struct
import time
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from routereval.errors import DataError, UnsafeFileError
from routereval.sources.unpickling import unpickle

DOES_IT = "touched"


def read(data: bytes) -> Any:
    return unpickle(io.BytesIO(data), "some.pkl", len(data))


def text(value: str) -> bytes:
    raw = value.encode()
    return b"X" + struct.pack("<I", len(raw)) + raw


def name(module: str, attribute: str) -> bytes:
    return b"c" + f"{module}\n{attribute}\n".encode()


FLOATS = (
    name("numpy", "dtype")
    + text("f8")
    + b"\x89\x88\x87R(K\x03"
    + text("<")
    + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
)
DTYPE = name("numpy", "dtype") + text("f8") + b"\x85R"
OBJECTS = name("numpy", "dtype") + text("O8") + b"\x89\x88\x87R"
RECONSTRUCT = name("numpy._core.multiarray", "_reconstruct")
BLANK = RECONSTRUCT + name("numpy", "ndarray") + b"K\x00\x85C\x01b\x87R"


def array(shape: bytes, raw: bytes, dtype: bytes = FLOATS) -> bytes:
    """An array written by hand: ``shape`` and ``raw`` are opcodes."""
    return b"\x80\x04" + BLANK + b"(K\x01" + shape + dtype + b"\x89" + raw + b"tb."


VALUES = {
    "matrix": np.arange(6.0).reshape(2, 3),
    "by column": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "strided": np.arange(24.0).reshape(4, 6)[::2, ::3].T,
    "axes moved": np.moveaxis(np.arange(24).reshape(2, 3, 4), 0, 1),
    "empty": np.ones((0, 3)),
    "no axis": np.array(4.5),
    "big-endian": np.arange(3, dtype=">f8"),
    "bytes 0 to 255": np.arange(256, dtype=np.uint8),
    "booleans": np.array([True, False]),
    "half": np.ones(3, dtype=np.float16),
    "unicode": np.array(["ab", "c", "é\U0001f600"]),
    "big-endian unicode": np.array(["é\U0001f600"], dtype=">U3"),
    "no strings": np.array([], dtype="U"),
    "objects": np.array([["ab", "c"], ["", "ü"]], dtype=object),
    "scalar": np.float64(0.5),
    "string scalar": np.str_("xy"),
    "plain": [
        1,
        -1,
        2**70,
        0.5,
        True,
        False,
        None,
        "",
        "é\n",
        b"",
        b"\x00\xff",
        bytearray(b"q"),
        (),
        (1,),
        (1, "a", (2.0,)),
    ],
    "containers": {"a": {3: [1], None: {}}, True: {1, 2}, "f": frozenset(["x"])},
}


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("numpy_one", [False, True], ids=["numpy 2", "numpy 1"])
def test_reads_what_python_wrote_under_every_protocol_and_numpy(protocol: int, numpy_one: bool) -> None:
    data = pickle.dumps(VALUES, protocol)
    if numpy_one:
        # Text opcodes end at a newline; the others carry the name's length.
        data = data.replace(b"cnumpy._core.", b"cnumpy.core.")
        for module in (b"multiarray", b"numeric"):
            new, old = b"numpy._core." + module, b"numpy.core." + module
            data = data.replace(bytes([0x8C, len(new)]) + new, bytes([0x8C, len(old)]) + old)
        data = without_frames(data)
        assert b"numpy._core" not in data
    found = read(data)
    assert found.keys() == VALUES.keys()
    for key, expected in VALUES.items():
        assert type(found[key]) is type(expected), key
        if isinstance(expected, np.ndarray):
            assert found[key].dtype == expected.dtype, key
            np.testing.assert_array_equal(found[key], expected, err_msg=key)
        else:
            assert found[key] == expected, key


def without_frames(data: bytes) -> bytes:
    if data[1] < 4:
        return data
    frames, kept = [position for opcode, _, position in pickletools.genops(data) if opcode.name == "FRAME"], data
    for position in reversed(frames):
        kept = kept[:position] + kept[position + 9 :]
    return kept


def test_one_array_in_two_places_stays_one() -> None:
    shared = np.arange(3.0)
    found = read(pickle.dumps([shared, shared]))
    assert found[0] is found[1]


class Calls:
    """Pickles to a call of a function with arguments."""

    def __init__(self, function: Any, *arguments: Any):
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize(
    ("function", "argument", "named"),
    [
        (os.system, f"touch {DOES_IT}", f"{os.name}.system"),
        (eval, f"open({DOES_IT!r}, 'w')", "eval"),
        (exec, f"open({DOES_IT!r}, 'w')", "exec"),
        (getattr, "os", "getattr"),
        (pickle.loads, pickle.dumps(1), "loads"),
        (np.load, "x.npy", "numpy.load"),
        (np.save, "x.npy", "numpy.save"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_call_of_anything_else_is_refused_by_name_and_not_made(
    function: Any, argument: Any, named: str, protocol: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    data = pickle.dumps({"easy": {3: Calls(function, argument)}}, protocol)
    with pytest.raises(UnsafeFileError, match=r"some\.pkl was refused.*Nothing in it was executed") as refused:
        read(data)
    assert named in str(refused.value)
    assert list(tmp_path.iterdir()) == []


HOSTILE = {
    "STACK_GLOBAL": b"\x80\x04" + text("os") + text("system") + b"\x93" + text("true") + b"\x85R.",
    "STACK_GLOBAL with a dotted name": b"\x80\x04" + text("numpy") + text("core.os.system") + b"\x93.",
    "STACK_GLOBAL with an array for a name": array(b"K\x00\x85", b"C\x00")[:-1] + text("system") + b"\x93.",
    "INST": b"(" + text("true") + b"ios\nsystem\n.",
    "INST of a permitted name": b"(" + text("f8") + b"inumpy\ndtype\n.",
    "OBJ": b"(" + name("os", "system") + text("true") + b"o.",
    "OBJ of a permitted name": b"(" + name("numpy", "dtype") + text("f8") + b"o.",
    "NEWOBJ": b"\x80\x02" + name("numpy", "ndarray") + b"(K\x05t\x85\x81.",
    "NEWOBJ_EX": b"\x80\x04" + name("numpy", "ndarray") + b")}\x92.",
    "EXT1": b"\x80\x02\x82\x01.",
    "EXT2": b"\x80\x02\x83\x01\x00.",
    "EXT4": b"\x80\x02\x84\x01\x00\x00\x00.",
    "PERSID": b"Psomething\n.",
    "BINPERSID": text("something") + b"Q.",
    "NEXT_BUFFER": b"\x80\x05\x97.",
    "READONLY_BUFFER": b"\x80\x05\x97\x98.",
    "a Python 2 string": b"U\x03abc.",
    "BUILD of a dict": b"}" + b"}(" + text("__class__") + text("x") + b"ub.",
    "BUILD of a name": name("numpy", "ndarray") + b"}(" + text("__reduce__") + text("x") + b"ub.",
    "BUILD of a filled array": array(b"K\x00\x85", b"C\x00")[:-1] + b"(K\x01K\x00\x85" + FLOATS + b"\x89C\x00tb.",
    "BUILD with attributes": BLANK + b"}(" + text("shape") + b"K\x05ub.",
    "BUILD with slots": BLANK + b"N}(" + text("shape") + b"K\x05u\x86b.",
    "BUILD of a dtype with fields": DTYPE + b"(K\x03" + text("|") + b"N" + text("a") + b"\x85}K\x08K\x01K\x00tb.",
    "BUILD of a dtype with metadata": DTYPE + b"(K\x04" + text("|") + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00}tb.",
    "_reconstruct of dict": RECONSTRUCT + name("builtins", "dict") + b"K\x00\x85C\x01b\x87R.",
    "_reconstruct of a permitted name": RECONSTRUCT + name("numpy", "dtype") + b"K\x00\x85C\x01b\x87R.",
    "_reconstruct of a string": RECONSTRUCT + text("ndarray") + b"K\x00\x85C\x01b\x87R.",
    "_reconstruct of nothing": RECONSTRUCT + b")R.",
    "ndarray called": name("numpy", "ndarray") + b"(K\x05t\x85R.",
    "a string called": text("os.system") + text("true") + b"\x85R.",
    "arguments that are no tuple": name("numpy", "dtype") + b"](" + text("f8") + b"eR.",
    "dtype of records": name("numpy", "dtype") + b"](" + text("a") + text("f8") + b"\x86e\x85R.",
    "dtype of raw memory": name("numpy", "dtype") + text("V8") + b"\x85R.",
    "dtype of dates": name("numpy", "dtype") + text("M8") + b"\x85R.",
    "dtype by a comma list": name("numpy", "dtype") + text("f8,O") + b"\x85R.",
    "dtype of an array": array(b"K\x00\x85", b"C\x00")[:-1].join([name("numpy", "dtype"), b"\x85R."]),
    "dtype kept as a value": b"}" + text("a") + FLOATS + b"s.",
    "name kept as a value": name("numpy", "ndarray") + b".",
    "array never filled": BLANK + b".",
    "array inside itself": BLANK + b"q\x05(K\x01K\x01\x85" + OBJECTS + b"\x89](h\x05etb.",
    "objects that are numbers": array(b"K\x02\x85", b"](K\x01K\x02e", OBJECTS),
    "objects that are arrays": array(b"K\x01\x85", b"](" + array(b"K\x00\x85", b"C\x00")[2:-1] + b"e", OBJECTS),
    "objects from bytes": array(b"K\x01\x85", b"C\x08aaaaaaaa", OBJECTS),
    "objects by scalar": name("numpy._core.multiarray", "scalar") + OBJECTS + b"C\x08aaaaaaaa\x86R.",
    "floats from a list": array(b"K\x01\x85", b"](G?\xf0\x00\x00\x00\x00\x00\x00e"),
    "floats from text": array(b"K\x01\x85", text("aaaaaaaa")),
    "negative shape": array(b"J\xff\xff\xff\xff\x85", b"C\x00"),
    "shape of floats": array(b"G?\xf0\x00\x00\x00\x00\x00\x00\x85", b"C\x08aaaaaaaa"),
    "shape that is a list": array(b"](K\x01e", b"C\x08aaaaaaaa"),
    "33 axes": array(b"(" + b"K\x01" * 33 + b"t", b"C\x08aaaaaaaa"),
    "encode with another codec": name("_codecs", "encode") + text("abc") + text("rot13") + b"\x86R.",
    "encode of a number": name("_codecs", "encode") + b"K\x05" + text("latin1") + b"\x86R.",
    "bytearray of 10**12": name("builtins", "bytearray") + b"\x8a\x06" + (10**12).to_bytes(6, "little") + b"\x85R.",
    "bytes of 10**12": name("builtins", "bytes") + b"\x8a\x06" + (10**12).to_bytes(6, "little") + b"\x85R.",
    "set of a string": name("builtins", "set") + text("abc") + b"\x85R.",
    "deep tuple as a key": b"}" + b")" + b"\x85" * 300_000 + b"Ns.",
    "huge integers as keys": b"}\x8a\x08" + (2**61 - 1).to_bytes(8, "little") + b"Ns.",
    "an array as a key": b"}" + array(b"K\x00\x85", b"C\x00")[2:-1] + b"Ns.",
    "nested list as a key": b"}]Ns.",
}  # fmt: skip


@pytest.mark.parametrize("attack", HOSTILE)
def test_tricks_are_refused(attack: str) -> None:
    with pytest.raises(UnsafeFileError, match=r"some\.pkl was refused: at byte \d+ .*Nothing in it was executed"):
        read(HOSTILE[attack])


@pytest.mark.parametrize(
    ("attack", "reason"),
    [
        ("STACK_GLOBAL", "asks for the Python object 'os.system'"),
        ("INST", "asks for the Python object 'os.system'"),
        ("OBJ", "asks for the Python object 'os.system'"),
        ("STACK_GLOBAL with a dotted name", "asks for the Python object 'numpy.core.os.system'"),
        ("EXT1", "uses the opcode EXT1"),
        ("BINPERSID", "uses the opcode BINPERSID"),
        ("_reconstruct of dict", "asks for the Python object 'builtins.dict'"),
        ("_reconstruct of a permitted name", "reconstructs 'numpy.dtype', which is no numpy.ndarray"),
        ("dtype of raw memory", "has an array of dtype 'V8'"),
        ("BUILD of a dict", "sets the state of a value of type dict"),
        ("objects that are numbers", r"objects that are not all strings \(int\)"),
    ],
)
def test_the_refusal_names_what_was_asked_for(attack: str, reason: str) -> None:
    with pytest.raises(UnsafeFileError, match=reason):
        read(HOSTILE[attack])


def test_a_name_is_refused_where_it_stands_before_anything_is_called_with_it() -> None:
    with pytest.raises(UnsafeFileError, match=r"at byte 1 it asks for the Python object 'os\.system'"):
        read(b"N" + name("os", "system") + b"not read any more")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b".",
        b"NN.",
        b"(N.",
        b"0.",
        b"1.",
        b"t.",
        b"2.",
        b"\x94.",
        b"h\x05.",
        b"q\x00.",
        b"R.",
        b"b.",
        b"Na.",
        b"]a.",
        b"N(NNu.",
        b"](NNu.",
        b"}(Nu.",
        b"(Nd.",
        b"\x87.",
        b"\xff.",
        b"not a pickle at all",
        b"<!DOCTYPE html><html>",
        b"PK\x03\x04",
        b"I" + b"9" * 100_000 + b"\n.",
        b"X\xff\xff\xff\xffabc",
        b"\x8e" + struct.pack("<Q", 10**12) + b"abc.",
        b"\x8d" + struct.pack("<Q", 2**63) + b"abc.",
        b"\x80\x05\x96" + struct.pack("<Q", 10**15) + b"abc.",
        b"\x8b\xff\xff\xff\x7fabc.",
        b"S'\\q'\n.",
    ],
    ids=lambda data: repr(data[:12]),
)
def test_garbage_is_a_data_error_that_names_the_file(data: bytes) -> None:
    with pytest.raises(DataError, match=r"some\.pkl") as failed:
        read(data)
    assert len(str(failed.value)) < 1000


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_file_cut_off_anywhere_is_a_data_error(protocol: int) -> None:
    data = pickle.dumps({"a": np.arange(4.0), "b": np.array(["x", "y"], dtype=object)}, protocol)
    for end in range(len(data)):
        with pytest.raises(DataError, match=r"some\.pkl"):
            read(data[:end])


def test_the_error_of_a_cut_off_file_says_so() -> None:
    with pytest.raises(DataError, match=r"some\.pkl is cut off: at byte \d+ it needs 800 more bytes and has \d+"):
        read(pickle.dumps(np.arange(100.0))[:-50])


TRILLION = b"\x8a\x06" + (10**12).to_bytes(6, "little")


@pytest.mark.parametrize(
    "data",
    [
        array(TRILLION + b"\x85", b"C\x08aaaaaaaa"),
        array(TRILLION * 2 + b"\x86", b"C\x00"),
        array(TRILLION + b"\x85", b"]" + text("a") + b"a", OBJECTS),
        array(TRILLION + b"\x85", b"C\x00", name("numpy", "dtype") + text("U0") + b"\x85R"),
        array(TRILLION + b"\x85", b"C\x00", name("numpy", "dtype") + text("U99999999") + b"\x85R"),
        name("numpy._core.multiarray", "scalar") + name("numpy", "dtype") + text("U99999999") + b"\x85RC\x00\x86R.",
        name("numpy._core.numeric", "_frombuffer") + b"(C\x00" + FLOATS + TRILLION + b"\x85" + text("C") + b"tR.",
    ],
)
def test_an_absurd_size_is_an_error_and_no_allocation(data: bytes) -> None:
    tracemalloc.start()
    with pytest.raises(DataError, match=r"some\.pkl is damaged: .* claims"):
        read(data)
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()


def test_a_length_beyond_the_end_of_a_file_on_disk_allocates_nothing(tmp_path: Path) -> None:
    path = tmp_path / "some.pkl"
    path.write_bytes(b"\x8e" + struct.pack("<Q", 10**12) + b"abc.")
    tracemalloc.start()
    with path.open("rb") as file, pytest.raises(DataError, match=r"is cut off: at byte 9 it needs 10{12} more bytes"):
        unpickle(file, "some.pkl", path.stat().st_size)
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()


def test_a_huge_memo_index_allocates_nothing() -> None:
    tracemalloc.start()
    assert read(b"Nr\xff\xff\xff\xff.") is None
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()


def test_using_the_same_bytes_again_and_again_does_not_fill_the_memory() -> None:
    long = text("a" * 100_000) + b"q\x00" + text("latin1") + b"\x86q\x010"
    data = long + b"](" + (name("_codecs", "encode") + b"h\x01R") * 1000 + b"e."
    with pytest.raises(UnsafeFileError, match="fill the memory"):
        read(data)


def test_characters_that_are_none_are_found() -> None:
    letters = name("numpy", "dtype") + text("U1") + b"\x85R"
    with pytest.raises(DataError, match="no character"):
        read(array(b"K\x01\x85", b"C\x04\xff\xff\xff\xff", letters))


def test_no_damage_gets_anything_out_but_our_errors() -> None:
    rng = random.Random(0)
    originals = [pickle.dumps(VALUES, protocol) for protocol in range(6)] + list(HOSTILE.values())
    originals = [data for data in originals if len(data) < 20_000]
    began = time.perf_counter()
    for trial in range(3000):
        data = bytearray(originals[trial % len(originals)])
        for _ in range(rng.randint(1, 4)):
            at = rng.randrange(len(data))
            match rng.randrange(3):
                case 0:
                    data[at] = rng.randrange(256)
                case 1:
                    del data[at : at + rng.randint(1, 4)]
                case _:
                    data[at:at] = data[: rng.randint(1, 6)]
            data = data or bytearray(b".")
        try:
            read(bytes(data))
        except DataError as error:
            assert "some.pkl" in str(error)
    assert time.perf_counter() - began < 60

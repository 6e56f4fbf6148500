"""The few Python objects a pickle may ask for, arrays above all: what it names, calls and fills, rebuilt here.

No name stands for the object it names; each stands for a function of this module that believes no size it is told.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from routereval.errors import DataError, UnsafeFileError


class Guard:
    """Where in a file its reader stands, how much it may still build, and how it refuses."""

    def __init__(self, source: str, size: int, *, nested: bool = False):
        self.source = source
        self.nested = nested
        self.position = 0
        # Every byte of a file is used twice at most (text to bytes, bytes to array). A file that uses the same bytes
        # again and again is built to fill the memory.
        self._budget = 2 * size + 4096

    def refuse(self, what: str) -> NoReturn:
        """Give up on a file that does more than hold data."""
        raise UnsafeFileError(
            f"{self.source} was refused: at byte {self.position} it {what}, and a data file holds only NumPy arrays, "
            "strings, numbers and plain containers. Nothing in it was executed. "
            "Open it with no other program; get the file again from where it was published"
        )

    def spend(self, amount: int) -> None:
        """Count what is built from the file's bytes; refuse where it is more than the file has."""
        self._budget -= amount
        if self._budget < 0:
            self.refuse("builds more from the same bytes than the file has, as files do that are to fill the memory")


class _Part:
    """Something that is only on the way to a value: a name, a dtype, an array still to be filled."""


@dataclass(frozen=True)
class _Global(_Part):
    name: str


@dataclass
class _Dtype(_Part):
    dtype: np.dtype[Any]


@dataclass
class _Blank(_Part):
    """What ``_reconstruct`` returns; BUILD fills it, and whoever takes it off the stack gets the array."""

    array: NDArray[Any] | None = None


def _described(value: Any) -> str:
    """What a value is, for an error; its contents are not looked at."""
    match value:
        case _Global(name):
            return repr(name)
        case _Dtype(dtype):
            return f"the dtype {dtype}"
        case _Blank():
            return "an array"
    return f"a value of type {type(value).__name__}"


_DTYPE = re.compile(r"b1|[iu][1248]|f[248]|c8|c16|U\d{1,8}|O8?")
_SMALL = 2**60


def finished(guard: Guard, value: Any) -> Any:
    """A value as others may use it: a filled array in place of what it was built in."""
    if isinstance(value, _Blank):
        if value.array is None:
            guard.refuse("uses an array before it is filled")
        return value.array
    return value


def plain(guard: Guard, value: Any) -> Any:
    """A value that may stay: no name and no dtype."""
    value = finished(guard, value)
    if isinstance(value, _Part):
        guard.refuse(f"keeps {_described(value)} as a value")
    return value


def hashable(guard: Guard, value: Any) -> Any:
    """A value that may be a dictionary's key or in a set."""
    # Hashing a deep tuple can overflow the C stack, and huge integers can be made to collide.
    if value is None or isinstance(value, str) or (isinstance(value, int) and abs(value) < _SMALL):
        return value
    if isinstance(value, np.integer):
        return int(value)
    return guard.refuse(f"has a {type(value).__name__} as a dictionary's key or in a set")


def named(guard: Guard, module: str, name: str) -> Any:
    """What stands for one of the permitted names."""
    modern = re.sub(r"^numpy\.core\b", "numpy._core", module)
    full = f"{modern.replace('__builtin__', 'builtins')}.{name}"
    if full not in _CALLS and full != _NDARRAY:
        guard.refuse(f"asks for the Python object {f'{module}.{name}'[:200]!r}")
    return _Global(full)


def called(guard: Guard, function: Any, arguments: Any) -> Any:
    """What a permitted name makes of its arguments."""
    if not isinstance(function, _Global) or type(arguments) is not tuple or function.name not in _CALLS:
        guard.refuse(f"calls {_described(function)}")
    return _CALLS[function.name](guard, *arguments)


def set_state(guard: Guard, target: Any, state: Any) -> None:
    """Give a dtype its byte order, or a blank array its contents."""
    if type(state) is not tuple:
        guard.refuse(f"sets the state of {_described(target)} to {_described(state)}, not to a tuple")
    if isinstance(target, _Dtype):
        target.dtype = _ordered(guard, target.dtype, state)
    elif isinstance(target, _Blank) and target.array is None:
        target.array = _filled(guard, state)
    else:
        guard.refuse(f"sets the state of {_described(target)}")


# What the permitted names do


def _reconstruct(guard: Guard, *arguments: Any) -> _Blank:
    if len(arguments) != 3 or not isinstance(arguments[0], _Global) or arguments[0].name != _NDARRAY:
        what = _described(arguments[0]) if arguments else "nothing"
        guard.refuse(f"reconstructs {what}, which is no numpy.ndarray")
    return _Blank()


def _dtype(guard: Guard, *arguments: Any) -> _Dtype:
    code = arguments[0] if arguments else None
    plain_flags = len(arguments) <= 3 and all(type(flag) in (bool, int) for flag in arguments[1:])
    if type(code) is not str or not plain_flags or not _DTYPE.fullmatch(code):
        guard.refuse(f"has an array of dtype {code[:40]!r}" if isinstance(code, str) else "has an array of no dtype")
    return _Dtype(np.dtype(code))


def _ordered(guard: Guard, dtype: np.dtype[Any], state: tuple[Any, ...]) -> np.dtype[Any]:
    """The dtype in the byte order its state gives; fields, sub-arrays and metadata are refused."""
    simple = len(state) == 8 and state[2:5] == (None, None, None)
    if not simple or type(state[1]) is not str or state[1] not in ("<", ">", "|", "="):
        guard.refuse(f"gives the dtype {dtype} fields, metadata or a byte order that is none")
    return dtype if state[1] == "|" else dtype.newbyteorder(">" if state[1] == ">" else "<" if state[1] == "<" else "=")


def _filled(guard: Guard, state: tuple[Any, ...]) -> NDArray[Any]:
    """The array of ``ndarray.__setstate__``: version, shape, dtype, column-major?, bytes or list."""
    if len(state) != 5 or type(state[0]) is not int or state[0] != 1 or not isinstance(state[2], _Dtype):
        guard.refuse("sets the state of an array to something else than version 1, shape, dtype, order, data")
    shape, kind, raw = _shape(guard, state[1]), state[2].dtype, state[4]
    count = math.prod(shape)
    flat = _of_strings(guard, raw, count) if kind.kind == "O" else _of_bytes(guard, raw, kind, count)
    return flat.reshape(shape, order="F" if type(state[3]) in (bool, int) and state[3] else "C")


def _frombuffer(guard: Guard, *arguments: Any) -> NDArray[Any]:
    """Protocol 5's arrays: buffer, dtype, shape, order and, for order K, the axes."""
    if not 4 <= len(arguments) <= 5 or not isinstance(arguments[1], _Dtype):
        guard.refuse("makes an array of something else than a buffer, dtype, shape and order")
    shape, order = _shape(guard, arguments[2]), arguments[3]
    flat = _of_bytes(guard, arguments[0], arguments[1].dtype, math.prod(shape))
    if len(arguments) == 5 and type(arguments[4]) is tuple:
        return flat.reshape(shape).transpose(arguments[4])
    return flat.reshape(shape, order="F" if type(order) is str and order == "F" else "C")


def _scalar(guard: Guard, *arguments: Any) -> Any:
    if len(arguments) != 2 or not isinstance(arguments[0], _Dtype):
        guard.refuse("makes a scalar of something else than a dtype and bytes")
    return _of_bytes(guard, arguments[1], arguments[0].dtype, 1)[0]


def _encode(guard: Guard, *arguments: Any) -> bytes:
    """How protocols 0 to 2 write bytes: as text in Latin-1."""
    if len(arguments) != 2 or type(arguments[0]) is not str or arguments[1] not in ("latin1", "latin-1"):
        guard.refuse("encodes something else than text in Latin-1")
    guard.spend(len(arguments[0]))
    return str(arguments[0]).encode("latin-1")


def _bytes(guard: Guard, *arguments: Any) -> bytes:
    if arguments:
        guard.refuse("makes bytes of something")
    return b""


def _bytearray(guard: Guard, *arguments: Any) -> bytearray:
    if len(arguments) > 1 or any(type(raw) not in (bytes, bytearray) for raw in arguments):
        guard.refuse("makes a bytearray of something else than bytes")
    guard.spend(sum(map(len, arguments)))
    return bytearray(*arguments)


def _set(guard: Guard, *arguments: Any) -> set[Any]:
    if len(arguments) > 1 or any(type(items) is not list for items in arguments):
        guard.refuse("makes a set of something else than a list")
    guard.spend(sum(map(len, arguments)))
    return {hashable(guard, item) for items in arguments for item in items}


def _shape(guard: Guard, shape: Any) -> tuple[int, ...]:
    if type(shape) is not tuple or len(shape) > 32 or any(type(n) is not int or n < 0 for n in shape):
        guard.refuse("gives an array a shape that is none")
    return tuple(shape)


def _of_bytes(guard: Guard, raw: Any, dtype: np.dtype[Any], count: int) -> NDArray[Any]:
    """A view of the bytes; nothing is allocated, so no claim about the size is believed."""
    if type(raw) not in (bytes, bytearray) or dtype.kind == "O":
        guard.refuse(f"fills an array of dtype {dtype} with a {type(raw).__name__}")
    if len(raw) != count * dtype.itemsize or dtype.itemsize == 0:
        raise DataError(
            f"{guard.source} is damaged: at byte {guard.position} an array claims {count} elements of dtype {dtype} "
            f"({count * dtype.itemsize} bytes) and holds {len(raw)} bytes; get the file again"
        )
    guard.spend(len(raw))
    flat: NDArray[Any] = np.frombuffer(raw, dtype=dtype) if raw else np.empty(0, dtype)
    if dtype.kind == "U" and (flat.view(np.dtype("u4").newbyteorder(dtype.byteorder)) > 0x10FFFF).any():
        raise ValueError("a unicode array holds what is no character")
    if dtype.kind == "b" and (flat.view(np.uint8) > 1).any():
        raise ValueError("an array of booleans holds what is neither true nor false")
    return flat


def _of_strings(guard: Guard, raw: Any, count: int) -> NDArray[Any]:
    if type(raw) is not list:
        guard.refuse(f"fills an array of objects with a {type(raw).__name__}")
    guard.spend(len(raw))
    others = sorted({type(item).__name__ for item in raw if not isinstance(item, str)})
    # Whatever is in a list was found to be plain when it was put there.
    if others and not guard.nested:
        guard.refuse(f"has an array of objects that are not all strings ({', '.join(others[:5])})")
    if len(raw) != count:
        raise DataError(
            f"{guard.source} is damaged: at byte {guard.position} an array claims {count} strings and holds "
            f"{len(raw)}; get the file again"
        )
    array = np.empty(count, dtype=object)
    if not others:
        array[:] = raw
        return array
    for i, item in enumerate(raw):
        array[i] = item  # one by one: lists in a list would be taken for a matrix
    return array


_NDARRAY = "numpy.ndarray"

_CALLS: Mapping[str, Callable[..., Any]] = {
    "numpy._core.multiarray._reconstruct": _reconstruct,
    "numpy._core.multiarray.scalar": _scalar,
    "numpy._core.numeric._frombuffer": _frombuffer,
    "numpy.dtype": _dtype,
    "_codecs.encode": _encode,
    "builtins.bytes": _bytes,
    "builtins.bytearray": _bytearray,
    "builtins.set": _set,
    "builtins.frozenset": lambda guard, *arguments: frozenset(_set(guard, *arguments)),
}

"""Pickles of arrays, strings, numbers and containers, read without running anything in them.

Python's own unpickler calls whatever a file names and believes whatever size it claims. This one is a small stack
machine over the opcodes that ``pickletools`` decodes: the few names a pickled NumPy array needs stand for functions
written here, every other name is refused, and time and memory stay in proportion to the file's size.
"""

from __future__ import annotations

import math
import pickletools
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO, NoReturn

import numpy as np
from numpy.typing import NDArray

from routereval.errors import DataError, RouterEvalError, UnsafeFileError


def unpickle(file: BinaryIO, source: str, size: int) -> Any:
    """The value pickled in a file: NumPy arrays and scalars, str, bytes, int, float, bool, None, plain containers.

    Arrays are numeric, unicode or objects that are all str. Protocols 0 to 5, written with NumPy 1 or 2.

    Parameters
    ----------
    file : opened for reading bytes, at the pickle's first byte.
    source : what to call the file in an error.
    size : how many bytes the file has from here on; nothing beyond them is read.

    Raises
    ------
    UnsafeFileError : it asks for anything else; the message names it. Nothing was executed.
    DataError : it is cut off, damaged, or no pickle.
    """
    machine = _Machine(source, size)
    reader = _Bounded(file, size)
    try:
        # typeshed says bytes or a file; genops needs read, readline and tell, no more.
        for opcode, argument, position in pickletools.genops(reader):  # type: ignore[arg-type]
            machine.step(opcode.name, argument, position or 0)
        return machine.result()
    except RouterEvalError:
        raise
    except EOFError as error:
        raise DataError(
            f"{source} is cut off: {error}; it was not downloaded or copied in full, so get it again"
        ) from error
    except Exception as error:  # whatever a damaged file provokes is the file's fault, not the caller's
        raise DataError(
            f"{source} is no pickle that can be read: at byte {machine.position}, "
            f"{type(error).__name__}: {error}; the file is damaged or something else, so get it again"
        ) from error


class _Bounded:
    """A file that ends where it ends: a length of 10**12 inside it is an error before it is an allocation."""

    def __init__(self, file: BinaryIO, size: int):
        self._file = file
        self._size = size
        self._position = 0

    def read(self, n: int) -> bytes:
        left = self._size - self._position
        data = self._file.read(n) if 0 <= n <= left else b""
        if len(data) != n:
            raise EOFError(f"at byte {self._position} it needs {n} more bytes and has {left}")
        self._position += n
        return data

    def readline(self) -> bytes:
        data = self._file.readline(self._size - self._position)
        self._position += len(data)
        return data

    def tell(self) -> int:
        return self._position


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


class _Machine:
    """The pickle machine: a stack, marks on it and a memo."""

    def __init__(self, source: str, size: int):
        self.source = source
        self.position = 0
        self._stack: list[Any] = []
        self._below: list[list[Any]] = []
        self._memo: dict[int, Any] = {}
        # Every byte of a file is used twice at most (text to bytes, bytes to array). A file that uses the same bytes
        # again and again is built to fill the memory.
        self._budget = 2 * size + 4096

    def step(self, opcode: str, argument: Any, position: int) -> None:
        """Carry out one opcode."""
        self.position = position
        if opcode in _LITERALS:
            self._stack.append(argument)
        elif opcode in _CONSTANTS:
            self._stack.append(_CONSTANTS[opcode])
        elif opcode in _ACTIONS:
            _ACTIONS[opcode](self, argument)
        elif opcode not in _NOTHING_TO_DO:
            if opcode == "INST":
                self._named(argument)
            self._refuse(f"uses the opcode {opcode}")

    def result(self) -> Any:
        """The one value that is left."""
        if len(self._stack) != 1 or self._below:
            raise ValueError(f"{len(self._stack)} values are left at the end, expected 1")
        return self._plain(self._stack[0])

    # Taking values

    def _refuse(self, what: str) -> NoReturn:
        raise UnsafeFileError(
            f"{self.source} was refused: at byte {self.position} it {what}, and a data file holds only NumPy arrays, "
            "strings, numbers and plain containers. Nothing in it was executed. "
            "Open it with no other program; get the file again from where it was published"
        )

    def _spend(self, amount: int) -> None:
        self._budget -= amount
        if self._budget < 0:
            self._refuse("builds more from the same bytes than the file has, as files do that are to fill the memory")

    def _finished(self, value: Any) -> Any:
        if isinstance(value, _Blank):
            if value.array is None:
                self._refuse("uses an array before it is filled")
            return value.array
        return value

    def _plain(self, value: Any) -> Any:
        value = self._finished(value)
        if isinstance(value, _Part):
            self._refuse(f"keeps {_described(value)} as a value")
        return value

    def _key(self, value: Any) -> Any:
        # Hashing a deep tuple can overflow the C stack, and huge integers can be made to collide.
        if value is None or isinstance(value, str) or (isinstance(value, int) and abs(value) < _SMALL):
            return value
        if isinstance(value, np.integer):
            return int(value)
        return self._refuse(f"has a {type(value).__name__} as a dictionary's key or in a set")

    def _pop(self) -> Any:
        return self._finished(self._stack.pop())

    def _pop_to_mark(self) -> list[Any]:
        items = [self._finished(item) for item in self._stack]
        self._stack = self._below.pop()
        return items

    def _top(self, kind: type) -> Any:
        if type(self._stack[-1]) is not kind:
            raise TypeError(f"a {type(self._stack[-1]).__name__} where a {kind.__name__} belongs")
        return self._stack[-1]

    # Opcodes

    def _mark(self, _: Any) -> None:
        self._below.append(self._stack)
        self._stack = []

    def _discard(self, _: Any) -> None:
        if self._stack:
            self._stack.pop()
        else:
            self._stack = self._below.pop()

    def _discard_to_mark(self, _: Any) -> None:
        self._stack = self._below.pop()

    def _duplicate(self, _: Any) -> None:
        self._stack.append(self._stack[-1])

    def _get(self, index: int) -> None:
        self._stack.append(self._memo[int(index)])

    def _put(self, index: int) -> None:
        self._memo[int(index)] = self._stack[-1]

    def _memoize(self, _: Any) -> None:
        self._memo[len(self._memo)] = self._stack[-1]

    def _empty_list(self, _: Any) -> None:
        self._stack.append([])

    def _empty_dict(self, _: Any) -> None:
        self._stack.append({})

    def _empty_set(self, _: Any) -> None:
        self._stack.append(set())

    def _list(self, _: Any) -> None:
        items = self._pop_to_mark()
        self._stack.append([self._plain(item) for item in items])

    def _append(self, _: Any) -> None:
        item = self._plain(self._pop())
        self._top(list).append(item)

    def _appends(self, _: Any) -> None:
        items = self._pop_to_mark()
        self._top(list).extend(self._plain(item) for item in items)

    def _dict(self, _: Any) -> None:
        items = self._pop_to_mark()
        self._stack.append({})
        self._set_pairs(items)

    def _setitem(self, _: Any) -> None:
        value, key = self._pop(), self._pop()
        self._set_pairs([key, value])

    def _setitems(self, _: Any) -> None:
        self._set_pairs(self._pop_to_mark())

    def _set_pairs(self, items: list[Any]) -> None:
        target = self._top(dict)
        for key, value in zip(items[::2], items[1::2], strict=True):
            target[self._key(key)] = self._plain(value)

    def _additems(self, _: Any) -> None:
        items = self._pop_to_mark()
        self._top(set).update(self._key(item) for item in items)

    def _frozenset(self, _: Any) -> None:
        items = self._pop_to_mark()
        self._stack.append(frozenset(self._key(item) for item in items))

    def _tuple(self, _: Any) -> None:
        items = self._pop_to_mark()
        self._stack.append(tuple(items))

    def _tuple_of(self, count: int) -> None:
        items = [self._pop() for _ in range(count)]
        self._stack.append(tuple(reversed(items)))

    def _named(self, argument: str) -> None:
        module, _, name = argument.partition(" ")
        self._push_global(module, name)

    def _stack_global(self, _: Any) -> None:
        name, module = self._pop(), self._pop()
        if not (type(name) is type(module) is str):
            self._refuse("asks for a Python object by something that is no name")
        self._push_global(module, name)

    def _push_global(self, module: str, name: str) -> None:
        modern = re.sub(r"^numpy\.core\b", "numpy._core", module)
        full = f"{modern.replace('__builtin__', 'builtins')}.{name}"
        if full not in _CALLS and full != _NDARRAY:
            self._refuse(f"asks for the Python object {f'{module}.{name}'[:200]!r}")
        self._stack.append(_Global(full))

    def _reduce(self, _: Any) -> None:
        arguments, function = self._pop(), self._pop()
        if not isinstance(function, _Global) or type(arguments) is not tuple or function.name not in _CALLS:
            self._refuse(f"calls {_described(function)}")
        self._stack.append(_CALLS[function.name](self, *arguments))

    def _build(self, _: Any) -> None:
        state = self._pop()
        target = self._stack[-1]
        if type(state) is not tuple:
            self._refuse(f"sets the state of {_described(target)} to {_described(state)}, not to a tuple")
        if isinstance(target, _Dtype):
            target.dtype = self._ordered(target.dtype, state)
        elif isinstance(target, _Blank) and target.array is None:
            target.array = self._filled(state)
        else:
            self._refuse(f"sets the state of {_described(target)}")

    # What the permitted names do

    def _reconstruct(self, *arguments: Any) -> _Blank:
        if len(arguments) != 3 or not isinstance(arguments[0], _Global) or arguments[0].name != _NDARRAY:
            what = _described(arguments[0]) if arguments else "nothing"
            self._refuse(f"reconstructs {what}, which is no numpy.ndarray")
        return _Blank()

    def _dtype(self, *arguments: Any) -> _Dtype:
        code = arguments[0] if arguments else None
        plain_flags = len(arguments) <= 3 and all(type(flag) in (bool, int) for flag in arguments[1:])
        if type(code) is not str or not plain_flags or not _DTYPE.fullmatch(code):
            self._refuse(
                f"has an array of dtype {code[:40]!r}" if isinstance(code, str) else "has an array of no dtype"
            )
        return _Dtype(np.dtype(code))

    def _ordered(self, dtype: np.dtype[Any], state: tuple[Any, ...]) -> np.dtype[Any]:
        """The dtype in the byte order its state gives; fields, sub-arrays and metadata are refused."""
        simple = len(state) == 8 and state[2:5] == (None, None, None)
        if not simple or type(state[1]) is not str or state[1] not in ("<", ">", "|", "="):
            self._refuse(f"gives the dtype {dtype} fields, metadata or a byte order that is none")
        return (
            dtype
            if state[1] == "|"
            else dtype.newbyteorder(">" if state[1] == ">" else "<" if state[1] == "<" else "=")
        )

    def _filled(self, state: tuple[Any, ...]) -> NDArray[Any]:
        """The array of ``ndarray.__setstate__``: version, shape, dtype, column-major?, bytes or list."""
        if len(state) != 5 or type(state[0]) is not int or state[0] != 1 or not isinstance(state[2], _Dtype):
            self._refuse("sets the state of an array to something else than version 1, shape, dtype, order, data")
        shape, kind, raw = self._shape(state[1]), state[2].dtype, state[4]
        count = math.prod(shape)
        flat = self._of_strings(raw, count) if kind.kind == "O" else self._of_bytes(raw, kind, count)
        return flat.reshape(shape, order="F" if type(state[3]) in (bool, int) and state[3] else "C")

    def _frombuffer(self, *arguments: Any) -> NDArray[Any]:
        """Protocol 5's arrays: buffer, dtype, shape, order and, for order K, the axes."""
        if not 4 <= len(arguments) <= 5 or not isinstance(arguments[1], _Dtype):
            self._refuse("makes an array of something else than a buffer, dtype, shape and order")
        shape, order = self._shape(arguments[2]), arguments[3]
        flat = self._of_bytes(arguments[0], arguments[1].dtype, math.prod(shape))
        if len(arguments) == 5 and type(arguments[4]) is tuple:
            return flat.reshape(shape).transpose(arguments[4])
        return flat.reshape(shape, order="F" if type(order) is str and order == "F" else "C")

    def _scalar(self, *arguments: Any) -> Any:
        if len(arguments) != 2 or not isinstance(arguments[0], _Dtype):
            self._refuse("makes a scalar of something else than a dtype and bytes")
        return self._of_bytes(arguments[1], arguments[0].dtype, 1)[0]

    def _encode(self, *arguments: Any) -> bytes:
        """How protocols 0 to 2 write bytes: as text in Latin-1."""
        if len(arguments) != 2 or type(arguments[0]) is not str or arguments[1] not in ("latin1", "latin-1"):
            self._refuse("encodes something else than text in Latin-1")
        self._spend(len(arguments[0]))
        return str(arguments[0]).encode("latin-1")

    def _bytes(self, *arguments: Any) -> bytes:
        if arguments:
            self._refuse("makes bytes of something")
        return b""

    def _bytearray(self, *arguments: Any) -> bytearray:
        if len(arguments) > 1 or any(type(raw) not in (bytes, bytearray) for raw in arguments):
            self._refuse("makes a bytearray of something else than bytes")
        self._spend(sum(map(len, arguments)))
        return bytearray(*arguments)

    def _set(self, *arguments: Any) -> set[Any]:
        if len(arguments) > 1 or any(type(items) is not list for items in arguments):
            self._refuse("makes a set of something else than a list")
        self._spend(sum(map(len, arguments)))
        return {self._key(item) for items in arguments for item in items}

    # Arrays

    def _shape(self, shape: Any) -> tuple[int, ...]:
        if type(shape) is not tuple or len(shape) > 32 or any(type(n) is not int or n < 0 for n in shape):
            self._refuse("gives an array a shape that is none")
        return tuple(shape)

    def _of_bytes(self, raw: Any, dtype: np.dtype[Any], count: int) -> NDArray[Any]:
        """A view of the bytes; nothing is allocated, so no claim about the size is believed."""
        if type(raw) not in (bytes, bytearray) or dtype.kind == "O":
            self._refuse(f"fills an array of dtype {dtype} with a {type(raw).__name__}")
        if len(raw) != count * dtype.itemsize or dtype.itemsize == 0:
            raise DataError(
                f"{self.source} is damaged: at byte {self.position} an array claims {count} elements of dtype {dtype} "
                f"({count * dtype.itemsize} bytes) and holds {len(raw)} bytes; get the file again"
            )
        self._spend(len(raw))
        flat: NDArray[Any] = np.frombuffer(raw, dtype=dtype) if raw else np.empty(0, dtype)
        if dtype.kind == "U" and (flat.view(np.dtype("u4").newbyteorder(dtype.byteorder)) > 0x10FFFF).any():
            raise ValueError("a unicode array holds what is no character")
        if dtype.kind == "b" and (flat.view(np.uint8) > 1).any():
            raise ValueError("an array of booleans holds what is neither true nor false")
        return flat

    def _of_strings(self, raw: Any, count: int) -> NDArray[Any]:
        if type(raw) is not list:
            self._refuse(f"fills an array of objects with a {type(raw).__name__}")
        self._spend(len(raw))
        others = sorted({type(item).__name__ for item in raw if not isinstance(item, str)})
        if others:
            self._refuse(f"has an array of objects that are not all strings ({', '.join(others[:5])})")
        if len(raw) != count:
            raise DataError(
                f"{self.source} is damaged: at byte {self.position} an array claims {count} strings and holds "
                f"{len(raw)}; get the file again"
            )
        array = np.empty(count, dtype=object)
        array[:] = raw
        return array


_NDARRAY = "numpy.ndarray"

_CALLS: Mapping[str, Callable[..., Any]] = {
    "numpy._core.multiarray._reconstruct": _Machine._reconstruct,
    "numpy._core.multiarray.scalar": _Machine._scalar,
    "numpy._core.numeric._frombuffer": _Machine._frombuffer,
    "numpy.dtype": _Machine._dtype,
    "_codecs.encode": _Machine._encode,
    "builtins.bytes": _Machine._bytes,
    "builtins.bytearray": _Machine._bytearray,
    "builtins.set": _Machine._set,
    "builtins.frozenset": lambda machine, *arguments: frozenset(machine._set(*arguments)),
}

_LITERALS = frozenset(
    (
        *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
        *("UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"),
        *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
    )
)
_CONSTANTS: Mapping[str, Any] = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_NOTHING_TO_DO = frozenset({"PROTO", "FRAME", "STOP"})
_ACTIONS: Mapping[str, Callable[[_Machine, Any], None]] = {
    "MARK": _Machine._mark,
    "POP": _Machine._discard,
    "POP_MARK": _Machine._discard_to_mark,
    "DUP": _Machine._duplicate,
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), _Machine._get),
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT"), _Machine._put),
    "MEMOIZE": _Machine._memoize,
    "EMPTY_LIST": _Machine._empty_list,
    "LIST": _Machine._list,
    "APPEND": _Machine._append,
    "APPENDS": _Machine._appends,
    "EMPTY_DICT": _Machine._empty_dict,
    "DICT": _Machine._dict,
    "SETITEM": _Machine._setitem,
    "SETITEMS": _Machine._setitems,
    "EMPTY_SET": _Machine._empty_set,
    "ADDITEMS": _Machine._additems,
    "FROZENSET": _Machine._frozenset,
    "TUPLE": _Machine._tuple,
    "TUPLE1": lambda machine, _: machine._tuple_of(1),
    "TUPLE2": lambda machine, _: machine._tuple_of(2),
    "TUPLE3": lambda machine, _: machine._tuple_of(3),
    "GLOBAL": _Machine._named,
    "STACK_GLOBAL": _Machine._stack_global,
    "REDUCE": _Machine._reduce,
    "BUILD": _Machine._build,
}

"""Pickles of arrays, strings, numbers and containers, read without running anything in them.

Python's own unpickler calls whatever a file names and believes whatever size it claims. This one is a small stack
machine over the opcodes that ``pickletools`` decodes: the few names a pickled NumPy array needs stand for functions
written here, every other name is refused, and time and memory stay in proportion to the file's size.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO

from routereval.errors import DataError, RouterEvalError
from routereval.sources.pickled_objects import Guard, called, finished, hashable, named, plain, set_state


def unpickle(file: BinaryIO, source: str, size: int, *, nested: bool = False) -> Any:
    """The value pickled in a file: NumPy arrays and scalars, str, bytes, int, float, bool, None, plain containers.

    Arrays are numeric, unicode or objects that are all str. Protocols 0 to 5, written with NumPy 1 or 2.

    Parameters
    ----------
    file : opened for reading bytes, at the pickle's first byte.
    source : what to call the file in an error.
    size : how many bytes the file has from here on; nothing beyond them is read.
    nested : whether an array of objects may hold numbers and containers as well as strings.

    Raises
    ------
    UnsafeFileError : it asks for anything else; the message names it. Nothing was executed.
    DataError : it is cut off, damaged, or no pickle.
    """
    guard = Guard(source, size, nested=nested)
    machine = _Machine(guard)
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
            f"{source} is no pickle that can be read: at byte {guard.position}, "
            f"{type(error).__name__}: {error}; the file is damaged or something else, so get it again"
        ) from error


class _Bounded:
    """A file that ends where it ends: a length of 10**12 inside it is an error before it is an allocation."""

    def __init__(self, file: BinaryIO, size: int):
        self._file = file
        self._size = size
        self._position = 0

    def read(self, n: int) -> bytes:
        """So many bytes, or EOFError: a pickle never gets fewer than it asks for."""
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


class _Machine:
    """The pickle machine: a stack, marks on it and a memo."""

    def __init__(self, guard: Guard):
        self._guard = guard
        self._stack: list[Any] = []
        self._below: list[list[Any]] = []
        self._memo: dict[int, Any] = {}

    def step(self, opcode: str, argument: Any, position: int) -> None:
        """Carry out one opcode."""
        self._guard.position = position
        if opcode in _LITERALS:
            self._stack.append(argument)
        elif opcode in _CONSTANTS:
            self._stack.append(_CONSTANTS[opcode])
        elif opcode in _ACTIONS:
            _ACTIONS[opcode](self, argument)
        elif opcode not in _NOTHING_TO_DO:
            if opcode == "INST":
                self._named(argument)
            self._guard.refuse(f"uses the opcode {opcode}")

    def result(self) -> Any:
        """The one value that is left."""
        if len(self._stack) != 1 or self._below:
            raise ValueError(f"{len(self._stack)} values are left at the end, expected 1")
        return plain(self._guard, self._stack[0])

    # Taking values

    def _pop(self) -> Any:
        return finished(self._guard, self._stack.pop())

    def _pop_to_mark(self) -> list[Any]:
        items = [finished(self._guard, item) for item in self._stack]
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
        self._stack.append([plain(self._guard, item) for item in items])

    def _append(self, _: Any) -> None:
        item = plain(self._guard, self._pop())
        self._top(list).append(item)

    def _appends(self, _: Any) -> None:
        items = self._pop_to_mark()
        self._top(list).extend(plain(self._guard, item) for item in items)

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
            target[hashable(self._guard, key)] = plain(self._guard, value)

    def _additems(self, _: Any) -> None:
        items = self._pop_to_mark()
        self._top(set).update(hashable(self._guard, item) for item in items)

    def _frozenset(self, _: Any) -> None:
        items = self._pop_to_mark()
        self._stack.append(frozenset(hashable(self._guard, item) for item in items))

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
            self._guard.refuse("asks for a Python object by something that is no name")
        self._push_global(module, name)

    def _push_global(self, module: str, name: str) -> None:
        self._stack.append(named(self._guard, module, name))

    def _reduce(self, _: Any) -> None:
        arguments, function = self._pop(), self._pop()
        self._stack.append(called(self._guard, function, arguments))

    def _build(self, _: Any) -> None:
        state = self._pop()
        set_state(self._guard, self._stack[-1], state)


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

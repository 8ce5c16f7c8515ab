"""A stack machine for pickles, which runs nothing that a file asks for.

A pickle is a program for a small stack machine, and Python's own machine calls whatever function the file names, unless
`find_class` refuses it. This one has no way to: a name stays a pair of texts, a "call" of one of the names that its
reader allows becomes a plain record of the call, and numpy's own names make an array. Any other name, and any
instruction beyond those that such files use, ends the reading. `pickletools` takes the file apart into instructions
and runs none of them.

Memory is bounded as well: there are at most MOST_INSTRUCTIONS, an array must be as long as its bytes, bytes cannot be
multiplied, and nothing is ever hashed or compared but texts.
"""

from __future__ import annotations

import math
import pickletools
from collections.abc import Callable, Collection
from typing import Any, BinaryIO

import numpy as np

from renderer.unpickled import (
    OBJECTS,
    Array,
    ArrayType,
    Name,
    Record,
    RefusedError,
    finish_type,
    kind_of,
    new_type,
    numbers,
)

MOST_INSTRUCTIONS = 2_000_000
_SLACK = 1 << 20  # bytes that texts may become beyond the file's own length
_PLAIN = {  # instructions that put their argument, or a constant, on the stack; Python 2's texts come as Latin-1
    "BININT", "BININT1", "BININT2", "INT", "LONG", "LONG1", "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8",
    "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8",
}  # fmt: skip
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


_NDARRAY = Name("numpy", "ndarray")
_DTYPE = Name("numpy", "dtype")
_ENCODE = Name("_codecs", "encode")
# numpy 2 has another name for the room that these two live in.
_RECONSTRUCT = {Name(f"numpy.{room}.multiarray", "_reconstruct") for room in ("core", "_core")}
_SCALAR = {Name(f"numpy.{room}.multiarray", "scalar") for room in ("core", "_core")}
_NUMPY = {_NDARRAY, _DTYPE, _ENCODE, *_RECONSTRUCT, *_SCALAR}
# How protocols 0 and 1, and Python 2, begin an object: copy_reg._reconstructor(class, object, None).
_BEGIN = {Name("copy_reg", "_reconstructor"), Name("copyreg", "_reconstructor")}
_OBJECT = {Name("__builtin__", "object"), Name("builtins", "object")}
_MARK = object()


class Machine:
    """The stack machine.

    Args:
        size: bytes of the file.
        classes: names of classes whose objects become a Record.
        functions: names of functions, or classes, whose calls become a Record.
        needs: what the refusal of another name says that such a file needs.
        objects: whether numpy arrays of objects are read; their items are what this machine makes.
    """

    def __init__(
        self,
        size: int,
        classes: Collection[Name] = (),
        functions: Collection[Name] = (),
        needs: str = "It may hold numpy's arrays",
        objects: bool = False,
    ) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.budget = size + _SLACK
        self.classes, self.functions = frozenset(classes), frozenset(functions)
        self.needs, self.objects = needs, objects
        self.known = _NUMPY | self.classes | self.functions | (_BEGIN | _OBJECT if classes else set())

    def run(self, file: BinaryIO) -> Any:
        """Takes the file's instructions one by one; returns what is left on the stack.

        Raises:
            RefusedError: one line with the place in the file and what was refused.
            ValueError, IndexError, OverflowError, MemoryError: pickletools' own, on a damaged file.
        """
        for count, (opcode, argument, position) in enumerate(pickletools.genops(file)):
            name = opcode.name
            try:
                if name == "STOP":
                    return self._pop()
                if count >= MOST_INSTRUCTIONS:
                    raise RefusedError(f"more than {MOST_INSTRUCTIONS:,} instructions")
                self._step(name, argument)
            except RefusedError as error:
                raise RefusedError(f"refused at byte {position}: {error}") from None
        raise RefusedError("it ends too early")

    def _step(self, name: str, argument: Any) -> None:
        stack = self.stack
        if name in _PLAIN:
            stack.append(argument)
        elif name in _CONSTANTS:
            stack.append(_CONSTANTS[name])
        elif name in ("PROTO", "FRAME"):
            pass
        elif name == "MARK":
            stack.append(_MARK)
        elif name in ("EMPTY_LIST", "EMPTY_SET"):  # sets become lists: nothing is hashed
            stack.append([])
        elif name == "EMPTY_DICT":
            stack.append({})
        elif name in ("BINPUT", "LONG_BINPUT", "MEMOIZE"):
            self.memo[len(self.memo) if name == "MEMOIZE" else argument] = self._top()
        elif name in ("BINGET", "LONG_BINGET"):
            if argument not in self.memo:
                raise RefusedError(f"it takes up item {argument}, which it did not put down")
            stack.append(self.memo[argument])
        elif name in _TUPLES:
            items = [self._pop() for _ in range(_TUPLES[name])]
            stack.append(tuple(reversed(items)))
        elif name in _STEPS:
            _STEPS[name](self, argument)
        else:
            what = f" {argument!a}"[:120] if isinstance(argument, str) else ""
            raise RefusedError(f"the instruction {name}{what}, which no such file needs. Nothing in the file was run")

    def _top(self) -> Any:
        if not self.stack or self.stack[-1] is _MARK:
            raise RefusedError("an instruction has nothing to work on")
        return self.stack[-1]

    def _pop(self) -> Any:
        top = self._top()
        self.stack.pop()
        return top

    def _pop_to_mark(self) -> list[Any]:
        items: list[Any] = []
        while self.stack:
            item = self.stack.pop()
            if item is _MARK:
                return items[::-1]
            items.append(item)
        raise RefusedError("an instruction has nothing to work on")

    def _tuple(self, _: Any) -> None:
        self.stack.append(tuple(self._pop_to_mark()))

    def _append(self, _: Any) -> None:
        item = self._pop()
        self._extend([item])

    def _appends(self, _: Any) -> None:
        self._extend(self._pop_to_mark())

    def _extend(self, items: list[Any]) -> None:
        target = self._top()
        if type(target) is not list:
            raise RefusedError(f"items for {kind_of(target)}, where a list was expected")
        target.extend(items)

    def _setitem(self, _: Any) -> None:
        value, key = self._pop(), self._pop()
        self._update([key, value])

    def _setitems(self, _: Any) -> None:
        self._update(self._pop_to_mark())

    def _update(self, items: list[Any]) -> None:
        target = self._top()
        if type(target) is not dict or len(items) % 2 or any(type(key) is not str for key in items[::2]):
            raise RefusedError(f"items for {kind_of(target)}, where a record with texts as keys was expected")
        target.update(zip(items[::2], items[1::2], strict=True))

    def _global(self, argument: str) -> None:
        module, _, name = argument.partition(" ")
        self._name(module, name)

    def _stack_global(self, _: Any) -> None:
        name, module = self._pop(), self._pop()
        if type(name) is not str or type(module) is not str:
            raise RefusedError("a name that is not a text")
        self._name(module, name)

    def _name(self, module: str, name: str) -> None:
        found = Name(module, name)
        if found not in self.known:
            raise RefusedError(
                f"the file asks for {found}. {self.needs}, and nothing else. Nothing in the file was run"
            )
        self.stack.append(found)

    def _reduce(self, _: Any) -> None:
        arguments, function = self._pop(), self._pop()
        if type(function) is not Name or type(arguments) is not tuple:
            raise RefusedError(f"a call of {kind_of(function)}")
        if function == _ENCODE:
            self.stack.append(self._encode(arguments))
        elif function == _DTYPE:
            self.stack.append(new_type(arguments, self.objects))
        elif function in _RECONSTRUCT:
            if len(arguments) != 3 or arguments[0] != _NDARRAY:
                raise RefusedError("an array that is not numpy's ndarray")
            self.stack.append(Array())
        elif function in _SCALAR:
            self.stack.append(self._scalar(arguments))
        elif function in _BEGIN:
            if len(arguments) != 3 or type(arguments[1]) is not Name or arguments[1] not in _OBJECT or arguments[2]:
                raise RefusedError(f"a call of {function} that does not begin a plain object")
            self._new(arguments[0], ())
        elif function in self.functions:
            self.stack.append(Record(function, arguments))
        else:
            raise RefusedError(f"a call of {function}")

    def _newobj(self, _: Any) -> None:
        arguments, kind = self._pop(), self._pop()
        self._new(kind, arguments)

    def _new(self, kind: Any, arguments: Any) -> None:
        if type(kind) is not Name or kind not in self.classes or type(arguments) is not tuple or arguments:
            raise RefusedError(f"a new {kind_of(kind)}")
        self.stack.append(Record(kind))

    def _encode(self, arguments: tuple[Any, ...]) -> bytes:
        """Protocol 2 of Python 3 has no bytes: they come as a text of the same length."""
        if [type(item) for item in arguments] != [str, str] or arguments[1] not in ("latin1", "latin-1"):
            raise RefusedError(f"a call of {_ENCODE} that does not give an array's bytes")
        return self._bytes(arguments[0])

    def _bytes(self, content: Any) -> bytes:
        """The bytes of an array: as they are, or as a text, which is what Python 2's become."""
        if type(content) is bytes:
            return content
        if type(content) is not str:
            raise RefusedError("a numpy array that is not of plain numbers")
        self.budget -= len(content)
        if self.budget < 0:
            raise RefusedError("arrays of more bytes than the file has")
        try:
            return content.encode("latin1")
        except UnicodeEncodeError:
            raise RefusedError("bytes of an array that are not bytes") from None

    def _build(self, _: Any) -> None:
        state, target = self._pop(), self._top()
        if type(target) is ArrayType and target.dtype is None:
            target.dtype = finish_type(target.code, state)
        elif type(target) is Array and target.value is None:
            target.value = self._finish_array(state)
        elif type(target) is Record and target.state is None and type(state) is dict:
            target.state = state
        else:
            raise RefusedError(f"a state for {kind_of(target)}")

    def _finish_array(self, state: Any) -> np.ndarray:
        # (version, shape, dtype, in Fortran's order, bytes)
        if type(state) is not tuple or len(state) != 5 or type(state[2]) is not ArrayType:
            raise RefusedError("a numpy array that is not of plain numbers")
        shape, kind, fortran, content = state[1:]
        if type(shape) is not tuple or len(shape) > 8 or any(type(n) is not int or n < 0 for n in shape):
            raise RefusedError("a numpy array without a shape")
        if kind.code not in OBJECTS:
            order = "F" if type(fortran) in (bool, int) and fortran else "C"
            return numbers(kind, self._bytes(content), shape, order)
        if type(content) is not list or len(content) != math.prod(shape):
            raise RefusedError("a numpy array of objects that are not listed")
        value = np.empty(len(content), object)
        for place, item in enumerate(content):  # one by one: numpy would look into lists
            value[place] = item
        return value.reshape(shape)

    def _scalar(self, arguments: tuple[Any, ...]) -> Array:
        if len(arguments) != 2 or type(arguments[0]) is not ArrayType or arguments[0].code in OBJECTS:
            raise RefusedError("a numpy scalar that is not a plain number")
        return Array(numbers(arguments[0], self._bytes(arguments[1]), (), "C"))


_STEPS: dict[str, Callable[[Machine, Any], None]] = {
    "TUPLE": Machine._tuple,
    "APPEND": Machine._append,
    "APPENDS": Machine._appends,
    "ADDITEMS": Machine._appends,
    "SETITEM": Machine._setitem,
    "SETITEMS": Machine._setitems,
    "GLOBAL": Machine._global,
    "STACK_GLOBAL": Machine._stack_global,
    "REDUCE": Machine._reduce,
    "NEWOBJ": Machine._newobj,
    "BUILD": Machine._build,
}

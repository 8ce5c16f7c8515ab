"""Pickles with the names that FLAME's files may ask for: what they become, and that nothing in a file runs."""

from __future__ import annotations

import copyreg
import functools
import operator
import os
import pickle
import struct

import numpy as np
import pytest

from renderer.importers.flame_pickle import array, content
from renderer.unpickling import Array
from tests.helpers.made_up_flame import Ch, dumps

NPY = b"\x93NUMPY\x01\x00\x46\x00{'descr': '|O', 'fortran_order': False, 'shape': (), }".ljust(79) + b"\n"


@pytest.mark.parametrize(("python2", "protocol"), [(True, 2), (True, 1), (False, 2), (False, 3), (False, 4)])
def test_arrays_and_records(tmp_path, python2, protocol):
    arrays = {
        "floats": np.linspace(-1, 1, 12).reshape(3, 4), "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "whole": np.array([2**32 - 1, 0], np.uint32), "big": np.arange(5, dtype=">i2"), "zero": np.array(3.0),
    }  # fmt: skip
    made = {**arrays, "wrapped": Ch(arrays["floats"]), "text": "lbs", "list": [1, 2**40, None, True, 0.5]}
    path = tmp_path / "made.pkl"
    path.write_bytes(dumps(made, python2, protocol))
    read = content(path, "arrays")
    for name, expected in arrays.items():
        assert type(read[name]) is Array
        np.testing.assert_array_equal(array(read[name], name), expected)
        assert array(read[name], name).dtype == expected.dtype
    np.testing.assert_array_equal(array(read["wrapped"], "wrapped"), arrays["floats"])
    assert (read["text"], read["list"]) == ("lbs", [1, 2**40, None, True, 0.5])


def test_one_memorised_text_cannot_be_multiplied(tmp_path):
    path = tmp_path / "FLAME.pkl"
    state = b"(K\x01J\x00\x00\x10\x00\x85" + DTYPE.replace(b"f8", b"u1") + b"\x89"
    megabyte = b"T" + struct.pack("<i", 2**20) + bytes(2**20)
    again = ARRAY + state + b"h\x01tb"
    path.write_bytes(PROTO + b"(" + ARRAY + state + megabyte + b"q\x01tb" + 30 * again + b"t.")
    with pytest.raises(ValueError, match="arrays of more bytes than the file has"):
        content(path, "FLAME's model")


class Call:
    """Pickles as a call of `function`."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


def text(value: str) -> bytes:
    encoded = value.encode()
    return b"X" + struct.pack("<I", len(encoded)) + encoded


PROTO = b"\x80\x02"
DTYPE = b"cnumpy\ndtype\n" + text("f8") + b"\x89\x88\x87R"
ARRAY = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85" + text("b") + b"\x87R"
OBJECTS = DTYPE.replace(b"f8", b"O8") + b"(K\x03" + text("|") + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK?tb"


def attacks(marker: object) -> dict[str, bytes]:
    """Pickles that would run something that makes the file `marker`, or get hold of what can."""
    command, source = f"touch {marker}", f"open({str(marker)!r}, 'w').close()"
    return {
        "system": pickle.dumps(Call(os.system, command), 2),
        "system, protocol 0": pickle.dumps(Call(os.system, command), 0),
        "eval": pickle.dumps(Call(eval, source), 4),
        "exec": pickle.dumps(Call(exec, source), 2),
        "getattr of a module": pickle.dumps(Call(getattr, Call(__import__, "os"), "system"), 2),
        "getattr of an array": PROTO + b"c__builtin__\ngetattr\n" + ARRAY + text("tofile") + b"\x86R.",
        "dotted name": PROTO + text("chumpy.ch") + text("Ch.__init__") + b"\x93.",
        "attribute of an allowed class": PROTO + b"cchumpy.ch\nCh.__class__\n.",
        "partial": pickle.dumps(functools.partial(os.system, command), 2),
        "methodcaller": pickle.dumps(operator.methodcaller("system", command), 2),
        "copyreg's table": pickle.dumps(Call(copyreg.add_extension, "os", "system", 7), 2),
        "copyreg's reconstructor of another class": PROTO
        + b"ccopy_reg\n_reconstructor\nccollections\nOrderedDict\nc__builtin__\nobject\nN\x87R.",
        "copyreg's reconstructor of a str": PROTO
        + b"ccopy_reg\n_reconstructor\ncchumpy.ch\nCh\nc__builtin__\nstr\n" + text("x") + b"\x87R.",
        "an allowed class with arguments": PROTO + b"cchumpy.ch\nCh\n" + text(command) + b"\x85\x81.",
        "a call of an allowed class": PROTO + b"cchumpy.ch\nCh\n)R.",
        "a call of a record": PROTO + b"cchumpy.ch\nCh\n)\x81)R.",
        "a call of a text": PROTO + text("os.system") + b")R.",
        "a state that is no dictionary": PROTO + b"cchumpy.ch\nCh\n)\x81N}" + text("x") + b"Ns\x86b.",
        "a state for the class": PROTO + b"cchumpy.ch\nCh\n}" + text("__setstate__") + b"Nsb.",
        "INST": PROTO + b"(" + text(command) + b"ios\nsystem\n.",
        "OBJ": PROTO + b"(cos\nsystem\n" + text(command) + b"o.",
        "PERSID": PROTO + b"Pos.system\n.",
        "EXT1": PROTO + b"\x82\x07.",
        "NEWOBJ_EX": PROTO + b"cchumpy.ch\nCh\n)}\x92.",
        "objects made of bytes": PROTO + ARRAY + b"(K\x01K\x01\x85" + OBJECTS + b"\x89" + text("AAAAAAAA") + b"tb.",
        "scalar made of an object": PROTO
        + b"cnumpy.core.multiarray\nscalar\n" + OBJECTS + text("AAAAAAAA") + b"\x86R.",
        "dtype with fields": PROTO + DTYPE + b"(K\x03" + text("|") + b"N(" + text("a") + b"t}K\x08K\x01K?tb.",
    }  # fmt: skip


@pytest.mark.parametrize("which", list(attacks("marker")))
@pytest.mark.parametrize("header", [b"", NPY])
def test_nothing_that_a_file_asks_for_runs(tmp_path, which, header):
    marker, before = tmp_path / "it-ran", dict(copyreg._extension_registry)
    path = tmp_path / "FLAME.pkl"
    path.write_bytes(header + attacks(marker)[which])
    with pytest.raises(ValueError) as error:
        content(path, "FLAME's model")
    assert not marker.exists() and copyreg._extension_registry == before
    assert str(error.value).startswith(f"{path}: ") and "\n" not in str(error.value)


def test_pickles_own_machine_would_run_some_of_them(tmp_path):
    """Otherwise the test above would show nothing."""
    for number, which in enumerate(("system", "eval", "exec", "getattr of a module")):
        marker = tmp_path / f"it-ran-{number}"
        made = pickle.loads(attacks(marker)[which])
        if callable(made):
            made(f"touch {marker}")
        assert marker.exists(), which

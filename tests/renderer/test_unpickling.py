"""The machine for pickles: what it makes, what it refuses, and that nothing in a file runs or grows.

tests/stylegan1/test_network_file.py tries damaged files, random programs and each instruction that can call.
"""

from __future__ import annotations

import copyreg
import functools
import io
import operator
import os
import pickle
import struct
import tracemalloc

import numpy as np
import pytest
from made_up_flame import Ch, dumps

from renderer import unpickling
from renderer.unpickled import Array, Name, Record, RefusedError
from renderer.unpickling import Machine

CH, SET = Name("chumpy.ch", "Ch"), Name("__builtin__", "set")


def run(content: bytes, **options: object) -> object:
    options = {"classes": {CH}, "functions": {SET, Name("builtins", "set")}, **options}
    return Machine(len(content), **options).run(io.BytesIO(content))  # type: ignore[arg-type]


@pytest.mark.parametrize(("python2", "protocol"), [(True, 2), (True, 1), (False, 2), (False, 3), (False, 4)])
def test_arrays_and_records(python2, protocol):
    arrays = {
        "floats": np.linspace(-1, 1, 12).reshape(3, 4), "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "whole": np.array([2**32 - 1, 0], np.uint32), "big": np.arange(5, dtype=">i2"),
        "yes": np.array([True, False]), "zero": np.array(3.0),
    }  # fmt: skip
    read = run(dumps({**arrays, "wrapped": Ch(arrays["floats"]), "text": "lbs", "list": [1, 2**40, None, True, 0.5]},
                     python2, protocol))  # fmt: skip
    for name, array in arrays.items():
        assert type(read[name]) is Array
        np.testing.assert_array_equal(read[name].value, array)
        assert read[name].value.dtype == array.dtype
    assert (read["text"], read["list"]) == ("lbs", [1, 2**40, None, True, 0.5])
    record = read["wrapped"]
    assert type(record) is Record and record.kind == CH
    np.testing.assert_array_equal(record.state["x"].value, arrays["floats"])


def test_scalars_and_calls():
    read = run(dumps({"scalar": np.float32(1.5), "set": {"x"}}, False, 2))
    assert read["scalar"].value == 1.5 and read["scalar"].value.shape == ()
    assert type(read["set"]) is Record and read["set"].arguments == (["x"],) and read["set"].state is None


def test_arrays_of_objects_are_lists_where_they_are_asked_for():
    content = pickle.dumps(np.array([{"a": 1}, [2, 3]], dtype=object), 3)
    value = run(content, objects=True).value
    assert value.dtype == object and value.tolist() == [{"a": 1}, [2, 3]]
    with pytest.raises(RefusedError, match="not of plain numbers"):
        run(content)


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


def attacks(marker) -> dict[str, bytes]:
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
@pytest.mark.parametrize("objects", [False, True])
def test_nothing_that_a_file_asks_for_runs(tmp_path, which, objects):
    marker, before = tmp_path / "it-ran", dict(copyreg._extension_registry)
    with pytest.raises(RefusedError) as error:
        run(attacks(marker)[which], objects=objects)
    assert not marker.exists() and copyreg._extension_registry == before
    assert "\n" not in str(error.value) and len(str(error.value)) < 400


def test_pickles_own_machine_would_run_some_of_them(tmp_path):
    """Otherwise the test above would show nothing."""
    for number, which in enumerate(("system", "eval", "exec", "getattr of a module")):
        marker = tmp_path / f"it-ran-{number}"
        made = pickle.loads(attacks(marker)[which])
        if callable(made):
            made(f"touch {marker}")
        assert marker.exists(), which


def bombs() -> dict[str, tuple[bytes, str]]:
    """Small files that would take much memory or time, and what the refusal says."""
    nested = b")" + b"q\x00h\x00\x86" * 60  # tuples of two equal tuples of two equal tuples of …: hashed for ever
    latin = b"c_codecs\nencode\nh\x01" + text("latin1") + b"\x86Rq\x02"
    megabyte = b"T" + struct.pack("<i", 2**20) + bytes(2**20) + b"q\x01"
    data = b"(K\x01J\x00\xca\x9a\x3b\x85" + DTYPE + b"\x89"  # a thousand million numbers
    return {
        "a hashed tree of tuples": (PROTO + b"}" + nested + b"Ns.", "texts as keys"),
        "a set of it in another": (PROTO + b"\x8f(" + nested + b"\x90\x91.", "FROZENSET"),
        "an array without its bytes": (PROTO + ARRAY + data + b"U\x00tb.", "with 0 bytes"),
        "an array of repeated bytes": (PROTO + megabyte + 300 * latin + b".", "more bytes than the file has"),
        "objects without their list": (PROTO + ARRAY + data.replace(DTYPE, OBJECTS) + b"]tb.", "not listed"),
        "a text longer than the file": (PROTO + b"X\xff\xff\xff\x7fshort.", "expected 2147483647 bytes"),
        "many instructions": (PROTO + b"]" * 11_000 + b".", "more than 10,000 instructions"),
    }


@pytest.mark.parametrize("which", list(bombs()))
def test_small_files_stay_small(which, monkeypatch):
    monkeypatch.setattr(unpickling, "MOST_INSTRUCTIONS", 10_000)
    content, message = bombs()[which]
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=message):
            run(content, objects=True)
        assert tracemalloc.get_traced_memory()[1] < 20e6
    finally:
        tracemalloc.stop()


def test_a_far_place_in_the_memo_takes_no_more_than_a_near_one():
    assert run(PROTO + b"]r\xff\xff\xff\x7f.") == []  # Python's own machine may make room for two thousand million

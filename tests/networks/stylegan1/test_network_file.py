"""The reader of network files: what it gives, what it refuses, and that nothing in a file runs."""

from __future__ import annotations

import codecs
import functools
import pickle
import pickletools
import struct

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from discoface_tf2.networks.stylegan1.network_file import read_networks
from tests.helpers import network_files


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    return network_files.write(tmp_path_factory.mktemp("network") / "network.pkl")


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_every_variable_comes_back(tmp_path, protocol):
    made = network_files.made_up(seed=3)
    (tmp_path / "network.pkl").write_bytes(network_files.dumps(made, protocol))
    networks = read_networks(tmp_path / "network.pkl")

    def compare(received, expected):
        assert (received.name, received.options) == (expected.state["name"], expected.state["static_kwargs"])
        variables = dict(expected.state["variables"])
        assert list(received.variables) == list(variables)
        for name, array in variables.items():
            np.testing.assert_array_equal(received.variables[name], array)
        assert list(received.components) == list(expected.state["components"])
        for name, part in expected.state["components"].items():
            compare(received.components[name], part)

    for received, expected in zip(networks, made, strict=True):
        compare(received, expected)


def test_orders_and_types_of_arrays(tmp_path):
    arrays = {
        "fortran": np.asfortranarray(np.arange(12, dtype=np.float64).reshape(3, 4)),
        "big": np.arange(5, dtype=">f4"),
        "half": np.linspace(0, 1, 7, dtype=np.float16),
        "whole": np.arange(6, dtype=np.int64).reshape(1, 2, 3),
        "scalar": np.float32(2.5),
    }
    networks = [network_files.Network(n, {}, {}, {k: a.copy(order="K") for k, a in arrays.items()}) for n in "GDS"]
    (tmp_path / "network.pkl").write_bytes(network_files.dumps(networks))
    for state in read_networks(tmp_path / "network.pkl"):
        for name, array in arrays.items():
            np.testing.assert_array_equal(state.variables[name], array)
            assert state.variables[name].dtype == np.float32


# ---- files that want something else --------------------------------------------------------------------------------


class Call:
    """Pickles as a call of `function`."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


def text(value: str) -> bytes:
    """The instruction that puts a text on the stack."""
    encoded = value.encode("utf-8", "surrogatepass")
    return b"X" + struct.pack("<I", len(encoded)) + encoded


def calls(marker):
    """Pickles that would run something that makes the file `marker`, and what the refusal names."""
    import os

    command = f"touch {marker}"
    source = f"open({str(marker)!r}, 'w').close()"
    proto = b"\x80\x02"
    posix = f"{os.system.__module__}.system"
    yield posix, pickle.dumps(Call(os.system, command), 2)
    yield posix, pickle.dumps(Call(os.system, command), 4)  # STACK_GLOBAL
    yield "__builtin__.eval", pickle.dumps(Call(eval, source), 2)
    yield "builtins.exec", pickle.dumps(Call(exec, source), 4)
    yield "_codecs.lookup", pickle.dumps(Call(codecs.lookup, "utf-8"), 4)
    yield "_codecs.decode", proto + b"c_codecs\ndecode\n" + text("x") + text("rot13") + b"\x86R."
    yield "numpy.load", proto + b"cnumpy\nload\n" + text(str(marker)) + b"\x85R."
    yield "numpy.core.multiarray.fromfile", proto + b"cnumpy.core.multiarray\nfromfile\n" + text("x") + b"\x85R."
    yield "numpy.core.multiarray.__builtins__", proto + b"cnumpy.core.multiarray\n__builtins__\n."
    yield "numpy.ndarray.tofile", proto + b"\x8c\x05numpy\x8c\x0endarray.tofile\x93."  # a dotted name
    yield "os.system", proto + b"(" + text(command) + b"ios\nsystem\n."
    yield "__builtin__.getattr", proto + b"c__builtin__\ngetattr\n" + text("x") + text("upper") + b"\x86R."
    yield "functools.partial", pickle.dumps(functools.partial(os.system, command), 4)
    yield "copyreg._reconstructor", proto + b"ccopyreg\n_reconstructor\n."
    yield "PERSID", proto + b"Pos.system\n."
    yield "BINPERSID", proto + text("os.system") + b"Q."
    yield "EXT1", proto + b"\x82\x01."


@pytest.mark.parametrize("which", range(17))
def test_a_file_that_calls_something_is_refused_by_name_and_runs_nothing(tmp_path, which):
    marker = tmp_path / "it-ran"
    name, content = list(calls(marker))[which]
    path = tmp_path / "network.pkl"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="Nothing in the file was run") as error:
        read_networks(path)
    assert name in str(error.value) and "\n" not in str(error.value)
    assert not marker.exists()


def test_the_samples_above_would_run_with_pickles_own_machine(tmp_path):
    """Otherwise the test above would show nothing."""
    for which in (0, 1, 2, 3):
        marker = tmp_path / f"it-ran-{which}"
        pickle.loads(list(calls(marker))[which][1])
        assert marker.exists()


PROTO = b"\x80\x02"
NETWORK = b"cdnnlib.tflib.network\nNetwork\n"
ARRAY = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85" + text("b") + b"\x87R"
DTYPE = b"cnumpy\ndtype\n" + text("f4") + b"\x89\x88\x87R"
ENCODE = b"c_codecs\nencode\n"


@pytest.mark.parametrize(
    "content, message",
    [
        (NETWORK + text("x") + b"\x85R.", "damaged, or another kind of file"),
        (NETWORK + text("x") + b"\x85\x81.", "damaged, or another kind of file"),
        (b"cnumpy\nndarray\n)\x81.", "expected three networks .* a numpy array"),
        (b"cnumpy\nndarray\nK\x09\x85R.", "damaged, or another kind of file"),
        (b"cnumpy\nndarray\nN}" + text("value") + b"K\x01s\x86b.", "damaged, or another kind of file"),  # of the class
        (b"(c_codecs\nencode\n" + text("x") + b"o.", "damaged, or another kind of file"),
        (ENCODE + b"}b.", "a state for a function"),
        (ENCODE + b"N}" + text("__defaults__") + b")s\x86b.", "a state for a function"),
        (ENCODE + text("x") + text("rot13") + b"\x86R.", "_codecs.encode that does not give an array's bytes"),
        (ENCODE + text("x") + text("latin1") + text("strict") + b"\x87R.", "does not give an array's bytes"),
        (ENCODE + text("λ") + text("latin1") + b"\x86R.", "damaged, or another kind of file"),
        (b"cnumpy\ndtype\n" + text("O8") + b"\x89\x88\x87R.", "dtype that is not of plain numbers"),
        (DTYPE + b"(K\x03" + text("<") + b"N" + b"(" + text("a") + b"tNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb.",
         "dtype that is not of plain numbers"),
        (ARRAY + b"(K\x01K\x02\x85" + DTYPE + b"\x89" + ENCODE + text("abc") + text("latin1") + b"\x86Rtb.",
         r"an array of shape \(2,\) and type float32 with 3 bytes"),
        (ARRAY + b"(K\x01(" + b"J\xff\xff\xff\x7f" * 4 + b"t" + DTYPE + b"\x89" + ENCODE + text("") + text("latin1")
         + b"\x86Rtb.", "with 0 bytes"),
        (ARRAY + b"Nb.", "a numpy array that is not of plain numbers"),
        (ARRAY + b"}" + text("__class__") + b"Nsb.", "a numpy array that is not of plain numbers"),
        (NETWORK + b")\x81}b}b.", "a network's state that is not one record"),  # a second state
        (b"}" + text("x") + b"b.", "damaged, or another kind of file"),
        (b"}K\x01K\x02s.", "expected three networks .* a dict"),
        (b"K\x01K\x02a.", "damaged, or another kind of file"),
        (b"h\x05.", "damaged, or another kind of file"),
        (b"R.", "damaged, or another kind of file"),
        (b"t.", "damaged, or another kind of file"),
        (b"K\x01r\xff\xff\xff\x7f.", "item 2147483647 is put down at byte 4, out of order"),  # 16 GiB of room for it
        (b"}K\x01" + b"\x85" * 300_000 + b"Ns.", "a tuple of more than 1,000 items"),  # hashing it ends the process
        (b"}K\x01\x85" + b"q\x00h\x00\x86" * 40 + b"Ns.", "a tuple of more than 1,000 items"),  # … or take for ever
        (b"\x96" + b"\xff" * 7 + b"\x7f.", "damaged, or another kind of file"),  # room for 2^63 bytes
        (b"\x97.", "the instruction NEXT_BUFFER"),
        (b"K\x01.", "expected three networks"),
        (b"K\x01K\x02K\x03\x87.", "expected a network at G"),
        (NETWORK + b")\x81}b2\x86.", "expected three networks"),
        (b"c" + b"o" * 500 + b"\nsystem\n.", "asks for oooo"),
        (b"K\x01", "damaged, or another kind of file"),
        (b"", "damaged, or another kind of file"),
    ],
)  # fmt: skip
def test_everything_else_is_refused_in_one_line(tmp_path, content, message):
    path = tmp_path / "network.pkl"
    path.write_bytes(PROTO + content)
    with pytest.raises(ValueError, match=message) as error:
        read_networks(path)
    assert str(error.value).startswith(str(path)) and "\n" not in str(error.value)
    assert len(str(error.value)) < len(str(path)) + 400


def test_one_memorised_text_cannot_be_multiplied(tmp_path):
    once = ENCODE + b"h\x01" + text("latin1") + b"\x86R"
    path = tmp_path / "network.pkl"
    path.write_bytes(PROTO + text("x" * 100_000) + b"q\x01" + 30 * once + b".")
    with pytest.raises(ValueError, match="more bytes than the file has"):
        read_networks(path)


def test_parts_that_hold_themselves_and_arrays_used_twice(tmp_path):
    path = tmp_path / "network.pkl"
    snake = network_files.Network("G", {}, {}, {})
    snake.state["components"]["mapping"] = snake
    path.write_bytes(network_files.dumps((snake,) * 3))
    with pytest.raises(ValueError, match=r"expected a network at G\.mapping\.mapping\.mapping"):
        read_networks(path)
    array = np.ones(3, np.float32)
    path.write_bytes(network_files.dumps([network_files.Network("G", {}, {}, {"a": array, "b": array})] * 3))
    with pytest.raises(ValueError, match="variable b is there twice"):
        read_networks(path)
    path.write_bytes(network_files.dumps([network_files.Network("G", {}, {}, {"a": array * np.nan})] * 3))
    with pytest.raises(ValueError, match="variable a holds numbers that are not finite"):
        read_networks(path)


@pytest.mark.parametrize("content", [b"", b"\x80", b"PK\x03\x04zip", b"\x89PNG", b"\x80\x05K\x01."])
def test_other_files_are_named(tmp_path, content):
    path = tmp_path / "network.pkl"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="expected a network file, a pickle of protocol 2 to 4"):
        read_networks(path)
    with pytest.raises(FileNotFoundError, match="no such file"):
        read_networks(tmp_path / "nowhere.pkl")


INSTRUCTIONS = [code.code.encode("latin1") for code in pickletools.opcodes]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_damaged_files_end_in_one_line(good, tmp_path, data):
    content = bytearray(good.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(2, len(content) - 1))
        if data.draw(st.booleans()):
            content[at] = data.draw(st.integers(0, 255))
        elif data.draw(st.booleans()):
            content[at:at] = data.draw(st.sampled_from(INSTRUCTIONS))
        else:
            del content[at:]
            break
    path = tmp_path / "network.pkl"
    path.write_bytes(content)
    try:
        read_networks(path)  # a changed number is no damage
    except ValueError as error:
        assert "\n" not in str(error)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(INSTRUCTIONS) | st.binary(max_size=6), max_size=30))
def test_any_program_ends_in_one_line(tmp_path, program):
    path = tmp_path / "network.pkl"
    path.write_bytes(PROTO + b"".join(program))
    with pytest.raises(ValueError) as error:
        read_networks(path)
    assert "\n" not in str(error.value)

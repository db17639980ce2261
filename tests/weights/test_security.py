"""Files made to do harm: each is refused in one line, and nothing in it is ever run."""

import json
import os
import pickle
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from tests.support.torch_files import program, value, view, write
from vitjax.errors import InputError
from vitjax.weights.find.checkpoint import open_tensors
from vitjax.weights.formats import pickled
from vitjax.weights.formats.open import read_config
from vitjax.weights.formats.tensors import Tensors
from vitjax.weights.rules import layouts
from vitjax.weights.rules.convert import convert

DATA = {"0": np.arange(6, dtype=np.float32).tobytes()}


def refusal(path: Path) -> str:
    """The line with which a file is refused."""
    with pytest.raises(InputError) as caught:
        for tensor in open_tensors(path).values():
            assert np.isfinite(tensor).all()
    assert "\n" not in str(caught.value) and str(path) in str(caught.value)
    return str(caught.value)


class Calls:
    """Pickles as a call."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.fixture
def trap(tmp_path, monkeypatch) -> Path:
    """A file that is there only if something was run."""
    monkeypatch.chdir(tmp_path)
    return tmp_path / "trap"


def test_a_pickle_that_calls_the_shell(trap):
    code = pickle.dumps({"weight": Calls(os.system, f"touch {trap}")}, 2)
    line = refusal(write(trap.with_name("model.pth"), code, {}))
    assert "it names posix.system, and only tensors, containers and notes of training are read" in line
    assert not trap.exists()


GLOBALS = {
    "pathlib.Path.touch": b"cpathlib\nPath.touch\n",
    "builtins.eval": value("builtins") + value("eval") + b"\x93",
    "argparse.ArgumentParser": b"cargparse\nArgumentParser\n",
    "torch._utils._rebuild_tensor_v2.__globals__": b"ctorch._utils\n_rebuild_tensor_v2.__globals__\n",
    "torch.FloatStorage.__class__": b"ctorch\nFloatStorage.__class__\n",
    "vitjax.weights.formats.pickled.unpickle": b"cvitjax.weights.formats.pickled\nunpickle\n",
}


@pytest.mark.parametrize("name", GLOBALS)
def test_a_pickle_with_an_unknown_global(name, tmp_path):
    line = refusal(write(tmp_path / "model.pth", program({"a": view(), "b": GLOBALS[name]}), DATA))
    assert f"it names {name}, and only tensors, containers and notes of training are read; save a state_dict" in line


INSTRUCTIONS = {  # code: what is said
    "a memo as long as memory": (b"\x80\x02}r\xff\xff\xff\x7f.", "no tensors"),
    "a key whose hash needs more stack than there is": (
        b"\x80\x02}()" + b"\x85" * 100_000 + b"K\x01u.",
        "keys that are neither words nor numbers",
    ),
    "a list of itself": (b"\x80\x02]q\x00h\x00a.", "no tensors"),
    "a dict of itself": (b"\x80\x02}q\x00" + value("a") + b"h\x00s.", "nested too deeply"),
    "a model of itself": (b"\x80\x02}q\x00" + value("model") + b"h\x00s.", "nested too deeply"),
    "old classes": (b"\x80\x02(i__torch__\nModule\n.", "the instruction INST"),
    "extensions": (b"\x80\x02\x82\x01.", "the instruction EXT1"),
    "no end": (b"\x80\x02}", "damaged"),
    "nothing": (b"", "damaged"),
    "text": (b"hello", "damaged"),
    "a call of a word": (program({"a": value("word") + b")R"}), "damaged"),
    "attributes of a function": (program({"a": b"ccollections\nOrderedDict\n}b"}), "no tensors"),
    "attributes of the tensors' maker": (
        program({"a": b"ctorch._utils\n_rebuild_tensor_v2\n}" + value("__code__") + b"Nsb"}),
        "no tensors",
    ),
    "a long string that is not there": (b"\x80\x04\x8d" + b"\xff" * 7 + b"\x7f.", "damaged"),
}


@pytest.mark.parametrize("case", INSTRUCTIONS)
def test_a_pickle_that_abuses_the_machine(case, tmp_path):
    code, said = INSTRUCTIONS[case]
    assert said in refusal(write(tmp_path / "model.pth", code, DATA))


def test_a_pickle_that_laughs(tmp_path):
    """Thirty dicts, each holding the one before twice, are a thousand million names."""
    levels = b"".join(
        b"}q%c(" % i + value("a") + b"h%c" % (i - 1) + value("b") + b"h%cu" % (i - 1) for i in range(1, 31)
    )
    assert "too large" in refusal(write(tmp_path / "model.pth", b"\x80\x02}q\x00" + levels + b".", {}))


VIEWS = {
    "offset outside": ({"offset": 1}, "reaches outside its storage"),
    "strides outside": ({"strides": (4, 1)}, "reaches outside its storage"),
    "shape outside": ({"shape": (3, 3)}, "reaches outside its storage"),
    "negative offset": ({"offset": -1}, "no tensor has"),
    "negative strides": ({"strides": (3, -1)}, "no tensor has"),
    "negative shape": ({"shape": (-2, -3)}, "no tensor has"),
    "absurd shape, no strides": ({"shape": (2**40, 2**40), "strides": (0, 0)}, "reaches outside its storage"),
    "absurd stride of one row": ({"shape": (1, 6), "strides": (2**62, 1)}, "no tensor has"),
    "fractions": ({"offset": 0.5}, "no tensor has"),
    "too few strides": ({"strides": (1,)}, "no tensor has"),
    "too many axes": ({"shape": (1,) * 70, "strides": (1,) * 70}, "no tensor has"),
    "a longer storage": ({"count": 7}, "the storage '0' of a has 24 bytes, not what it says"),
    "a shorter storage": ({"count": 5, "shape": (5,), "strides": (1,)}, "24 bytes, not what it says"),
    "a wider type": ({"kind": "DoubleStorage"}, "24 bytes, not what it says"),
    "no storage": ({"key": "1"}, "the storage '1' of a has no bytes"),
    "a file as storage": ({"key": "../data.pkl"}, "the storage '../data.pkl' of a has no bytes"),
    "a path as storage": ({"key": "/etc/passwd"}, "the storage '/etc/passwd' of a has no bytes"),
    "a number as storage": ({"key": 0}, "has no bytes"),
    "no numbers": ({"shape": "ab"}, "no tensor has"),
}


@pytest.mark.parametrize("case", VIEWS)
def test_a_tensor_that_is_not_within_its_storage(case, tmp_path):
    changed, said = VIEWS[case]
    assert said in refusal(write(tmp_path / "model.pth", program({"a": view(**changed)}), DATA))


def declared(path: Path, member: str, **sizes: int) -> Path:
    """Changes what a zip archive's table of contents says of a member, by fields of `zipfile.ZipInfo`."""
    data, name = bytearray(path.read_bytes()), member.encode()
    entry = data.index(b"PK\x01\x02")
    while data[entry + 46 : entry + 46 + len(name)] != name:
        entry = data.index(b"PK\x01\x02", entry + 1)
    for place, field in ((20, "compress_size"), (24, "file_size")):
        if field in sizes:
            data[entry + place : entry + place + 4] = struct.pack("<I", sizes[field])
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("sizes", "said"),
    [
        ({"file_size": 0xF0000000}, "'archive/data/0' declares 4,026,531,840 bytes"),
        ({"file_size": 0xF0000000, "compress_size": 0xF0000000}, "its members declare more bytes than the file has"),
        ({"compress_size": 0x7FFFFFFF}, "its members declare more bytes than the file has"),
    ],
)
def test_a_zip_with_an_absurd_declared_size(sizes, said, tmp_path):
    path = write(tmp_path / "model.pth", program({"a": view()}), DATA)
    assert said in refusal(declared(path, "archive/data/0", **sizes))


def test_a_zip_that_swells(tmp_path):
    """A member that is a thousand times as long as its bytes is held against its array's shape before it is read."""
    archive = zipfile.ZipFile(tmp_path / "model.npz", "w", zipfile.ZIP_DEFLATED)
    with archive, archive.open("a.npy", "w") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": (2**40,)})
        file.write(bytes(10**7))
    assert "'a' is not as long as its shape (1099511627776,) says" in refusal(tmp_path / "model.npz")


def test_a_zip_with_two_members_of_one_name(tmp_path):
    with pytest.warns(UserWarning, match="Duplicate name"), zipfile.ZipFile(tmp_path / "model.pth", "w") as archive:
        for _ in range(2):
            archive.writestr("archive/data.pkl", program({}))
    assert "two members of one name" in refusal(tmp_path / "model.pth")


def test_a_zip_with_two_pickles(tmp_path):
    path = write(tmp_path / "model.pth", program({"a": view()}), DATA)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("other/data.pkl", program({}))
    assert "holds archive/data.pkl and other/data.pkl: which of them is the checkpoint?" in refusal(path)


LONG = {  # pickles of few bytes once compressed that would take minutes and gigabytes
    "empty lists": b"]" * 1_000_000,
    "tuples in a list": b"](" + b")" * 1_000_000 + b"e",
    "notes": b"cargparse\nNamespace\nq\x00" + b"h\x00)R" * 400_000,
}


@pytest.mark.parametrize("case", LONG)
def test_a_pickle_without_end_in_a_small_file(case, tmp_path, monkeypatch):
    assert pickled.STEPS == 10**6  # some seconds
    monkeypatch.setattr(pickled, "STEPS", 10**4)
    with zipfile.ZipFile(tmp_path / "model.pth", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02" + LONG[case] + b".")
    assert (tmp_path / "model.pth").stat().st_size < 30_000
    assert "takes more than 10,000 steps" in refusal(tmp_path / "model.pth")


def header(descr: str, shape: str) -> bytes:
    """The header of a `.npy`, whatever it says."""
    text = f"{{'descr': {descr!r}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    text += b" " * (-(len(text) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


ARRAYS = {  # name of the member: descr, shape, bytes; what is said
    "negative sides": ({"a.npy": ("<f4", "(-2, -3)", 24)}, "'a' has the shape (-2, -3), as no array has"),
    "absurd sides": ({"a.npy": ("<f4", f"({2**62}, 0)", 0)}, "as no array has"),
    "too many axes": ({"a.npy": ("<f4", f"({'1, ' * 70})", 4)}, "as no array has"),
    "no bytes a number": ({"a.npy": ("<U0", "(3,)", 0)}, "holds <U0 in 'a'; only arrays of numbers"),
    "words": ({"a.npy": ("<U3", "(1,)", 12)}, "holds <U3 in 'a'"),
    "dates": ({"a.npy": ("<M8[s]", "(1,)", 8)}, "holds datetime64[s] in 'a'"),
    "bytes without meaning": ({"a.npy": ("|V16", "(1,)", 16)}, "holds |V16 in 'a'"),
    "one name twice": ({"a.npy": ("<f4", "(1,)", 4), "a": ("<f4", "(1,)", 4)}, "two arrays of the name 'a'"),
}


@pytest.mark.parametrize("case", ARRAYS)
def test_an_archive_of_odd_arrays(case, tmp_path):
    members, said = ARRAYS[case]
    with zipfile.ZipFile(tmp_path / "model.npz", "w") as archive:
        for name, (descr, shape, size) in members.items():
            archive.writestr(name, header(descr, shape) + bytes(size))
    assert said in refusal(tmp_path / "model.npz")


def test_a_tensor_that_does_not_fit_is_not_read():
    """A sparse file may declare a tensor larger than memory."""

    def read(name):
        raise MemoryError

    with pytest.raises(InputError, match=r"a is \(1099511627776,\) instead of \(2,\)"):
        convert(Tensors((), {"a": (2**40,)}, read), layouts.same("a", "b"), {"b": (2,)}, {})


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes of this kind")
@pytest.mark.parametrize("name", ["model.safetensors", "model.pth", "config.json", "model.safetensors.index.json"])
def test_pipes_and_devices_are_never_read(name, tmp_path):
    os.mkfifo(path := tmp_path / name)
    read = read_config if name == "config.json" else lambda path, *rest: open_tensors(path)
    for place in (path, Path("/dev/zero")):
        with pytest.raises(InputError, match="is a pipe, socket or device, not a file"):
            read(place, tmp_path / "w", {})


def test_a_config_of_a_hundred_million_bytes_is_not_read(tmp_path):
    with open(tmp_path / "config.json", "wb") as file:
        file.truncate(10**8)
    with pytest.raises(InputError, match=r"config\.json has 100,000,000 bytes, more than"):
        read_config(tmp_path / "config.json", tmp_path / "w", {})


def test_arrays_of_python_objects(trap):
    np.savez(trap.with_name("model.npz"), a=np.array([Calls(os.system, f"touch {trap}")]))
    assert "holds Python objects in 'a'" in refusal(trap.with_name("model.npz"))
    assert not trap.exists()


def test_an_archive_of_other_things(tmp_path):
    with zipfile.ZipFile(tmp_path / "model.npz", "w") as archive:
        archive.writestr("../../evil.py", "print()")
    assert "holds '../../evil.py', which is no array" in refusal(tmp_path / "model.npz")
    assert [path.name for path in tmp_path.iterdir()] == ["model.npz"]


HEADERS = {
    "beyond the file": {"a": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}},
    "before the file": {"a": {"dtype": "F32", "shape": [2], "data_offsets": [-8, 0]}},
    "backwards": {"a": {"dtype": "F32", "shape": [2], "data_offsets": [8, 0]}},
    "other size": {"a": {"dtype": "F32", "shape": [3], "data_offsets": [0, 8]}},
    "overlapping": {name: {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]} for name in "ab"},
    "absurd": {"a": {"dtype": "F32", "shape": [2**62, 2**62], "data_offsets": [0, 8]}},
}


@pytest.mark.parametrize("case", HEADERS)
def test_a_header_that_points_outside_the_file(case, tmp_path):
    header = json.dumps(HEADERS[case]).encode()
    (tmp_path / "a.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + bytes(8))
    assert "damaged, truncated or not a safetensors file" in refusal(tmp_path / "a.safetensors")


@pytest.mark.parametrize(
    "name", ["../a.safetensors", "/etc/passwd", "..", ".", "", "sub/a.safetensors", "..\\a.safetensors", "a\0b"]
)
def test_an_index_that_names_files_elsewhere(name, tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    save_file({"a": np.ones(2, np.float32)}, tmp_path / "a.safetensors")
    path = folder / "model.safetensors.index.json"
    path.write_text(json.dumps({"weight_map": {"a": name}}))
    assert f"names {name!r}, which is no file beside it" in refusal(path)


INDEXES = {
    "no map": ({"metadata": {}}, 'has no "weight_map"'),
    "an empty map": ({"weight_map": {}}, 'has no "weight_map"'),
    "a list": ([1], "does not hold what it should"),
    "lists for names": ({"weight_map": {"a": ["part.safetensors"]}}, 'has no "weight_map"'),
    "itself": ({"weight_map": {"a": "model.safetensors.index.json"}}, "which is no file beside it"),
    "a tensor that is not there": (
        {"weight_map": {"a": "part.safetensors", "bb": "part.safetensors"}},
        "says that bb is in part.safetensors, which has none",
    ),
    "a tensor that is not listed": ({"weight_map": {"a": "part.safetensors"}}, "does not say that b is in"),
}


@pytest.mark.parametrize("case", INDEXES)
def test_an_index_that_does_not_fit(case, tmp_path):
    index, said = INDEXES[case]
    save_file({name: np.ones(2, np.float32) for name in "ab"}, tmp_path / "part.safetensors")
    path = tmp_path / "model.safetensors.index.json"
    path.write_text(json.dumps(index))
    assert said in refusal(path)


def test_an_index_whose_file_is_missing(tmp_path):
    path = tmp_path / "model.safetensors.index.json"
    path.write_text(json.dumps({"weight_map": {"a": "part.safetensors"}}))
    with pytest.raises(InputError, match=r"cannot read .*part\.safetensors: No such file"):
        open_tensors(path)

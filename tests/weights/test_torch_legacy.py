"""Files of torch before 1.6: the tensors that torch wrote, and each kind of harm refused in one line."""

import os
import pickle

import numpy as np
import pytest

from tests.support.torch_files import legacy, program, value, view
from tests.weights.test_security import GLOBALS, VIEWS, Calls, refusal, trap
from vitjax.weights.find.checkpoint import open_tensors

__all__ = ["trap"]  # a fixture
DATA = {"0": (6, np.arange(6, dtype=np.float32).tobytes())}
OLD = {"part": (None,)}


def test_what_torch_wrote(tmp_path):
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    square, path = torch.randn(4, 3), tmp_path / "old.pth"
    state = {
        "module.whole": torch.nn.Parameter(square),
        "module.turned": square.t()[1:],  # of the same storage
        "module.half": torch.randn(5).half(),
        "module.brain": torch.randn(2, 2).bfloat16(),
        "module.none": torch.zeros(0, 2),
        "module.scalar": torch.tensor(1.5, dtype=torch.float64),
    }
    for wrapped in (state, {"state_dict": state, "step": 7, "optimizer": {"state": {0: torch.ones(3)}}}):
        torch.save(wrapped, path, _use_new_zipfile_serialization=False)
        found = open_tensors(path)
        assert found.shapes == {name.removeprefix("module."): tuple(x.shape) for name, x in state.items()}
        for name, tensor in found.items():
            expected = state[f"module.{name}"].detach()
            assert str(expected.dtype) == f"torch.{tensor.dtype}"
            np.testing.assert_array_equal(tensor.astype(np.float64), expected.double().numpy())


def test_python_2_s_words_and_first_tensors(tmp_path):
    """An OrderedDict of pairs given at once, words in bytes, and torch 0.3's way to make a tensor."""
    old = view(**OLD).replace(b"_v2\n", b"\n").replace(b"\x89ccollections\nOrderedDict\n)RtR", b"tR")
    code = b"\x80\x02ccollections\nOrderedDict\n(](](U\x06weight" + old + b"eetR."
    (found,) = open_tensors(legacy(tmp_path / "old.pth", code, DATA)).items()
    assert found[0] == "weight"
    np.testing.assert_array_equal(found[1], np.arange(6).reshape(2, 3))


@pytest.mark.parametrize("place", range(5))
def test_a_call_of_the_shell_in_any_of_its_pickles(place, trap):
    evil = pickle.dumps(Calls(os.system, f"touch {trap}"), 2)
    path = legacy(trap.with_name("old.pth"), program({"a": view(**OLD)}), DATA)
    parts = path.read_bytes().split(b".\x80\x02")
    whole = [part if i == 0 else b"\x80\x02" + part for i, part in enumerate(parts)]
    whole[place] = evil.removesuffix(b".") + (whole[place].partition(b".")[2] if place == 4 else b"")
    path.write_bytes(b".".join(whole))
    assert ("posix.system" in refusal(path)) == (place > 0)  # without the magic number it is not even tried
    assert not trap.exists()


@pytest.mark.parametrize("name", GLOBALS)
def test_an_unknown_global(name, tmp_path):
    code = program({"a": view(**OLD), "b": GLOBALS[name]})
    assert f"it names {name}, and only tensors" in refusal(legacy(tmp_path / "old.pth", code, DATA))


@pytest.mark.parametrize("case", VIEWS)
def test_a_tensor_that_is_not_within_its_storage(case, tmp_path):
    line = refusal(legacy(tmp_path / "old.pth", program({"a": view(**VIEWS[case][0], **OLD)}), DATA))
    assert VIEWS[case][1] in line or "that no tensor is of" in line or "declares 6 numbers" in line


NUMBERS = DATA["0"][1]
WRONG = {  # arguments of `legacy`, and of the one view in it: what is said
    "more numbers than bytes": ({"storages": {"0": (7, NUMBERS)}}, {}, "'0' declares 7 numbers, more than the file"),
    "absurdly many": ({"storages": {"0": (2**62, NUMBERS)}}, {}, "declares 4,611,686,018,427,387,904 numbers"),
    "fewer than none": ({"storages": {"0": (-1, NUMBERS)}}, {}, "'0' declares -1 numbers"),
    "fewer than said": ({"storages": {"0": (5, NUMBERS[:-4])}}, {}, "has 20 bytes, not what it says"),
    "bytes after the last": ({"storages": {"0": (6, NUMBERS + b"abc")}}, {}, "3 bytes follow its last storage"),
    "no count": ({"storages": {}, "keys": ["0"]}, {}, "damaged"),
    "no keys": ({"keys": 3}, {}, "its storages have no names"),
    "one key twice": ({"keys": ["0", "0"]}, {}, "or two have one"),
    "a number for a key": ({"keys": [0]}, {}, "its storages have no names"),
    "a storage of nothing": ({"storages": DATA | {"1": (0, b"")}}, {}, "a storage '1' that no tensor is of"),
    "part of a storage": ({}, {"part": (("1", 0, 3),)}, "storages that are parts of others"),
    "another version": ({"version": 1000}, {}, "no checkpoint of a torch that is known"),
    "another machine": ({"little_endian": False}, {}, "its numbers are big-endian"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_file_that_does_not_fit(case, tmp_path):
    given, viewed, said = WRONG[case]
    code = program({"a": view(**OLD | viewed)})
    assert said in refusal(legacy(tmp_path / "old.pth", code, **{"storages": DATA} | given))


def test_pickles_longer_than_those_of_any_checkpoint(tmp_path, monkeypatch):
    path = legacy(tmp_path / "old.pth", program({"a": view(**OLD)}), DATA)
    monkeypatch.setattr("vitjax.weights.formats.torch_legacy.LARGEST", 100)
    assert "damaged" in refusal(path)


def test_words_alone_are_no_weights(tmp_path):
    assert "holds no tensors" in refusal(legacy(tmp_path / "old.pth", program({"a": value("b")}), {}))

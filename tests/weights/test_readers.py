"""Weights of every kind of file: the same tensors by name, read when they are asked for, in the file's own dtype."""

import functools
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import save_file

import vitjax
from tests.support import small, torch_files
from tests.support.said import said
from vitjax import InputError
from vitjax.weights import parameters
from vitjax.weights.find.checkpoint import open_tensors
from vitjax.weights.formats import tensors
from vitjax.weights.save import export_timm, to_timm

ROOT = Path(__file__).resolve().parents[2]
draw = np.random.default_rng(0).standard_normal
TENSORS = {
    "double": draw((2, 3)),
    "single": draw(4).astype(np.float32),
    "half": draw((3, 1, 2)).astype(np.float16),
    "brain": draw(5).astype(ml_dtypes.bfloat16),
    "scalar": np.array(1.5, np.float32),
    "none": np.zeros((0, 2), np.float32),
    "position_ids": np.arange(3),
}
INTEGER = "position_ids"


@functools.cache
def model():
    """A random model, without compiling its initialisation."""
    return parameters.build(
        small.CONFIG, {name: draw(shape) for name, shape in parameters.shapes(small.CONFIG).items()}
    )


def write(kind: str, folder: Path, named: dict[str, np.ndarray]) -> Path:
    """Writes tensors in a form and returns the path to open."""
    path = folder / f"model.{kind}"
    if kind == "safetensors":
        save_file(named, path, metadata={"architecture": "vit"})
    elif kind == "npz":
        np.savez(path, **named)
    elif kind == "pth":
        torch_files.save(path, named)
    else:
        ends = {"safetensors.index.json": "safetensors", "bin.index.json": "bin"}[kind]
        halves = {f"part-{i}.{ends}": dict(list(named.items())[i::2]) for i in range(2)}
        for file, half in halves.items():
            save_file(half, folder / file) if ends == "safetensors" else torch_files.save(folder / file, half)
        path.write_text(json.dumps({"weight_map": {name: file for file, half in halves.items() for name in half}}))
    return path


KINDS = ["safetensors", "npz", "pth", "safetensors.index.json", "bin.index.json"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_gives_the_same_tensors(kind, tmp_path):
    found = open_tensors(write(kind, tmp_path, TENSORS))
    assert found.shapes == {name: tensor.shape for name, tensor in TENSORS.items()} == tensors.shapes_of(found)
    assert sorted(found) == sorted(TENSORS) and len(found) == len(TENSORS)
    for name in found.keys() - {INTEGER}:
        assert found[name].dtype == TENSORS[name].dtype
        np.testing.assert_array_equal(found[name], TENSORS[name], err_msg=name)
    with pytest.raises(InputError, match="position_ids is int64, not float64, float32, float16 or bfloat16"):
        _ = found[INTEGER]
    with pytest.raises(KeyError):
        _ = found["nothing"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_loaded_as_a_model(kind, tmp_path):
    export_timm(model(), tmp_path, dtype="float32")
    (tmp_path / "model.safetensors").unlink()
    path = write(kind, tmp_path, to_timm(parameters.values(model()), small.CONFIG, "float32"))
    if kind == "bin.index.json":
        path = path.rename(tmp_path / "pytorch_model.bin.index.json")
    by_file = vitjax.load(path, cache=False)
    by_folder = vitjax.load(tmp_path, cache=False) if kind != "npz" else by_file
    for name, array in parameters.values(model()).items():
        np.testing.assert_array_equal(parameters.values(by_file)[name], array, err_msg=name)
    assert by_file.card.sha256 == by_folder.card.sha256


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("kind", ["safetensors", "npz", "pth"])
def test_half_precision_becomes_single_without_loss(dtype, kind, tmp_path):
    export_timm(model(), tmp_path, dtype="float32")
    (tmp_path / "model.safetensors").unlink()
    halves = to_timm(parameters.values(model()), small.CONFIG, dtype)
    loaded = parameters.values(vitjax.load(write(kind, tmp_path, halves), cache=False))
    expected = to_timm(loaded, small.CONFIG, "float32")
    for name, half in halves.items():
        np.testing.assert_array_equal(expected[name], half.astype(np.float32), err_msg=name)


def test_the_digest_of_several_files_changes_with_each(tmp_path):
    export_timm(model(), tmp_path, dtype="float32")
    weights = open_tensors(tmp_path / "model.safetensors")
    path = write("safetensors.index.json", tmp_path, dict(weights))
    digests = {vitjax.load(path, cache=False).card.sha256}
    for part in tmp_path.glob("part-*"):
        save_file({name: 2 * tensor for name, tensor in open_tensors(part).items()}, part)
        digests.add(vitjax.load(path, cache=False).card.sha256)
    assert len(digests) == 3


def torch_model(torch):
    class Block(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.fc, self.norm = torch.nn.Linear(3, 4), torch.nn.LayerNorm(4)
            self.sizes = [1, 2]
            self.register_buffer("count", torch.tensor(7))

        def forward(self, x):
            return self.norm(self.fc(x))

    return Block()


def assert_read(path: Path, state: dict) -> None:
    found = open_tensors(path)
    assert found.shapes == {name: tuple(tensor.shape) for name, tensor in state.items()}
    for name, tensor in state.items():
        if tensor.is_floating_point():
            np.testing.assert_array_equal(found[name].astype(np.float64), tensor.double().numpy(), err_msg=name)


def test_what_torch_writes(tmp_path):
    torch = pytest.importorskip("torch")
    state = torch_model(torch).state_dict()
    large = torch.randn(6, 8)
    state |= {
        "turned": large.T,
        "part": large[2:5, 1:7:2],
        "half": large.half(),
        "brain": large.bfloat16(),
        "parameter": torch.nn.Parameter(large[0]),
        "none": torch.zeros(0, 3),
    }
    for wrapped in (state, {"model": state, "epoch": 3}, {"state_dict": {f"module.{k}": v for k, v in state.items()}}):
        for protocol in (2, 4, 5):
            torch.save(wrapped, tmp_path / "model.pth", pickle_protocol=protocol)
            assert_read(tmp_path / "model.pth", {name: tensor.detach() for name, tensor in state.items()})


def test_of_several_sets_of_weights_the_average_is_taken(tmp_path):
    torch = pytest.importorskip("torch")
    known = "patch_embed.proj.weight"
    sets = {name: {known: torch.full((2,), i)} for i, name in enumerate(("student", "model", "teacher"), 1)}
    torch.save({**sets, "optimizer": {"a": torch.ones(1)}, "lr": [0.1], "step": {0: 1}}, tmp_path / "model.pth")
    with said("taking teacher; part= takes another: model, student"):
        assert_read(tmp_path / "model.pth", {known: torch.full((2,), 3)})


def test_torchscript_as_openai_publishes_clip(tmp_path):
    torch = pytest.importorskip("torch")
    tower = torch_model(torch).half()
    with pytest.warns(DeprecationWarning):
        torch.jit.save(torch.jit.script(tower), tmp_path / "clip.pt")
    assert_read(tmp_path / "clip.pt", tower.state_dict())


def test_numpy_s_own_forms(tmp_path):
    forms = {
        "Transformer/encoderblock_0/kernel": np.asfortranarray(draw((3, 4)).astype(np.float32)),
        "big": draw(3).astype(">f4"),
        "brain": draw(3).astype(ml_dtypes.bfloat16),
    }
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "model.npz", **forms)
        found = open_tensors(tmp_path / "model.npz")
        for name, array in forms.items():
            assert found[name].dtype == array.dtype.newbyteorder("=")
            np.testing.assert_array_equal(found[name], array)


def test_a_file_is_what_it_holds_not_what_it_is_called(tmp_path):
    path = torch_files.save(tmp_path / "model.safetensors", {"a": np.ones(2, np.float32)})
    assert open_tensors(path).shapes == {"a": (2,)}


def test_nothing_is_read_before_it_is_asked_for(tmp_path):
    path = write("pth", tmp_path, TENSORS)
    with zipfile.ZipFile(path) as archive:
        place = archive.getinfo("archive/data/0").header_offset + 30 + len("archive/data/0")
    data = bytearray(path.read_bytes())
    data[place + 5] ^= 1
    path.write_bytes(data)
    found = open_tensors(path)
    np.testing.assert_array_equal(found["single"], TENSORS["single"])
    with pytest.raises(InputError, match=r"damaged at 'archive/data/0' \(Bad CRC-32"):
        _ = found["double"]


def test_reading_needs_no_torch(tmp_path):
    path = write("pth", tmp_path, TENSORS)
    code = f"""
        import sys
        from pathlib import Path
        from vitjax.weights.formats.open import open_file
        open_file(Path({str(path)!r}))["half"]
        print({{"torch", "jax"}} & set(sys.modules))
    """
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", "\n".join(line.strip() for line in code.splitlines())]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"

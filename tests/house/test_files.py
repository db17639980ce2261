"""What a name may mean, and what is said of files that are not what they should be: one line, no traceback."""

import errno
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

from vitjax.errors import InputError
from vitjax.weights.find.checkpoint import open_tensors
from vitjax.weights.find.source import Source, parse
from vitjax.weights.formats.open import read_config

GOOD = save({"a": np.ones((2, 3), np.float32)}, metadata={"architecture": "vit_tiny_patch16_224"})
ROOT = Path(__file__).resolve().parents[2]


class Bomb:
    """Unpickling this makes a file: nothing of the kind may ever happen."""

    def __reduce__(self):
        return Path.touch, (Path("exploded"),)


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def checkpoint(folder: Path) -> Path:
    """A folder with the two files of a model."""
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(GOOD)
    (folder / "config.json").write_text("{}")
    return folder


def complaint(call, *args) -> str:
    """The one line of the error that a call ends with."""
    with pytest.raises(InputError) as caught:
        call(*args)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_names_that_mean_something(folder):
    checkpoint(folder / "mine")
    files = {"weights": Path("mine/model.safetensors"), "config": Path("mine/config.json")}
    assert parse("mine") == parse(" mine ") == Source("mine", **files)
    assert parse(Path("mine")).weights == files["weights"]
    assert parse("mine/model.safetensors") == Source("mine/model.safetensors", **files)
    assert parse("demo").name == "demo"
    assert parse("timm/a.b_c") == parse("hf-hub:timm/a.b_c") == Source("timm/a.b_c", repo="timm/a.b_c")
    assert parse("timm/a@v1") == parse("timm/a", "v1") == parse("timm/a@v1", "v1")
    assert parse("timm/a@v1").revision == "v1"
    assert parse("openai/clip-vit-base-patch32").repo == "openai/clip-vit-base-patch32"
    checkpoint(folder / "openai")
    assert parse("openai/").weights == Path("openai/model.safetensors")


def test_a_file_alone_has_no_config(folder):
    (folder / "alone.safetensors").write_bytes(GOOD)
    assert parse("alone.safetensors") == Source("alone.safetensors", weights=Path("alone.safetensors"))


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("", "name is empty"),
        ("demoo", "did you mean demo?"),
        ("resnet9000", "unknown model 'resnet9000'; give \"demo\", a hub id OWNER/NAME"),
        ("vit_base_patch16_224", "did you mean timm/vit_base_patch16_224"),
        ("https://huggingface.co/timm/vit", "is an address"),
        ("nowhere/model.safetensors", "nowhere/model.safetensors does not exist: there is no folder nowhere"),
        ("modle.safetensors", "does not exist (did you mean model.safetensors?)"),
        ("./nowhere", "./nowhere does not exist"),
        ("~nobody-of-this-name/x", "does not exist"),
        ("x" * 5000, "unknown model"),
        ("a\0b", "unknown model"),
        ("model.h5", ".h5 files are not supported; convert it to safetensors"),
        ("other.pth", "other.pth does not exist"),
        ("empty", "the folder empty has no model.safetensors or other file of weights"),
        ("keras", "the folder keras has no model.safetensors or other file of weights (it has tf_model.h5)"),
        ("two", "the folder two has several files of weights, give one of them: a.pth, b.npz"),
    ],
)
def test_names_that_mean_nothing(folder, typed, said):
    for name in ("model.safetensors", "model.h5", "empty/x", "keras/tf_model.h5", "two/a.pth", "two/b.npz"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).touch()
    assert said in complaint(parse, typed)


@pytest.mark.parametrize(
    ("files", "taken"),
    [
        (["vit.npz", "README.md"], "vit.npz"),
        (["a.pth", "pytorch_model.bin", "config.json"], "pytorch_model.bin"),
        (["model.safetensors.index.json", "part-1.safetensors", "pytorch_model.bin"], "model.safetensors.index.json"),
        (["model.safetensors", "model.safetensors.index.json", "pytorch_model.bin"], "model.safetensors"),
    ],
)
def test_the_weights_of_a_folder(folder, files, taken):
    for name in files:
        (folder / name).touch()
    config = folder / "config.json" if "config.json" in files else None
    assert parse(folder) == Source(str(folder), folder / taken, config)


def test_revisions_belong_to_the_hub(folder):
    assert "only hub models have revisions" in complaint(parse, "demo", "main")
    assert "two revisions: @v1" in complaint(parse, "timm/a@v1", "v2")


def test_a_name_is_checked_without_heavy_imports():
    heavy = "{'jax', 'flax', 'numpy', 'safetensors', 'huggingface_hub', 'orbax'}"
    source = f"import sys, vitjax.weights.find.source as s; s.parse('timm/x'); print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", source], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


BAD_WEIGHTS = {
    "empty": (b"", "is empty"),
    "few bytes": (GOOD[:5], "damaged, truncated"),
    "header cut": (GOOD[:20], "damaged, truncated"),
    "data cut": (GOOD[:-4], "damaged, truncated"),
    "too long": (GOOD + b"xx", "damaged, truncated"),
    "absurd header": ((2**60).to_bytes(8, "little") + b"{}", "damaged, truncated"),
    "pickle": (pickle.dumps(Bomb()), "is a Python pickle, not weights that torch saved"),
    "web page": (b"<!DOCTYPE html><html><body>Sign in</body></html>", "is a web page"),
    "pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n", "git lfs pull"),
    "json": (b'{"architecture": "vit"}', "is JSON"),
    "no tensors": (save({}), "holds no tensors"),
}


@pytest.mark.parametrize("case", BAD_WEIGHTS)
def test_bad_weights(folder, case):
    data, said = BAD_WEIGHTS[case]
    path = folder / "bad.safetensors"
    path.write_bytes(data)
    line = complaint(open_tensors, path)
    assert said in line and str(path) in line
    assert not (folder / "exploded").exists()


def test_paths_that_are_no_files(folder):
    assert "is a folder, not a file" in complaint(open_tensors, folder)
    assert "No such file" in complaint(open_tensors, folder / "nowhere")
    (folder / "file").touch()
    assert "Not a directory" in complaint(open_tensors, folder / "file" / "below")


def test_no_permission(folder, monkeypatch):
    def refuse(*args):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr("os.open", refuse)  # file modes mean nothing to root
    assert complaint(open_tensors, Path("secret")) == "cannot read secret: Permission denied"


BAD_CONFIGS = {
    "empty": (b"", "is empty"),
    "cut": (b'{"architecture": ', "is not valid JSON"),
    "list": (b"[1, 2]", "does not hold what it should: Expected `object`, got `array`"),
    "web page": (b"\n<html></html>", "is a web page"),
    "pointer": (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
    "not text": (b"{\xff\xfe}", "is not valid JSON"),
    "endless": (b'{"a":' * 100_000, "nested too deeply"),
}


@pytest.mark.parametrize("case", BAD_CONFIGS)
def test_bad_configs(folder, case):
    data, said = BAD_CONFIGS[case]
    path = folder / "config.json"
    path.write_bytes(data)
    line = complaint(read_config, path, folder / "w", {})
    assert said in line and str(path) in line


def test_a_config_is_read_or_made_of_the_metadata(folder):
    path = folder / "config.json"
    path.write_text(json.dumps({"architecture": "a"}))
    assert read_config(path, folder / "w", {"architecture": "b"}) == {"architecture": "a"}
    assert read_config(None, folder / "w", {"architecture": "b"}) == {"architecture": "b"}
    line = complaint(read_config, None, folder / "w.safetensors", {})
    assert "no config.json beside" in line and '{"architecture": "NAME"}' in line

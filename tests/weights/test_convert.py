"""`vitjax convert`: what is written is what was loaded, and a folder that is not what it says is refused."""

import json
from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest

import vitjax
from vitjax import InputError
from vitjax.cli import main
from vitjax.models.core.config import Rotary
from vitjax.weights import parameters
from vitjax.weights.publish.converted import export


def assert_equal(model, other) -> None:
    ours, theirs = parameters.values(model), parameters.values(other)
    assert model.config == other.config and ours.keys() == theirs.keys()
    assert all(np.array_equal(ours[name], theirs[name]) for name in ours)


@pytest.fixture
def folder(checkpoint, tmp_path):
    """A converted model."""
    assert main(["convert", "--model", str(checkpoint), "--out", str(tmp_path / "ported")]) == 0
    return tmp_path / "ported"


def test_what_is_written_is_what_was_loaded(checkpoint, folder, capsys):
    original, converted = vitjax.load(checkpoint), vitjax.load(folder)
    assert_equal(converted, original)
    assert converted.card == replace(original.card, source=checkpoint.name)
    readme = (folder / "README.md").read_text()
    assert original.card.sha256 in readme and "32 x 32 pixels" in readme and 'license: "unknown"' in readme
    assert str(checkpoint.parent) not in readme + (folder / "provenance.json").read_text()
    half = vitjax.load(folder, dtype="bfloat16")
    assert half.head.kernel[...].dtype == jnp.bfloat16
    assert main(["taps", "--model", str(folder)]) == 0


def test_another_image_size_is_chosen_when_converting(checkpoint, folder):
    line = r"was converted for \(32, 32\) pixels; convert it again for \(48, 48\)"
    with pytest.raises(InputError, match=line):
        vitjax.load(folder, image_size=48)
    command = ["convert", "--model", str(checkpoint), "--image-size", "48", "--dtype", "bfloat16", "--out", str(folder)]
    assert main(command) == 0
    assert_equal(vitjax.load(folder, dtype="bfloat16"), vitjax.load(checkpoint, image_size=48, dtype="bfloat16"))
    assert [path.name for path in folder.parent.iterdir()] == ["ported"]


def test_every_setting_comes_back(checkpoint, tmp_path):
    config = replace(
        vitjax.load(checkpoint).config, heads=4, rotary=Rotary(reference=(2, 2)), gated=True, layer_scale=True
    )
    draw = np.random.default_rng(0).standard_normal
    model = parameters.build(
        config, {name: draw(shape, np.float32) for name, shape in parameters.shapes(config).items()}
    )
    model.card = vitjax.load(checkpoint).card
    export(model, tmp_path / "ported", proof={"logits": {"float32": 1e-6}})
    assert_equal(vitjax.load(tmp_path / "ported"), model)
    assert json.loads((tmp_path / "ported" / "parity.json").read_text()) == {"logits": {"float32": 1e-6}}
    assert "`parity.json` has the errors" in (tmp_path / "ported" / "README.md").read_text()


HARMS = {
    "no provenance": (lambda folder: (folder / "provenance.json").write_text("{"), "is damaged"),
    "another version": (lambda folder: change(folder, converter=0), "by another version"),
    "arrays of other names": (lambda folder: rename(folder, "head.bias", "head.offset"), "by another version"),
    "no origin": (lambda folder: change(folder, origin=None), "is damaged"),
    "an unknown setting": (lambda folder: change(folder, config={"widht": 3}), "is damaged"),
    "another width": (lambda folder: change(folder, **{"config.mlp_width": 48}), "is damaged"),
    "a file less": (lambda folder: (folder / "arrays/head.bias/0").unlink(), "is incomplete"),
    "a file cut": (lambda folder: (folder / "arrays/head.kernel/0.0").write_bytes(b"short"), "is incomplete"),
}


def rename(folder, old, new) -> None:
    """Calls an array otherwise, as a version does that knew it by another name."""
    (folder / "arrays" / old).rename(folder / "arrays" / new)
    files = json.loads((folder / "provenance.json").read_text())["files"]
    change(folder, files={name.replace(f"{old}/", f"{new}/"): size for name, size in files.items()})


def change(folder, **values) -> None:
    """Changes what provenance.json says; a dot goes one level down."""
    stated = json.loads((folder / "provenance.json").read_text())
    for name, value in values.items():
        part, _, field = name.partition(".")
        (stated[part] if field else stated)[field or part] = value
    (folder / "provenance.json").write_text(json.dumps(stated))


@pytest.mark.parametrize("harm", HARMS)
def test_a_folder_that_is_not_what_it_says(folder, harm):
    do, said = HARMS[harm]
    do(folder)
    with pytest.raises(InputError, match=said) as caught:
        vitjax.load(folder)
    assert "\n" not in str(caught.value) and str(folder) in str(caught.value)


def test_what_is_there_is_not_replaced(checkpoint, tmp_path, capsys):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").touch()
    assert main(["convert", "--model", str(checkpoint), "--out", str(tmp_path / "mine")]) == 2
    assert "is there and holds no converted model" in capsys.readouterr().err
    (tmp_path / "file").touch()
    assert main(["convert", "--model", str(checkpoint), "--out", str(tmp_path / "file" / "out")]) == 2
    assert "cannot write " in capsys.readouterr().err

"""A family of checkpoints is one value in a table: another one needs no change elsewhere."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

import vitjax
from tests.support import small
from vitjax import InputError
from vitjax.models.core.config import Preprocess
from vitjax.weights import parameters
from vitjax.weights.families import registry
from vitjax.weights.families.family import Beside, Family, port
from vitjax.weights.rules.layouts import Rule, same
from vitjax.weights.rules.resize import Resampling, resized

ROOT = Path(__file__).resolve().parents[2]
CONFIG = replace(small.CONFIG, depth=2, preprocess=Preprocess())
SETTINGS = {"toy": {"classes": 10}, "rights": "mit"}


def rules(config, settings, shapes) -> list[Rule]:
    """A table of a library that keeps everything as it is here, blocks one by one."""
    wanted = parameters.shapes(config)
    return [
        rule
        for name in wanted
        for rule in same(name.replace("blocks.", "layer.{i}.", 1) if name.startswith("blocks.") else name, name)
    ]


TOY = Family(
    name="toy",
    match=lambda settings: "toy" in settings,
    config=lambda settings, shapes: replace(CONFIG, classes=settings["toy"]["classes"]),
    table=rules,
    marks={"patch.kernel": ()},
    beside=Beside("crop", {"new.json": "crop", "old.json": ""}),
    licence=lambda settings: settings["rights"],
    architecture=lambda settings: f"toy with {settings.get('crop')}",
)


@pytest.fixture(scope="module")
def tensors():
    """A checkpoint of that library."""
    draw, stacked = np.random.default_rng(0).standard_normal, {}
    for name, shape in parameters.shapes(CONFIG).items():
        array = draw(shape, np.float32)
        first, _, rest = name.partition(".")
        stacked |= {f"layer.{i}.{rest}": row for i, row in enumerate(array)} if first == "blocks" else {name: array}
    return stacked


def test_a_family_of_ones_own(tensors):
    config, arrays = port(TOY, tensors, SETTINGS)
    assert config == CONFIG and arrays.keys() == parameters.shapes(CONFIG).keys()
    np.testing.assert_array_equal(arrays["blocks.mlp.fc1.kernel"][1], tensors["layer.1.mlp.fc1.kernel"])
    with pytest.raises(InputError, match=r"missing tensors: layer.1.mlp.fc1.kernel"):
        port(TOY, {name: tensor for name, tensor in tensors.items() if name != "layer.1.mlp.fc1.kernel"}, SETTINGS)
    with pytest.raises(InputError, match=r"config.json has a value that is not what it should be"):
        port(TOY, tensors, {"toy": None})


def test_a_row_in_the_table_is_all_that_loading_needs(tensors, tmp_path, monkeypatch):
    monkeypatch.setattr(registry, "FAMILIES", (*registry.FAMILIES, TOY))
    save_file({f"module.{name}": tensor for name, tensor in tensors.items()}, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(SETTINGS))
    (tmp_path / "new.json").write_text("{}")
    (tmp_path / "old.json").write_text(json.dumps({"size": 3}))
    model = vitjax.load(tmp_path, cache=False)
    assert model.config == CONFIG and model.card.licence == "mit" and model.card.converter.startswith("toy-")
    assert model.card.architecture == "toy with {'size': 3}"  # the newer file has no such part
    np.testing.assert_array_equal(model.head.kernel[...], tensors["head.kernel"])


def test_settings_of_nobody_are_refused():
    with pytest.raises(InputError, match="neither an architecture of timm nor a model_type"):
        registry.family_of({"toy": {}})


def test_what_depends_on_the_grid_is_resampled_and_nothing_else():
    random = np.random.default_rng(0)
    arrays = {"a.position": random.random((6, 4)), "b.position": random.random((4, 4)), "other": random.random(3)}
    old = {"a.position": ("positions", (2, 3)), "b.position": ("positions", (2, 2))}
    found = resized(arrays, old, old | {"a.position": ("positions", (4, 3))}, Resampling())
    assert found["a.position"].shape == (12, 4)
    assert found["b.position"] is arrays["b.position"] and found["other"] is arrays["other"]
    with pytest.raises(KeyError, match="missing"):
        resized(arrays, {"missing": ("positions", (2, 2))}, {"missing": ("positions", (3, 3))}, Resampling())


def test_every_family_with_a_referee_has_a_script():
    named = {f"port_{family.name}.py" for family in registry.FAMILIES if family.referee}
    assert named == {path.name for path in (ROOT / "converters").glob("port_*.py")}


def test_scripts_are_run_as_modules():
    command = [sys.executable, "-m", "converters.port_timm", "--help"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "a hub id timm/NAME" in done.stdout

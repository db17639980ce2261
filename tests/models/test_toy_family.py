"""A family that vitjax does not know, all of it in this file: from its files to taps, pictures, photographs and a page.

Windows and shifted windows by turns, then half the resolution and global attention, which a class token joins late.
"""

import json
from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from safetensors.numpy import save_file

import vitjax
from tests.support import small
from tests.support.pictures import encode, photo, unpack
from vitjax.analysis.photographs.exemplars import exemplars
from vitjax.analysis.units.maps import activation_maps
from vitjax.cli import main
from vitjax.data.dataset import open_dataset
from vitjax.models import registry
from vitjax.models.core.config import BlockConfig, Patches, Preprocess
from vitjax.models.core.stack import Segment, Stack
from vitjax.models.core.stages import Hierarchical, Stage
from vitjax.models.core.tap_site import Places
from vitjax.models.parts import attention, block, norm, patches, positions, windows
from vitjax.weights import parameters
from vitjax.weights.families import registry as families
from vitjax.weights.families.family import Family
from vitjax.weights.rules import layouts as rule
from vitjax.weights.rules.places import Targets

FINE, COARSE, WINDOW = BlockConfig(16, 4, 2, 32), BlockConfig(32, 2, 2, 64), (3, 3)
TAP, LATE = "stages.0.blocks.3.mlp.hidden", "stages.1.blocks.1.mlp.hidden"


@dataclass(frozen=True)
class ToyConfig(Patches):
    image_size: tuple[int, int] = (32, 32)
    patch_size: ClassVar[tuple[int, int]] = (4, 4)
    prefix: ClassVar[int] = 0
    classes: int = 5
    preprocess: Preprocess = field(default_factory=Preprocess)


class Local(Stage):
    def __init__(self, grid, rngs):
        bias = lambda: positions.RelativeBias(WINDOW, FINE.heads)
        attn = lambda rngs, shift: windows.Windowed(attention.Attention(FINE, rngs, bias()), grid, WINDOW, shift)
        blocks = lambda shift: block.stacked(lambda rngs: block.Block(FINE, rngs, partial(attn, shift=shift)), 2, rngs)
        self.window, self.shifted, self.places = blocks((0, 0)), blocks((1, 1)), Places(grid)

    def stack(self):
        return Stack(self, Segment(("window", "shifted"), 2))


class Global(Stage):
    def __init__(self, grid, rngs):
        self.down = nnx.Conv(FINE.width, COARSE.width, (2, 2), strides=2, rngs=rngs)
        self.token = nnx.Param(jnp.zeros((1, COARSE.width)))
        self.early, self.late = (block.stacked(lambda rngs: block.Block(COARSE, rngs), 1, rngs) for _ in range(2))
        self.grid, self.places = grid, Places(tuple(side // 2 for side in grid))

    def stack(self):
        return Stack(self, Segment(("early",), 1), Segment(("late",), 1, enter="join"))

    def enter(self, x, taps):
        return self.down(x.reshape(len(x), *self.grid, -1)).reshape(len(x), -1, COARSE.width)

    def join(self, x, taps):
        token = jnp.broadcast_to(self.token[...], (len(x), 1, COARSE.width))
        return jnp.concatenate([token, x], axis=1), taps.at(Places(self.places.grid, 1, True))


class Toy(Hierarchical):
    neurons, layers, facts = "stages.*.blocks.*.mlp.hidden", "stages.*.blocks.*.resid_post", frozenset({"tokens"})

    def __init__(self, config, rngs):
        self.patch = patches.PatchEmbedding(config.patch_size, 3, FINE.width, rngs)
        self.stages = nnx.List([Local(config.grid, rngs), Global(config.grid, rngs)])
        self.norm, self.head = norm.norm(COARSE, rngs), nnx.Linear(COARSE.width, config.classes, rngs=rngs)
        self.config = config

    def embed(self, images):
        return self.patch.tokens(images)

    def begin(self, x, taps):
        return taps.at(self.stages[0].places)("embed", x, block.TOKENS)

    def end(self, x, taps):
        x = taps.at(Places(self.stages[1].places.grid, 1, True))("norm", self.norm(x), block.TOKENS)
        taps("logits", self.head(taps("pooled", x[:, 0], "channel")), "class")


def rules(config, settings, shapes):
    found = rule.linear("patch", "patch") + rule.norm("norm", "norm") + rule.linear("head", "head")
    found += rule.same("token", "stages.1.token") + rule.dense("down", "stages.1.down", rule.Layout(lambda ours: ours))
    for stage, attn in ((0, "stages.0.blocks.attn.attn"), (1, "stages.1.blocks.attn")):
        theirs, ours = f"layers.{stage}.{{i}}", f"stages.{stage}.blocks"
        found += [made for name in ("norm1", "norm2") for made in rule.norm(f"{theirs}.{name}", f"{ours}.{name}")]
        found += rule.linear(f"{theirs}.qkv", f"{attn}.qkv") + rule.merge(f"{theirs}.proj", f"{attn}.proj")
        found += [made for name in ("fc1", "fc2") for made in rule.linear(f"{theirs}.{name}", f"{ours}.mlp.{name}")]
        found += rule.same(f"{theirs}.table", f"{attn}.bias.distances") if stage == 0 else []
    return found


TOY = Family("toy", lambda settings: settings.get("toy"), lambda settings, shapes: ToyConfig(), rules)


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """The model, loaded from files of its own kind, and its tensors."""
    monkeypatch.setitem(registry.KINDS, ToyConfig, Toy)
    monkeypatch.setattr(families, "FAMILIES", (*families.FAMILIES, TOY))
    rng, folder, tensors = np.random.default_rng(0), tmp_path / "toy", {}
    wanted, stacks = parameters.shapes(ToyConfig()), parameters.stacks(ToyConfig())
    for one in rules(ToyConfig(), {}, {}):
        for name, place in Targets(wanted, stacks).written(one):
            shape = one.layout.shape(wanted[place.array][place.row is not None :])
            tensors[name] = rng.normal(0, 0.3, shape).astype(np.float32)
    folder.mkdir()
    save_file(tensors, folder / "model.safetensors")
    (folder / "config.json").write_text('{"toy": true}')
    return vitjax.load(folder), tensors


@pytest.mark.exhaustive
def test_a_family_of_one_s_own(toy, tmp_path, monkeypatch):
    (model, tensors), images = toy, np.random.default_rng(1).random((2, 32, 32, 3), np.float32)
    np.testing.assert_array_equal(model.stages[0].shifted.mlp.fc1.kernel[1], tensors["layers.0.3.fc1.weight"].T)
    sites = model.taps()
    assert sites["stages.0.blocks.1.attn.q"].axes == ("row", "column", "head", "channel")
    assert sites["stages.0.blocks.1.attn.scores"].axes == ("window", "head", "query", "key")
    assert sites["stages.1.blocks.0.resid_post"].prefix == 0 and sites[LATE].prefix == 1 and sites[LATE].grid == (4, 4)
    assert all(
        value.shape[1:] == sites[tap].shape for tap, value in small.read(model, images, reads=tuple(sites)).items()
    )
    pictures = vitjax.visualize(model, [f"{TAP}:3", f"{LATE}:7"], steps=3, views=2, stages=())
    shown = small.read(model, pictures.images / np.float32(255), reads=(TAP, LATE))
    means = [shown[TAP][0, :, 3].mean(), shown[LATE][1, 1:, 7].mean()]
    np.testing.assert_allclose(pictures.activation, means, rtol=1e-4)
    monkeypatch.chdir(tmp_path)
    unpack(tmp_path / "photos", {f"{i}.png": encode(photo(40, 48, i)) for i in range(4)})
    data = open_dataset("photos", model)
    best = exemplars(model, data, [TAP, LATE], k=2).taps[LATE]
    assert (np.sort(best.score, axis=1)[:, ::-1] == best.score).all() and best.patch.max() < 64
    maps = activation_maps(model, np.stack([photo(32, 32, 0)]), [f"{LATE}:7"])
    assert maps.shape == (1, 1, 8, 8) and len(np.unique(maps)) == 16
    units = ["--units", f"{TAP}:3-4", f"{LATE}:7", "--recipe", "ghiasi", "--set", "steps=2", "--set", "views=1"]
    assert main(["atlas", "--model", "toy", *units, "--data", "photos", "--k", "2", "--no-retry"]) == 0
    assert json.loads((tmp_path / "atlas/page/manifest.json").read_text())["units"] == {TAP: "3-4", LATE: "7"}

"""Small random Swin Transformers of timm through the converter: every activation, the output and its gradient."""

from dataclasses import replace
from functools import cache

import jax
import numpy as np
import pytest

from converters.referees.parity import GRADIENT, TOLERANCE, relative_errors, rounding
from converters.referees.swin import reference
from tests.support.noise import randomise
from vitjax.models.hierarchical.swin import SwinConfig
from vitjax.models.parts import attention, merging, windows
from vitjax.models.parts.positions import log_distances
from vitjax.weights.families.family import port
from vitjax.weights.families.timm.models import TIMM
from vitjax.weights.parameters import build

EXACT = 1e-9
SEEN = 1e-7  # what is further off than that is no rounding in float64
SMALL = {"img_size": [72, 56], "embed_dim": 24, "depths": [2, 2, 1], "num_heads": [2, 3, 4], "num_classes": 7}
V1, V2 = "swin_tiny_patch4_window7_224", "swinv2_tiny_window8_256"
TUNED = {"window_size": 7, "pretrained_window_sizes": [5, 5, 0]}
ODD = {"img_size": [36, 28], "depths": [3, 1], "num_heads": [2, 3]}
PREPROCESS = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
VARIANTS = {  # what it shows: architecture, arguments
    "filled up, shifted along one axis, merged from odd grids": (V1, {}),
    "windows that are no squares, another each stage, an odd depth": (V1, {**ODD, "window_size": [[2, 5], 4]}),
    "Swin V2: the same, tuned from other windows": (V2, TUNED),
    "Swin V2 without biases of q and v, without a head": (V2, {**ODD, "qkv_bias": False, "num_classes": 0}),
}


def make(timm, architecture, arguments=None, seed=0):
    """A model of timm with every parameter drawn at random, and the config.json it would have."""
    arguments = {**SMALL, **(arguments or {})}
    model = timm.create_model(architecture, **arguments).eval()
    randomise(model, r"norm\w*\.weight$", seed)
    generator = np.random.default_rng(seed)
    for module in model.modules():
        if hasattr(module, "logit_scale"):  # some of them beyond the cap
            scales = 2.3 + 1.5 * generator.standard_normal(module.logit_scale.shape)
            scales[-1] = 5
            module.logit_scale.data[:] = module.logit_scale.new_tensor(scales)
            module.cpb_mlp[2].weight.data *= 4
    return model, {"architecture": architecture, "model_args": arguments, "pretrained_cfg": PREPROCESS}


def ported(theirs, config_json, **changes):
    """Our model of the same weights, and of what else its config says."""
    config, arrays = port(TIMM, tensors(theirs), config_json)
    return build(replace(config, **changes), arrays)


def tensors(theirs):
    return {name: tensor.numpy() for name, tensor in theirs.state_dict().items()}


def errors(model, theirs):
    """Those of every tap, the output and the gradient, on images of noise in float64."""
    for module in theirs.double().modules():
        if hasattr(module, "relative_coords_table"):  # made in float32, of which the last bit is the processor's
            table = log_distances(module.window_size, module.pretrained_window_size[0])
            held = module.relative_coords_table
            assert abs(held.numpy().reshape(table.shape) - table).max() < 1e-6
            module.relative_coords_table = held.new_tensor(table).reshape(held.shape)
    images = np.random.default_rng(1).random((2, *model.config.image_size, 3))
    return relative_errors(model, reference(theirs, images, model.config.preprocess))


@pytest.fixture(scope="module")
def pair(timm):
    """A function: version to (timm's model, its config.json, images, its logits), in float64."""
    import torch

    @cache
    def made(version):
        theirs, config_json = make(timm, version, TUNED if version == V2 else {})
        model = ported(theirs, config_json)
        images = np.random.default_rng(1).random((1, *model.config.image_size, 3))
        mean, std = model.config.preprocess.mean, model.config.preprocess.std
        with torch.no_grad():
            logits = theirs.double()(torch.tensor((images - mean) / std).permute(0, 3, 1, 2)).numpy()
        return theirs.float(), config_json, images, logits

    return made


def off(pair, version, **changes):
    """How far the logits are from timm's, of a model of a changed config."""
    theirs, config_json, images, logits = pair(version)
    with jax.enable_x64(True):
        model = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), ported(theirs, config_json, **changes))
        found = jax.jit(lambda model, images: model(images)["logits"])(model, images)
    return float(abs(np.asarray(found) - logits).max() / abs(logits).max())


def worst(found):
    tap = max(found, key=found.get)
    return tap, found[tap]


@pytest.mark.representatives(
    "filled up, shifted along one axis, merged from odd grids", "Swin V2: the same, tuned from other windows"
)
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_activation(timm, variant):
    theirs, config_json = make(timm, *VARIANTS[variant])
    model = ported(theirs, config_json)
    found = errors(model, theirs)
    assert set(found) == {*model.taps(), GRADIENT} and worst(found)[1] <= EXACT, worst(found)


@pytest.mark.exhaustive
@pytest.mark.parametrize("variant", [next(iter(VARIANTS)), "Swin V2: the same, tuned from other windows"])
def test_every_activation_in_float32(timm, variant):
    theirs, config_json = make(timm, *VARIANTS[variant])
    model = ported(theirs, config_json)
    images = np.random.default_rng(1).random((2, *model.config.image_size, 3), np.float32)
    single = reference(theirs, images, model.config.preprocess)
    own = rounding(single, reference(theirs.double(), images.astype(np.float64), model.config.preprocess))
    found = relative_errors(model, single)
    assert all(error <= max(TOLERANCE, 2 * own[tap]) for tap, error in found.items()), worst(found)


@pytest.mark.exhaustive
def test_what_logits_are_without_a_trap(pair):
    assert off(pair, V1) <= EXACT and off(pair, V2) <= 1e-6  # the distances' last bits may be the processor's


def _apart_from_what_is_filled_up(self):
    regions = whole_regions(self)
    regions = np.zeros(self.places.shape, np.int8) if regions is None else regions
    return np.where(self.places < 0, 99, regions).astype(np.int8)


def _counted_without_what_is_filled_up(self):
    own, grid = whole_regions(self), replace(self, grid=tuple(map(int.__mul__, self.counts, self.size)))
    if own is None:
        return None
    moved = np.zeros(self.grid, np.int8)
    moved[self.grid[0] - self.shift[0] :] += 3 * (self.shift[0] > 0)
    moved[:, self.grid[1] - self.shift[1] :] += self.shift[1] > 0
    beyond = [(0, whole - side) for whole, side in zip(grid.grid, self.grid, strict=True)]
    return self._windows(np.pad(moved, beyond)[None])


def _filled_up_first(self, *arguments, **how):
    windowed(self, *arguments, **{**how, "pad_first": True})


windowed = windows.Windowed.__init__
whole_regions = windows.Windows.regions.fget
TRAPS = {  # what is stepped into: whose, what to patch, by what
    "grids are rolled first, then filled up": (V1, windows.Windowed, "__init__", _filled_up_first),
    "what is filled up is attended to": (V1, windows.Windows, "regions", property(_apart_from_what_is_filled_up)),
    "regions are counted on the filled grid": (
        V1, windows.Windows, "regions", property(_counted_without_what_is_filled_up)
    ),
    "one axis is shifted, the other is not": (
        V1, SwinConfig, "shift", lambda config, stage: tuple(side // 2 for side in config.window(stage))
    ),
    "cells are merged column by column": (
        V1, merging, "cells", lambda x, grid: row_by_row(cells(x, grid))
    ),
    "the scale of cosines has a cap": (V2, attention, "STEEPEST", 1e6),
    "lengths have a floor": (V2, attention, "SHORTEST", 1.0),
}  # fmt: skip
cells = merging.cells
row_by_row = lambda x: x.reshape(*x.shape[:-1], 2, 2, -1).swapaxes(-3, -2).reshape(x.shape)


@pytest.mark.representatives(
    "what is filled up is attended to", "cells are merged column by column", "the scale of cosines has a cap"
)
@pytest.mark.parametrize("trap", TRAPS)
def test_a_trap_is_seen(pair, trap, monkeypatch):
    version, owner, name, other = TRAPS[trap]
    monkeypatch.setattr(owner, name, other)
    assert off(pair, version) > SEEN


@pytest.mark.representatives(
    "swin_tiny_patch4_window7_224-{'apart': 0.0}", "swinv2_tiny_window8_256-{'trained_windows': (0, 0, 0)}"
)
@pytest.mark.parametrize(
    ("version", "changes"),
    [
        (V1, {"apart": 0.0}),
        (V1, {"norm_eps": 1e-6}),
        (V2, {"norm_eps": 1e-6}),
        (V2, {"trained_windows": (0, 0, 0)}),
    ],
    ids=str,
)
def test_a_wrong_config_is_seen(pair, version, changes):
    assert off(pair, version, **changes) > SEEN


def test_another_eps_of_all_norms(timm):
    """GreenMIM's Swin has 1e-6."""
    theirs, config_json = make(timm, V1, {"img_size": [36, 28], "depths": [2], "num_heads": [2]})
    for module in theirs.modules():
        if hasattr(module, "eps"):
            module.eps = 1e-6
    found = errors(ported(theirs, config_json, norm_eps=1e-6), theirs)
    assert worst(found)[1] <= EXACT, worst(found)

"""Small random LeViTs of timm through the converter: every activation, the output and its gradient."""

from dataclasses import replace
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from converters.referees.levit import reference
from converters.referees.parity import GRADIENT, TOLERANCE, relative_errors
from tests.support.noise import randomise
from vitjax.errors import InputError
from vitjax.models.hierarchical import levit
from vitjax.models.parts import positions
from vitjax.weights import parameters
from vitjax.weights.families.family import config_of, port
from vitjax.weights.families.timm.models import TIMM
from vitjax.weights.families.timm.tables.levit_architectures import LEVIT
from vitjax.weights.rules import batch_norms
from vitjax.weights.rules.convert import convert
from vitjax.weights.rules.resize import Resampling, resized

pytestmark = pytest.mark.exhaustive  # parity of ViTs, Swin, Twins and PVT is shown by the suite

EXACT = 1e-9
SMALL = {
    "img_size": [96, 64], "embed_dim": [32, 48, 64], "key_dim": 8, "depth": [2, 1, 1], "num_heads": [2, 3, 5],
    "num_classes": 7,
}  # fmt: skip
PREPROCESS = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
MILLIONS = {"128s": 7.78, "128": 9.21, "192": 10.95, "256": 18.89, "384": 39.13}  # of parameters, with their norms


def make(timm, architecture="levit_128s", arguments=None, seed=0):
    """A model of timm with every parameter and statistic drawn at random, and the config.json it would have."""
    import torch

    arguments = {**SMALL, **(arguments or {})}
    model = timm.create_model(architecture, **arguments).eval()
    randomise(model, r"bn\.weight$", seed)
    generator = torch.Generator().manual_seed(seed)
    for name, buffer in model.named_buffers():
        if name.endswith("running_mean"):
            buffer.normal_(generator=generator)
        elif name.endswith("running_var"):
            buffer.copy_(torch.randn(buffer.shape, generator=generator).exp())
    return model, {"architecture": architecture, "model_args": arguments, "pretrained_cfg": PREPROCESS}


def tensors_of(model):
    """What a file of the model holds, one of an early version of timm, which kept the tables of places too."""
    old = {name: buffer.numpy() for name, buffer in model.named_buffers() if name.endswith("bias_idxs")}
    return {name: tensor.numpy() for name, tensor in model.state_dict().items()} | old


def exact(tensors, config_json):
    """The model with arrays in float64: what is folded is not rounded."""
    config = config_of(TIMM, tensors, config_json)
    rules = TIMM.table(config, config_json, {})
    shapes, stacks = parameters.shapes(config), parameters.stacks(config)
    return parameters.build(config, convert(TIMM.tensors(tensors, config_json), rules, shapes, stacks, np.float64))


def errors(model, theirs, dtype):
    """Those of every tap, the output and the gradient, on images of noise."""
    images = np.random.default_rng(1).random((2, *model.config.image_size, 3)).astype(dtype)
    return relative_errors(model, reference(theirs, images, model.config.preprocess))


def check(found, model, tolerance):
    assert set(found) == {*model.taps(), GRADIENT}
    worst = max(found, key=found.get)
    assert found[worst] <= tolerance, (worst, found[worst])


def test_every_activation(timm):
    theirs, config_json = make(timm)
    model = parameters.build(*port(TIMM, tensors_of(theirs), config_json))
    check(errors(model, theirs, np.float32), model, TOLERANCE)


@pytest.mark.representatives("levit_128s-arguments0")
@pytest.mark.parametrize(
    ("architecture", "arguments"),
    [
        ("levit_128s", {}),
        ("levit_conv_256d", {"depth": [1, 1, 2]}),  # convolutions, one head, another activation function
        ("levit_384_s8", {"img_size": [24, 40], "depth": [1, 1, 1]}),  # three convolutions, 3 × 5 places
    ],
)
def test_every_activation_exactly(timm, architecture, arguments):
    theirs, config_json = make(timm, architecture, arguments)
    with jax.enable_x64(True):
        model = exact(tensors_of(theirs), config_json)
        check(errors(model, theirs.double(), np.float64), model, EXACT)


# What goes wrong if it is done otherwise; each changes the modules of the test or the tensors.


def folded_with_another_eps(patch, tensors):
    patch.setattr(batch_norms, "EPS", 1e-6)


def split_across_heads(patch, tensors):
    weight = tensors["stages.0.blocks.0.attn.qkv.linear.weight"]
    heads, size = SMALL["num_heads"][0], SMALL["key_dim"]
    order = np.arange(len(weight)).reshape(4, heads, size).swapaxes(0, 1).reshape(-1)
    tensors["stages.0.blocks.0.attn.qkv.linear.weight"] = weight[order]


def signed_offsets(patch, tensors):
    def rows(grid, step=1):
        row, column = np.indices(grid)
        of = [axis[::step, ::step].reshape(-1, 1) for axis in (row, column)]
        return ((of[0] - row.reshape(-1)) * grid[1] + of[1] - column.reshape(-1)) % row.size

    patch.setattr(positions, "unsigned_rows", rows)


def offsets_on_the_new_grid(patch, tensors):
    def rows(grid, step=1):
        row, column = np.indices(grid)
        of = [axis[::step, ::step].reshape(-1, 1) // step for axis in (row, column)]
        return abs(of[0] - row.reshape(-1)) * grid[1] + abs(of[1] - column.reshape(-1))

    patch.setattr(positions, "unsigned_rows", rows)


def no_activation_before_the_projection(patch, tensors):
    class Linear(levit.LevitAttention):
        def __init__(self, *args):
            super().__init__(*args)
            self.activation = "none"

    patch.setitem(levit.ACTIVATIONS, "none", lambda x: x)
    patch.setattr(levit, "LevitAttention", Linear)


def one_head_alone(patch, tensors):
    for part in ("weight", "bias"):
        tensors[f"head_dist.linear.{part}"] = tensors[f"head.linear.{part}"]


def nothing(patch, tensors):
    pass


TRAPS = (
    folded_with_another_eps, split_across_heads, signed_offsets, offsets_on_the_new_grid,
    no_activation_before_the_projection, one_head_alone,
)  # fmt: skip


@cache
def theirs_once(timm):
    import torch

    theirs, config_json = make(timm, arguments={"depth": [1, 1, 1]})
    images = np.random.default_rng(1).random((2, 96, 64, 3))
    mean, std = (np.array(PREPROCESS[name]) for name in ("mean", "std"))
    tensors = tensors_of(theirs)
    with torch.no_grad():
        logits = theirs.double()(torch.tensor((images - mean) / std).permute(0, 3, 1, 2)).numpy()
    return tensors, config_json, images, logits


def logits_error(timm, patch, trap):
    tensors, config_json, images, logits = theirs_once(timm)
    tensors = dict(tensors)
    trap(patch, tensors)
    with jax.enable_x64(True):
        model = exact(tensors, config_json)
        found = np.asarray(jax.jit(lambda model, images: model(images)["logits"])(model, jnp.asarray(images)))
    return np.abs(found - logits).max() / np.abs(logits).max()


@pytest.mark.representatives("folded_with_another_eps", "signed_offsets", "one_head_alone")
@pytest.mark.parametrize("trap", TRAPS)
def test_what_is_done_otherwise_shows(timm, monkeypatch, trap):
    assert logits_error(timm, monkeypatch, trap) > 1e-6


def test_what_is_done_right_does_not(timm, monkeypatch):
    assert logits_error(timm, monkeypatch, nothing) <= EXACT


def test_norms_are_folded_in_float64_and_rounded_once(timm):
    tensors, config_json, *_ = theirs_once(timm)
    with jax.enable_x64(True):
        unrounded = parameters.values(exact(tensors, config_json))
    _, arrays = port(TIMM, tensors, config_json)
    assert all(np.array_equal(array, unrounded[name].astype(np.float32)) for name, array in arrays.items())


def test_tables_of_offsets():
    assert positions.unsigned_rows((14, 14))[0, :3].tolist() == [0, 1, 2]
    assert positions.unsigned_rows((14, 14))[15, 0] == 15
    down = positions.unsigned_rows((7, 7), 2)
    assert down.shape == (16, 49) and down[5, :4].tolist() == [16, 15, 14, 15]


def test_every_architecture_of_timm(timm):
    assert set(LEVIT) == set(timm.list_models("levit*"))
    for name, millions in MILLIONS.items():
        configs = [
            TIMM.config(
                {"architecture": kept + name, "pretrained_cfg": PREPROCESS}, {"stem.conv1.linear.weight": (16, 3, 3, 3)}
            )
            for kept in ("levit_", "levit_conv_")
        ]
        assert configs[0] == configs[1] and configs[0].grids == ((14, 14), (7, 7), (4, 4))
        shapes = parameters.shapes(configs[0])
        norms = sum(
            np.prod(shape) for array, shape in shapes.items() if array.endswith(".bias") and "head" not in array
        )
        norms += 2 * 2 * configs[0].widths[-1]  # of each norm one number a channel is left, of the heads' none
        assert round((sum(map(np.prod, shapes.values())) + norms) / 1e6, 2) == millions


def test_what_cannot_be_is_said(timm):
    tensors, config_json, *_ = theirs_once(timm)

    def refused(said, tensors=tensors, **arguments):
        with pytest.raises(InputError, match=said):
            port(TIMM, tensors, {**config_json, "model_args": {**config_json["model_args"], **arguments}})

    gone, short = "stages.1.downsample.attn_downsample.kv.bn.running_var", "stem.conv2.bn.bias"
    negative = {**tensors, "stem.conv1.bn.running_var": -np.ones(4)}
    refused(f"missing tensors: {gone}", {name: value for name, value in tensors.items() if name != gone})
    refused(rf"{short} is \(5,\) instead of \(8,\)", {**tensors, short: np.zeros(5)})
    refused("values that are not finite: stem.conv1.linear.weight", negative)
    refused("global_pool='token' is not supported", global_pool="token")
    refused("3 widths, 3 depths, 2 heads", num_heads=[2, 3])
    refused("cannot be halved", embed_dim=[36, 48, 64])
    refused("attention_biases is .* instead of", img_size=64)


def test_another_image_size_is_refused(timm):
    tensors, config_json, *_ = theirs_once(timm)
    config, arrays = port(TIMM, tensors, config_json)
    other = replace(config, image_size=(64, 96))  # as many places
    with pytest.raises(InputError, match="at its own image size alone: it was trained on a grid of 6x4 places"):
        resized(arrays, *map(parameters.grid_arrays, (config, other)), Resampling())


def test_a_tap_of_its_norms_is_refused_with_the_reason(timm):
    tensors, config_json, *_ = theirs_once(timm)
    model = parameters.build(*port(TIMM, tensors, config_json))
    with pytest.raises(InputError, match="no tap 'norm': its norms are part of the layers beside them"):
        jax.eval_shape(lambda images: model(images, "norm"), np.zeros((1, 96, 64, 3), np.float32))

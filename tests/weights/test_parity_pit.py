"""Small random PiTs of timm through the converter: every activation, the output and its gradient."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import vitjax
from converters.referees.parity import GRADIENT, TOLERANCE, relative_errors
from converters.referees.pit import reference
from tests.support.noise import randomise
from tests.support.traps import output_error
from vitjax.errors import InputError
from vitjax.models.core.tap_site import Places
from vitjax.models.hierarchical.pit import PitConfig
from vitjax.models.parts.merging import StridedPooling
from vitjax.models.parts.patches import PatchEmbedding
from vitjax.weights import parameters
from vitjax.weights.families.family import config_of, port
from vitjax.weights.families.timm.models import TIMM
from vitjax.weights.families.timm.tables.pit_architectures import PIT
from vitjax.weights.parameters import build
from vitjax.weights.rules.resize import Resampling, resized

pytestmark = pytest.mark.exhaustive  # parity of ViTs, Swin, Twins and PVT is shown by the suite

EXACT = 1e-9
SMALL = {"img_size": [64, 96], "base_dims": [8, 8, 8], "heads": [1, 2, 4], "depth": [1, 2, 1], "num_classes": 7}
PREPROCESS = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}


def make(timm, architecture="pit_ti_224", arguments=None, seed=0):
    """A model of timm with every parameter drawn at random, and the config.json it would have."""
    arguments = {**SMALL, **(arguments or {})}
    model = timm.create_model(architecture, **arguments).eval()
    randomise(model, r"norm\w*\.weight$", seed)
    return model, {"architecture": architecture, "model_args": arguments, "pretrained_cfg": PREPROCESS}


def tensors(model):
    """The model's tensors by timm's names."""
    return {name: tensor.numpy() for name, tensor in model.state_dict().items()}


def errors(model, theirs, dtype):
    """Those of every tap, the output and the gradient, on images of noise."""
    images = np.random.default_rng(1).random((2, *model.config.image_size, 3)).astype(dtype)
    theirs = theirs.double() if dtype is np.float64 else theirs.float()
    return relative_errors(model, reference(theirs, images, model.config.preprocess))


@pytest.mark.representatives("distilled")
@pytest.mark.parametrize(
    ("architecture", "arguments", "dtype", "tolerance"),
    [
        ("pit_ti_distilled_224", {}, np.float64, EXACT),
        ("pit_b_224", {"img_size": [28, 42], "depth": [1, 1, 1]}, np.float64, EXACT),
        ("pit_ti_224", {"num_classes": 0, "img_size": 32, "depth": [1, 1, 1]}, np.float32, TOLERANCE),
    ],
    ids=["distilled", "patches of 14, plain", "no head"],
)
def test_every_activation(timm, architecture, arguments, dtype, tolerance):
    theirs, config_json = make(timm, architecture, arguments)
    model = build(*port(TIMM, tensors(theirs), config_json))
    found = errors(model, theirs, dtype)
    assert set(found) == {*model.taps(), GRADIENT}
    worst = max(found, key=found.get)
    assert found[worst] <= tolerance, (worst, found[worst])


@pytest.fixture(scope="module")
def small(timm):
    """A model of timm's tensors, these, their config, and what timm's computes in float64."""
    theirs, config_json = make(timm, "pit_ti_distilled_224", {"img_size": 32, "depth": [1, 1, 1]})
    held = tensors(theirs)
    model, images = build(*port(TIMM, held, config_json)), np.random.default_rng(1).random((1, 32, 32, 3))
    return model, held, config_json, reference(theirs.double(), images, model.config.preprocess)


def by_twos(weight):
    """Channels of the convolution as if each of its kernels came once for all channels, then once more."""
    return weight.reshape(2, -1, *weight.shape[1:]).swapaxes(0, 1).reshape(weight.shape)


def test_which_channels_a_channel_makes(small):
    model, held, config_json, due = small
    assert output_error(model, due) <= EXACT
    names = [f"transformers.1.pool.conv.{part}" for part in ("weight", "bias")]
    wrong = build(*port(TIMM, held | {name: by_twos(held[name]) for name in names}, config_json))
    assert output_error(wrong, due) > 1e-6


def test_another_eps_shows(small):
    model, _, _, due = small
    assert output_error(build(replace(model.config, norm_eps=1e-5), parameters.values(model)), due) > EXACT


def test_pooling_by_hand():
    pool = StridedPooling(2, 4, Places((3, 5), 1, True), nnx.Rngs(0))
    x = np.random.default_rng(0).standard_normal((2, 16, 2)).astype(np.float32)
    kernel, bias = np.asarray(pool.conv.kernel[...]), np.asarray(pool.conv.bias[...])
    around = np.pad(x[:, 1:].reshape(2, 3, 5, 2), ((0, 0), (1, 1), (1, 1), (0, 0)))
    due = np.zeros((2, 2, 3, 4))
    for row, column, channel in np.ndindex(2, 3, 4):
        window = around[:, 2 * row : 2 * row + 3, 2 * column : 2 * column + 3, channel // 2]
        due[:, row, column, channel] = (window * kernel[:, :, 0, channel]).sum(axis=(1, 2)) + bias[channel]
    found = np.asarray(pool(jnp.asarray(x)))
    np.testing.assert_allclose(found[:, 1:], due.reshape(2, 6, 4), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found[:, :1], pool.dense(x[:, :1]), rtol=1e-6)  # without the convolution
    np.testing.assert_allclose(pool(jnp.asarray(x[:, :1])), found[:, :1], rtol=1e-6)  # left alone
    with pytest.raises(InputError, match="tokens cannot be dropped"):
        pool(jnp.asarray(x[:, :9]))


def test_patches_that_overlap_by_hand():
    part = PatchEmbedding((4, 2), 3, 5, nnx.Rngs(0), stride=(2, 1))
    image = np.random.default_rng(0).random((1, 8, 4, 3)).astype(np.float32)
    found = np.asarray(part.cut(jnp.asarray(image)))
    due = [image[0, top : top + 4, left : left + 2] for top in (0, 2, 4) for left in (0, 1, 2)]
    np.testing.assert_array_equal(found[0], due)
    gain, shift = np.full((1, 1, 3), 2, np.float32), np.full((1, 1, 3), 0.25, np.float32)
    seen = part.views(jnp.asarray(image), jnp.asarray(gain), jnp.asarray(shift))
    np.testing.assert_allclose(seen, part.tokens(jnp.asarray(2 * image + 0.25)), rtol=1e-5, atol=1e-5)


def test_an_old_file_names_its_pooling_otherwise(small):
    model, held, config_json, _ = small
    old = {name.replace("transformers.1.pool.", "pools.0.").replace("transformers.2.pool.", "pools.1."): tensor
           for name, tensor in held.items()}  # fmt: skip
    assert {"pools.0.conv.weight", "pools.1.fc.bias"} <= old.keys()
    arrays = port(TIMM, old, config_json)[1]
    assert all(np.array_equal(array, arrays[name]) for name, array in parameters.values(model).items())


MILLIONS = {"ti": (4.85, 5.10), "xs": (10.62, 11.00), "s": (23.46, 24.04), "b": (73.76, 74.79)}


@pytest.mark.parametrize("size", MILLIONS)
def test_every_variant_by_name(size):
    for distilled, millions in enumerate(MILLIONS[size]):
        name = f"pit_{size}{'_distilled' * distilled}_224"
        preprocess = PREPROCESS | {"crop_pct": 0.9}
        config = config_of(TIMM, {}, {"architecture": f"{name}.in1k", "pretrained_cfg": preprocess})
        assert sum(map(np.prod, parameters.shapes(config).values())) / 1e6 == pytest.approx(millions, abs=0.006)
        assert config.grids == (((31, 31), (16, 16), (8, 8)) if size == "b" else ((27, 27), (14, 14), (7, 7)))
        assert (config.prefix, config.preprocess.crop) == (1 + distilled, 0.9)


def test_names_are_timms(timm):
    assert {*PIT} == {*timm.list_models("pit_*")}


def test_tokens_stand_where_they_are(small):
    sites = small[0].taps()
    for stage, grid in enumerate([(3, 3), (2, 2), (1, 1)]):
        site = sites[f"stages.{stage}.blocks.0.mlp.hidden"]
        assert (site.grid, site.prefix, site.class_token) == (grid, 2, True)
    assert sites["norm"].units == (2, 32) and not sites["norm"].places  # two tokens, and nothing of the grid
    assert small[0].config.grid == sites["stages.1.embed"].grid


def test_what_cannot_be_is_said(small):
    model = small[0]
    other = replace(model.config, image_size=(64, 64))
    with pytest.raises(InputError, match="its own image size alone: it was trained on a grid of 3x3 places"):
        resized(parameters.values(model), *map(parameters.grid_arrays, (model.config, other)), Resampling())
    with pytest.raises(InputError, match="image height 40 is not divisible by the patch height 16"):
        replace(model.config, image_size=(40, 32))
    with pytest.raises(InputError, match=r"stride is \(4, 4\): PiT's is half a patch, and that is \(16, 16\)"):
        PitConfig(stride=(4, 4))
    with pytest.raises(InputError, match="pooling makes each channel one or several, 64 no 96"):
        PitConfig(widths=(64, 96, 256))
    with pytest.raises(InputError, match="its pooling reads a whole grid; use seen=1"):
        vitjax.visualize(model, "stages.1.blocks.0.mlp.hidden:0", steps=1, views=1, seen=0.5)

"""Small random Twins of timm through the converter: every activation, the output and its gradient."""

from dataclasses import replace
from math import prod

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from converters.referees.parity import COMPILER, GRADIENT, TOLERANCE, relative_errors
from converters.referees.twins import reference
from tests.support.noise import randomise
from vitjax.errors import InputError
from vitjax.models.core.tap_site import Places
from vitjax.models.hierarchical.twins import TwinsConfig
from vitjax.models.parts import depthwise, merging, reduced, windows
from vitjax.weights import parameters
from vitjax.weights.families.family import config_of, port
from vitjax.weights.families.timm.models import TIMM
from vitjax.weights.families.timm.tables.twins_architectures import TWINS

EXACT = 1e-9
SMALL = {
    "img_size": [40, 32], "embed_dims": [16, 24], "num_heads": [2, 3], "mlp_ratios": [4, 3], "sr_ratios": [3, 1],
    "num_classes": 7,
}  # fmt: skip
WINDOWS = {"wss": [7, 3]}  # that fill no grid, nor the other way round
PREPROCESS = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225], "crop_pct": 0.9}
MILLIONS = {  # of parameters
    "twins_pcpvt_small": 24.11, "twins_pcpvt_base": 43.83, "twins_pcpvt_large": 60.99,
    "twins_svt_small": 24.06, "twins_svt_base": 56.07, "twins_svt_large": 99.27,
}  # fmt: skip


def make(timm, architecture, arguments, seed=0):
    """A model of timm with every parameter drawn at random, and the config.json it would have."""
    model = timm.create_model(architecture, **arguments).eval()
    randomise(model, r"norm\w*\.weight$", seed)
    return model, {"architecture": architecture, "model_args": arguments, "pretrained_cfg": PREPROCESS}


def ported(theirs, config_json):
    """The config and arrays of the same model here."""
    return port(TIMM, {name: tensor.numpy() for name, tensor in theirs.state_dict().items()}, config_json)


def images_of(config, dtype):
    return np.random.default_rng(1).random((2, *config.image_size, 3)).astype(dtype)


@pytest.mark.representatives("twins_svt_small-arguments0")
@pytest.mark.parametrize(
    ("architecture", "arguments"),
    [("twins_svt_small", {"depths": [4, 1], **WINDOWS}), ("twins_pcpvt_small", {"depths": [3, 1]})],
)
def test_every_activation(timm, architecture, arguments):
    theirs, config_json = make(timm, architecture, SMALL | arguments)
    model = parameters.build(*ported(theirs, config_json))
    images = images_of(model.config, np.float64)
    found = relative_errors(model, reference(theirs.double(), images, model.config.preprocess))
    assert set(found) == {*model.taps(), GRADIENT}
    worst = max(found, key=found.get)
    assert found[worst] <= EXACT, (worst, found[worst])


# What goes wrong if it is done otherwise; each gives a config, and may change the modules of the test.


def as_it_is(patch, config):
    return config


def one_epsilon_too_large(patch, config):
    return replace(config, norm_eps=1e-5)


def one_epsilon_too_small(patch, config):
    return replace(config, embed_eps=1e-6)


def nothing_attends_to_what_windows_are_filled_up_with(patch, config):
    patch.setattr(windows.Windows, "regions", property(lambda self: (self.places < 0).astype(np.int8)))
    return config


def filled_up_before_the_norm(patch, config):
    cut = windows.Windows.cut
    patch.setattr(windows.Windows, "cut", lambda self, x: jnp.where(cut(self, jnp.ones_like(x)), cut(self, x), 0.1))
    return config


def positions_without_what_they_are_added_to(patch, config):
    alone = lambda self, x: self.conv(depthwise.apart(x, self.places)[1]).reshape(x.shape)
    patch.setattr(depthwise.ConvPositions, "__call__", alone)
    return config


def positions_at_the_end_of_a_stage(patch, config):
    call = depthwise.ConvPositions.__call__
    patch.setattr(depthwise.ConvPositions, "__call__", lambda self, x: call(self, x[:, ::-1])[:, ::-1])
    return config


def values_before_keys(patch, config):
    attend = reduced.attend
    patch.setattr(reduced, "attend", lambda q, k, v, *rest: attend(q, v, k, *rest))
    return config


def keys_of_the_last_cells(patch, config):
    def call(self, x):
        rows, columns = (self.size * count for count in self.reached)
        return self.norm(self.patch.tokens(depthwise.apart(x, Places(self.grid))[1][:, -rows:, -columns:]))

    patch.setattr(merging.PatchStep, "__call__", call)
    return config


@pytest.fixture(scope="module")
def known(timm):
    """A small model's config and arrays, images, and timm's logits of them in float64."""
    import torch

    theirs, config_json = make(timm, "twins_svt_small", SMALL | WINDOWS | {"depths": [2, 1]})
    config, arrays = ported(theirs, config_json)
    images = images_of(config, np.float64)
    with torch.no_grad():
        mean, std = (torch.tensor(part, dtype=torch.float64) for part in (PREPROCESS["mean"], PREPROCESS["std"]))
        logits = theirs.double()(((torch.tensor(images) - mean) / std).permute(0, 3, 1, 2)).numpy()
    return config, arrays, images, logits


@pytest.mark.representatives(
    "as_it_is-0-1e-09",
    "keys_of_the_last_cells-0.001-10",
    "one_epsilon_too_large-1e-08-0.001",
    "values_before_keys-0.01-10",
)
@pytest.mark.parametrize(
    ("trap", "least", "most"),
    [
        (as_it_is, 0, EXACT),
        (one_epsilon_too_large, 10 * EXACT, 1e-3),
        (one_epsilon_too_small, 10 * EXACT, 1e-3),
        (nothing_attends_to_what_windows_are_filled_up_with, 1e-3, 10),
        (filled_up_before_the_norm, 1e-3, 10),
        (positions_without_what_they_are_added_to, 1e-2, 10),
        (positions_at_the_end_of_a_stage, 1e-3, 10),
        (values_before_keys, 1e-2, 10),
        (keys_of_the_last_cells, 1e-3, 10),
    ],
)
def test_traps(known, monkeypatch, trap, least, most):
    config, arrays, images, logits = known
    error = error_of(trap(monkeypatch, config), arrays, images, logits)
    assert least <= error <= most


def test_in_single_precision(known):
    config, arrays, images, logits = known
    assert error_of(config, arrays, images.astype(np.float32), logits) <= TOLERANCE


def error_of(config, arrays, images, logits):
    """That of a model's logits, relative to the largest, in the precision of the images."""
    with jax.enable_x64(images.dtype == np.float64):
        model = jax.tree.map(lambda leaf: np.asarray(leaf, images.dtype), parameters.build(config, arrays))
        run = jax.jit(lambda model, images: model(images)["logits"], compiler_options=COMPILER)
        found = np.asarray(run(model, images))
    return abs(found - logits).max() / abs(logits).max()


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", TWINS)
def test_architectures(name):
    config = config_of(TIMM, {}, {"architecture": name, "pretrained_cfg": PREPROCESS})
    count = sum(prod(shape) for shape in parameters.shapes(config).values())
    assert count / 1e6 == pytest.approx(MILLIONS[name], abs=0.005)
    assert config.preprocess.crop == 0.9 and config.grids == ((56, 56), (28, 28), (14, 14), (7, 7))


def test_all_that_timm_has(timm):
    assert set(timm.list_models("twins*")) == set(TWINS) == set(MILLIONS)


def test_where_fewer_keys_stand():
    config = TwinsConfig((64, 96), (4, 4), (16, 24), (2, 2), (2, 3), (32, 48), reductions=(8, 2), windows=(7, 7))
    sites = parameters.build(
        config, {name: np.zeros(shape, np.float32) for name, shape in parameters.shapes(config).items()}
    ).taps()
    local, fewer = "stages.0.blocks.0.attn", "stages.0.blocks.1.attn"
    assert sites[f"{local}.k"].axes == ("row", "column", "head", "channel") and sites[f"{local}.k"].grid == (16, 24)
    assert sites[f"{local}.scores"].axes == ("window", "head", "query", "key")
    for name in ("source", "k", "v"):
        assert sites[f"{fewer}.{name}"].grid == (2, 3) and sites[f"{fewer}.{name}"].shape[0] == 6
    assert sites[f"{fewer}.q"].grid == (16, 24) and sites[f"{fewer}.scores"].shape == (2, 384, 6)
    assert list(sites).index("stages.0.peg") == list(sites).index("stages.0.blocks.0.resid_post") + 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"img_size": 240}, r"image height 240 is not divisible by 32, .* \(nearest: 256\)"),
        ({"wss": [7, 7, 7]}, r"windows are \(7, 7, 7\): give one of at least 2 for each of 4 stages, or none"),
        ({"sr_ratios": [8, 4, 2]}, r"reductions are \(8, 4, 2\): give one of at least 1 for each of 4 stages"),
        ({"sr_ratios": [8, 4, 2, 8]}, r"stage 3 has 7x7 tokens, from which no key of 8x8 can be made"),
        ({"global_pool": "token"}, r"global_pool='token' is not supported for this model, only 'avg'"),
        ({"wss": None}, r"wss=None in config.json is not whole numbers above 0, one for each stage"),
        ({"mlp_ratio": 4}, r"unknown model_args.mlp_ratio \(did you mean mlp_ratios"),
    ],
)
def test_what_cannot_be_is_said(arguments, said):
    stated = {"architecture": "twins_svt_small", "model_args": arguments, "pretrained_cfg": PREPROCESS}
    with pytest.raises(InputError, match=said):
        config_of(TIMM, {}, stated)

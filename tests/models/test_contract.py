"""What every kind of model of the registry keeps to: a new family costs one row here."""

import re
from dataclasses import dataclass, replace
from functools import cache
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import vitjax
from converters.referees.parity import LOOPS
from tests.support.pictures import levels
from tests.support.small import convnet as filled
from vitjax.analysis.photographs.exemplars import exemplars
from vitjax.data.dataset import Dataset
from vitjax.errors import InputError
from vitjax.models.convit import ConvitConfig
from vitjax.models.convnets.base import ConvNet
from vitjax.models.convnets.densenet import DenseNetConfig
from vitjax.models.convnets.mobilenet import MobileNetV2Config
from vitjax.models.convnets.resnet import ResNetConfig
from vitjax.models.core.config import Rotary, ViTConfig
from vitjax.models.core.execution import Execution
from vitjax.models.core.network import FACTS, Network
from vitjax.models.hierarchical.coat import CoatConfig
from vitjax.models.hierarchical.levit import LevitConfig
from vitjax.models.hierarchical.pit import PitConfig
from vitjax.models.hierarchical.pvt import PvtConfig
from vitjax.models.hierarchical.pvt_v2 import PvtV2Config
from vitjax.models.hierarchical.swin import SwinConfig
from vitjax.models.hierarchical.swin_v2 import SwinV2Config
from vitjax.models.hierarchical.t2t import T2tConfig
from vitjax.models.hierarchical.twins import TwinsConfig
from vitjax.models.mixer import MixerConfig
from vitjax.models.registry import KINDS, Config
from vitjax.optimize.recipes import choose
from vitjax.units.units import matching
from vitjax.weights import parameters
from vitjax.weights.publish.converted import export
from vitjax.weights.publish.provenance import Card
from vitjax.weights.rules.resize import Resampling, resized


@dataclass(frozen=True)
class Case:
    """A small config of a kind, and another image size that it can be used at; None if it is refused any."""

    config: Config
    other: tuple[int, int] | None


VIT = ViTConfig(image_size=(32, 32), patch_size=(8, 8), width=24, depth=3, heads=2, mlp_width=32, classes=4)
COAT = CoatConfig((32, 32), (4, 4), (16, 24, 24, 24), (1, 1, 1, 1), (8,) * 4, (24, 32, 32, 32), classes=4)
CASES = {
    "ViT": Case(VIT, (40, 32)),
    "ViT, all parts": Case(
        replace(VIT, relative_bias=True, layer_scale=True, gated=True, qk_norm=True, pool="attention", projection=6),
        (48, 32),
    ),
    "ViT, rotary": Case(replace(VIT, rotary=Rotary(), class_token=False, pool="mean", registers=2), (40, 40)),
    "ViT, norms across tokens, a class token that joins late": Case(replace(VIT, norm="dtn", joins=2), (40, 32)),
    "ConViT": Case(
        ConvitConfig(24, 3, 2, 32, image_size=(32, 32), patch_size=(8, 8), classes=4, local=2),
        None,
    ),
    "Swin": Case(
        SwinConfig((32, 32), (4, 4), (12, 24), (3, 2), (2, 3), (24, 48), classes=4, windows=(3, 4)),
        (40, 32),
    ),
    "Swin, filled up first": Case(
        SwinConfig(
            (32, 32), (8, 4), (12, 24), (2, 2), (2, 3), (24, 48), classes=4, windows=((3, 5), 3), pad_first=True
        ),
        (40, 32),
    ),
    "Swin V2": Case(
        SwinV2Config(
            (32, 32), (4, 4), (12, 24), (3, 2), (2, 3), (24, 48), classes=4, windows=(3, 4), trained_windows=(4, 0)
        ),
        (40, 32),
    ),
    "LeViT": Case(
        LevitConfig((32, 32), (8, 8), (12, 20), (2, 1), (2, 3), (24, 40), classes=4, key_width=3),
        None,
    ),
    "CoaT-Lite": Case(replace(COAT, widths=(16, 24, 32, 40)), (64, 32)),
    "CoaT": Case(replace(COAT, parallel=2), (64, 64)),
    "MLP-Mixer": Case(MixerConfig((32, 32), (8, 4), 24, 3, 20, 40, classes=4), None),
    "ResMLP": Case(
        MixerConfig((32, 32), (8, 8), 24, 3, 0, 40, classes=4, layer_scale=True, norm="affine"),
        None,
    ),
    "PiT": Case(
        PitConfig((32, 32), (8, 8), (12, 24), (1, 2), (2, 3), (24, 48), classes=4, stride=(4, 4), distilled=True),
        None,
    ),
    "T2T-ViT, kernels": Case(
        T2tConfig((32, 32), (16, 16), (6, 8, 12), (1, 1, 2), (1, 1, 2), (5, 7, 24), classes=4, features=3), (48, 48)
    ),
    "T2T-ViT": Case(
        T2tConfig(
            (32, 32), (16, 16), (6, 8, 12), (1, 1, 2), (1, 1, 2), (5, 7, 24), classes=4, token_layers="transformer"
        ),
        (48, 48),
    ),
    "Twins, windows and fewer keys": Case(
        TwinsConfig((32, 32), (4, 4), (12, 24), (4, 1), (2, 3), (24, 48), 4, reductions=(2, 1), windows=(3, 3)),
        (40, 32),
    ),
    "Twins, fewer keys alone": Case(
        TwinsConfig((32, 32), (4, 4), (12, 24), (3, 1), (2, 3), (24, 48), 4, reductions=(3, 2)), (40, 32)
    ),
    "PVT": Case(PvtConfig((32, 32), (4, 4), (12, 24), (2, 1), (2, 3), (24, 48), 4, reductions=(3, 1)), (40, 32)),
    "PVT v2": Case(PvtV2Config((32, 32), (4, 4), (12, 24), (2, 1), (2, 3), (24, 48), 4, reductions=(3, 2)), (36, 32)),
    "PVT v2, as many keys on any grid": Case(
        PvtV2Config((32, 32), (4, 4), (12, 24), (2, 1), (2, 3), (24, 48), 4, reductions=(2, 1), pooled=3), (36, 32)
    ),
    "ResNet": Case(ResNetConfig(image_size=(32, 32), classes=4, depths=(1, 1, 1, 1)), (64, 32)),
    "MobileNetV2": Case(MobileNetV2Config(image_size=(32, 32), classes=4), (64, 32)),
    "DenseNet": Case(DenseNetConfig(image_size=(32, 32), classes=4, depths=(1, 1, 1, 2)), (64, 32)),
}
IMAGES = np.random.default_rng(0).random((2, 32, 32, 3), np.float32)
SHORT = choose("default", steps=2, views=1, parametrization="pixels", color="none", jitter=0, stages=())
# One for each way to run blocks and each kind of parts; the others are exhaustive.
FIRST = ("ViT", "ViT, all parts", "Swin V2", "LeViT", "CoaT", "MLP-Mixer", "T2T-ViT, kernels", "PVT", "ResNet")
every = lambda test: pytest.mark.representatives(*FIRST)(pytest.mark.parametrize("name", CASES)(test))


@cache
def model(name: str) -> Network:
    return filled(CASES[name].config)


@cache
def edited(name: str) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Everything that can be read where nothing is added at every tap, and the output's gradient at what is added."""
    sites, end = model(name).taps(), model(name).output

    def total(deltas, model):
        edits = {tap: lambda value, delta=delta: value + delta for tap, delta in deltas.items()}
        values = model(IMAGES, list(sites), edits)
        return (values[end] * jnp.arange(1.0, 5.0)).sum(), values

    nothing = {tap: np.zeros((1, *site.shape), np.float32) for tap, site in sites.items()}
    gradient, values = jax.tree.map(np.asarray, jax.jit(jax.grad(total, has_aux=True))(nothing, model(name)))
    return values, gradient


def test_every_kind_has_a_row():
    assert {type(case.config) for case in CASES.values()} == set(KINDS)


@every
def test_every_tap_is_what_its_site_says(name):
    sites, (found, _) = model(name).taps(), edited(name)
    assert found.keys() == sites.keys()
    for tap, site in sites.items():
        assert found[tap].shape == (2, *site.shape) and len(site.axes) == len(site.shape), tap
        assert np.isfinite(found[tap]).all(), tap
        if site.grid and site.places:
            assert site.tokens == site.prefix + site.grid[0] * site.grid[1], tap
        if site.before:
            assert sites[site.before].shape[-1] in (site.shape[-1], 2 * site.shape[-1]), tap
    assert model(name).facts <= FACTS and model(name).output == list(sites)[-1]


@every
def test_what_is_read_alone_and_unedited_is_what_is_read_with_all(name):
    sites, (values, _) = list(model(name).taps()), edited(name)
    taps = (sites[len(sites) // 3], sites[2 * len(sites) // 3])
    found = jax.jit(lambda model, images: [model(images, tap)[tap] for tap in taps])(model(name), IMAGES)
    for tap, alone in zip(taps, found, strict=True):
        np.testing.assert_allclose(alone, values[tap], rtol=1e-4, atol=1e-5 * abs(values[tap]).max())


@every
def test_an_edit_at_every_tap_reaches_the_output_and_has_a_gradient(name):
    _, gradient = edited(name)
    unread = {tap for tap, found in gradient.items() if not np.abs(found).max() > 0}
    assert unread <= {"embedding"}  # beside the logits, which do not read it


EXECUTIONS = Execution(), Execution(remat=True), Execution(recompute=False)  # the last keeps all for the way back


@every
def test_memory_and_precision_change_nothing_else(name):
    sites = list(model(name).taps())
    read = sites[len(sites) // 2]

    def program(execution):
        traced = jax.make_jaxpr(lambda model: model(IMAGES, read, execution=execution)[read])(model(name))
        return re.sub(" at 0x[0-9a-f]+", "", str(traced))

    *recomputed, kept = EXECUTIONS
    plain = program(kept)
    assert "remat" in program(recomputed[-1]) and "remat" not in plain
    with mock.patch.object(jax, "checkpoint", lambda run, **policy: run):
        assert {*map(program, recomputed)} == {plain}
    half = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, jnp.bfloat16), model(name))
    found = jax.eval_shape(lambda model, images: model(images), half, IMAGES)
    assert found[model(name).output].dtype == jnp.bfloat16


# One for each way to run blocks: alike, by turns on windows, on several scales, unlike, and with loops of XLA's own.
@pytest.mark.representatives("ViT, all parts", "Swin V2", "ResNet")
@pytest.mark.parametrize("name", ["ViT, all parts", "Swin V2", "CoaT", "T2T-ViT, kernels", "ResNet"])
def test_gradients_do_not_depend_on_what_is_kept_for_them(name):
    sites = list(model(name).taps())
    read = sites[len(sites) // 2]

    def gradients(images, model):
        total = lambda images, execution: model(images, read, execution=execution)[read].sum()
        return [jax.grad(total)(images, execution) for execution in EXECUTIONS]

    quick = LOOPS if isinstance(model(name), ConvNet) else None  # unlike loops that run for long without it
    plain, *others = map(np.asarray, jax.jit(gradients, compiler_options=quick)(IMAGES, model(name)))
    for other in others:
        np.testing.assert_allclose(other, plain, rtol=1e-3, atol=1e-4 * abs(plain).max())


@every
def test_it_is_kept_and_read_back_and_used_at_another_size(name, tmp_path):
    one, config = model(name), CASES[name].config
    one.card = Card("made up", "", "0" * 64, "", "small", "test-1")
    export(one, tmp_path / "kept")
    (tmp_path / "other").mkdir()
    read = parameters.values(vitjax.load(tmp_path / "other" / ".." / "kept"))  # a path as one types it
    assert read.keys() == parameters.shapes(config).keys()
    assert all(np.array_equal(array, read[key]) for key, array in parameters.values(one).items())
    other = replace(config, image_size=CASES[name].other or (64, 64))
    grids = list(map(parameters.grid_arrays, (config, other)))
    if CASES[name].other is None:
        with pytest.raises(InputError, match="its own image size alone"):
            resized(read, *grids, Resampling())
        return
    arrays = resized(read, *grids, Resampling())
    resized_model = parameters.build(other, arrays)
    images = np.zeros((1, *other.image_size, 3), np.float32)
    assert jax.eval_shape(resized_model, images)[one.output].shape == (1, 4)


@every
def test_pictures_and_photographs(name):
    one = model(name)
    tap = matching(one.neurons, one.taps())[0]
    pictures = vitjax.visualize(one, f"{tap}:1,2", SHORT)
    assert pictures.images.shape == (2, 32, 32, 3) and np.isfinite(pictures.activation).all()
    found = exemplars(one, Dataset(levels(4), one.config, batch=2), tap, k=2).taps[tap]
    assert found.place.shape == (one.taps()[tap].units[0], 2) and found.place.max() < 4

"""Encoders on visible tokens are the encoders: held against whole ones. E numbers are those of the specification."""

from dataclasses import replace
from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.support import dense, green
from vitjax.models.core.execution import Execution
from vitjax.models.hierarchical.swin import SwinConfig
from vitjax.models.hierarchical.swin_v2 import SwinV2Config
from vitjax.models.visible import Visible, cells
from vitjax.train.green.bank import BEST_FIT, Packing, bank
from vitjax.train.green.encode import AS_IS, Encoding, encode
from vitjax.train.green.geometry import Geometry
from vitjax.train.green.layout import Layout, Plan, places

ONE_STAGE = SwinConfig((32, 32), (2, 2), (8,), (1,), (1,), (16,), classes=0, windows=(4,))  # 256 units, 64 visible

UNROLLED = Encoding(Execution(scan=False, recompute=False))  # which is traced faster


@partial(jax.jit, static_argnames=("layout", "how"))
def encoded(model, images, plan: Plan, layout: Layout, how: Encoding = AS_IS) -> jax.Array:
    return encode(model, images, layout.of(plan), how)


@cache
def masks(config, packing: Packing = BEST_FIT, count: int = 3) -> tuple[Layout, Plan]:
    return bank(Geometry.of(config), 0.75, count, packing)


@pytest.mark.representatives("float32-1e-05-7", "float64-1e-12-14")
@pytest.mark.parametrize("window", [7, 14])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-5), ("float64", 1e-12)])
def test_e3_swin_equals_the_dense_one_with_masked_keys(window, dtype, tolerance):
    config = green.WINDOWS[window]
    layout, plans = masks(config)
    assert None not in layout.shapes[0] and layout.shapes[1] == (None, None)
    model, images = green.encoder(config), green.images(config, 1)
    with jax.enable_x64(dtype == "float64"):
        raised = green.raised((model, images), dtype)
        for number in range(3):
            found = np.asarray(encoded(*raised, green.picked(plans, number), layout))
            assert found.dtype == dtype
            due = whole(window, number)
            assert abs(found - due).max() <= tolerance < abs(due).max()


@cache
def whole(window: int, number: int) -> np.ndarray:
    config = green.WINDOWS[window]
    layout, plans = masks(config)
    seen = green.seen(plans.drawn[number], layout.geometry.grid)
    return dense.swin(green.encoder(config), green.images(config, 1), seen)[:, seen]


def gradients(packing: Packing, dtype: str):
    layout, plans = masks(ONE_STAGE, packing)
    model, images = green.raised((green.encoder(ONE_STAGE), green.images(ONE_STAGE)), dtype)
    aims = green.raised(np.random.default_rng(2).standard_normal((2, 64, 8)), dtype)
    of = lambda model, plan: jnp.square(encode(model, images, layout.of(plan), UNROLLED) - aims).mean()
    return jax.jit(jax.value_and_grad(of))(model, green.picked(plans, 0))


def assert_close(found, due, tolerance: float) -> None:
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, 0, tolerance), found, due)


def test_e4_packings_agree_in_loss_and_gradients():
    assert None not in masks(ONE_STAGE)[0].shapes[0]
    with jax.enable_x64(True):
        due = gradients(Packing("one-group"), "float64")
        for kind in ("best-fit", "greedy"):
            assert_close(gradients(Packing(kind), "float64"), due, 1e-12)
    assert_close(gradients(BEST_FIT, "float32"), due, 1e-5)
    assert all(abs(np.asarray(leaf)).max() > 1e-4 for leaf in jax.tree.leaves(due[1]))


@pytest.mark.parametrize("config", [green.SWIN, green.TWINS, green.VIT], ids=["swin", "twins", "vit"])
def test_e8_what_is_masked_leaves_no_trace(config):
    layout, plans = masks(config)
    model, images, plan = green.encoder(config), green.images(config), green.picked(plans, 0)
    units = np.asarray(layout.geometry.units)
    seen = green.seen(plans.drawn[0], layout.geometry.grid)
    pixels = seen.repeat(4, 0).repeat(4, 1)[None, :, :, None]
    found = encoded(model, images, plan, layout)
    other = encoded(model, np.where(pixels, images, 7), plan, layout)
    assert (np.asarray(found) == np.asarray(other)).all() and units == 64
    one = np.zeros_like(seen)
    one[np.unravel_index(np.sort(plans.drawn[0])[5], seen.shape)] = True
    changed = np.where(one.repeat(4, 0).repeat(4, 1)[None, :, :, None], -images, images)
    run = lambda model, images: np.asarray(encoded(model, images, plan, layout))
    differs = lambda model: run(model, changed) != run(model, images)
    assert differs(model).any(axis=(0, 2)).sum() > 1
    silent = jax.tree_util.tree_map_with_path(
        lambda path, leaf: 0 * leaf if {"proj", "peg"} & set(map(key, path)) else leaf, model
    )
    assert np.flatnonzero(differs(silent).any(axis=(0, 2))).tolist() == [5]


def key(step) -> str:
    return str(getattr(step, "name", getattr(step, "key", "")))


@pytest.mark.representatives("oblong swin", "twins", "vit dtn")
@pytest.mark.parametrize(
    "config",
    [
        green.TWINS,
        green.VIT,
        SwinV2Config(
            (16, 16), (2, 2), (8, 16), (1, 1), (1, 2), (16, 32), classes=0, windows=(4, 4), trained_windows=(0, 0)
        ),
        SwinConfig((16, 32), (2, 2), (8,), (2,), (1,), (16,), classes=0, windows=((2, 4),)),
        SwinConfig((16, 32), (2, 2), (8,), (2,), (2,), (16,), classes=0, windows=(4,), norm="dtn"),
        replace(green.VIT, norm="dtn", joins=1),
    ],
    ids=["twins", "vit", "swin_v2", "oblong swin", "swin dtn", "vit dtn"],
)
def test_e9_of_an_image_that_is_all_visible_an_encoder_gives_what_it_gives(config):
    geometry = Geometry.of(config)
    layout = Layout(geometry, geometry.units, tuple((None,) * len(stage.cuts) for stage in geometry.stages))
    model, images = green.encoder(config), green.images(config)
    plan = Plan(np.random.default_rng(0).permutation(geometry.units).astype(np.int32))
    due = jax.jit(lambda model, images: model.from_embedding(model.embed(images), ["norm"])["norm"])(model, images)
    found = encoded(model, images, plan, layout)
    np.testing.assert_allclose(found, due[:, getattr(config, "prefix", 0) :], 0, 2e-5)


def test_e9_patch_merging_of_a_full_grid_is_swins():
    stage, geometry = green.encoder(green.SWIN).stages[1], Geometry.of(green.SWIN)
    x = np.random.default_rng(0).standard_normal((2, 256, 8)).astype(np.float32)
    rows, columns = places(geometry.stages[0], np.arange(64), geometry)
    four = x[:, 16 * rows + columns].reshape(2, 64, 32)
    corner = x.reshape(2, 16, 16, 8)[:, :2, :2]
    assert (four[:, 0] == np.concatenate([corner[:, i, j] for i, j in [(0, 0), (1, 0), (0, 1), (1, 1)]], axis=1)).all()
    assert (np.asarray(stage.merge.joined(four)) == np.asarray(stage.merge(x))).all()


def test_merge_order_rows_swaps_the_middle_two():
    layout, plans = masks(green.SWIN)
    model, images, plan = green.encoder(green.SWIN), green.images(green.SWIN), green.picked(plans, 0)
    merge = model.stages[1].merge
    swap = lambda rows: np.asarray(rows).reshape(4, 8, -1)[[0, 2, 1, 3]].reshape(np.shape(rows))
    parity = encoded(model, images, plan, layout, Encoding(merge_order="rows"))
    graph = jax.tree.map(lambda leaf: leaf, model)
    graph.stages[1].merge.norm.scale[...] = jnp.asarray(swap(merge.norm.scale[...]))
    graph.stages[1].merge.norm.bias[...] = jnp.asarray(swap(merge.norm.bias[...]))
    graph.stages[1].merge.reduction.kernel[...] = jnp.asarray(swap(merge.reduction.kernel[...]))
    np.testing.assert_allclose(parity, encoded(graph, images, plan, layout), 0, 1e-5)
    assert abs(parity - encoded(model, images, plan, layout)).max() > 0.01


@pytest.mark.parametrize("size", [2, 4, 8])
def test_e14_strided_convolutions_are_a_reshape_and_a_product(size):
    rng = np.random.default_rng(0)
    geometry = Geometry.of(SwinConfig((32, 32), (1, 1), (8,) * 4, (1,) * 4, (1,) * 4, (8,) * 4))
    units = np.sort(rng.permutation(geometry.units)[:5])
    rows, columns = places(geometry.stages[0], units, geometry)
    x = rng.standard_normal((2, 32, 32, 3)).astype(np.float32)
    kernel = rng.standard_normal((size, size, 3, 4)).astype(np.float32)
    due = jax.lax.conv_general_dilated(x, kernel, (size, size), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC"))
    found = cells(x[:, rows, columns], size) @ kernel.reshape(-1, 4)
    coarse = rows.reshape(-1, size * size)[:, 0] // size, columns.reshape(-1, size * size)[:, 0] // size
    np.testing.assert_allclose(found, due[:, *coarse], 0, 1e-6 * abs(due).max())


def test_e14_positions_are_a_convolution_of_a_map_with_zeros():
    rng = np.random.default_rng(0)
    at = np.sort(rng.permutation(64)[:20])
    x = rng.standard_normal((2, 20, 8)).astype(np.float32)
    visible = Visible((8, 8), jnp.asarray(at), {})
    conv = green.encoder(green.TWINS).stages[0].peg.conv
    kernel = np.asarray(conv.kernel[...])[:, :, 0]
    padded = np.zeros((2, 10, 10, 8), np.float32)
    padded[:, at // 8 + 1, at % 8 + 1] = x
    due = sum(kernel[i, j] * padded[:, at // 8 + i, at % 8 + j] for i in range(3) for j in range(3))
    np.testing.assert_allclose(visible.of_map(conv(visible.on_map(x))), due + np.asarray(conv.bias[...]), 0, 1e-6)


def test_twins_without_residual_differ():
    layout, plans = masks(green.TWINS)
    run = partial(encoded, green.encoder(green.TWINS), green.images(green.TWINS), green.picked(plans, 0), layout)
    assert abs(run() - run(Encoding(peg_residual=False))).max() > 0.01

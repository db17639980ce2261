"""Tokens of huge norm: which they are, what is measured of them, and that other analyses say when a hit is one."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from tests.support import noise, small
from vitjax.analysis.norms.norms import run
from vitjax.analysis.norms.norms_cost import OTHERS, OUTLIERS, as_many_others, replacing
from vitjax.analysis.norms.norms_tokens import attention_to, likeness, ranks, standing
from vitjax.analysis.perturbed.occlusion import unseen
from vitjax.analysis.photographs.exemplar_tables import image_table, tap_row
from vitjax.analysis.photographs.exemplars import exemplars
from vitjax.analysis.photographs.outliers import norm_ratios, outliers, stream
from vitjax.analysis.study.gallery import framed
from vitjax.analysis.units import maps
from vitjax.analysis.views.attention_maps import run as rollout
from vitjax.errors import InputError
from vitjax.models.convnets.resnet import ResNetConfig
from vitjax.models.registry import abstract

CONFIG = replace(small.CONFIG, depth=2)
HUGE = (3, 12)  # patches


def with_outliers(config=CONFIG):
    """A random model in which two patches have positions, and so streams, many times as long as others."""
    model = noise.model(config)
    position = np.array(model.position[...])
    position[[*HUGE]] *= 300
    model.position = nnx.Param(jax.device_put(position))
    return model


MODEL, DATA = with_outliers(), noise.dataset(5, 2, CONFIG)
AFTER = ["blocks.0.resid_post", "blocks.1.resid_post"]


def test_an_outlier_is_many_times_as_long_as_the_median_patch():
    tokens = np.zeros((2, 6, 3), np.float32)
    tokens[0, :, 0], tokens[1, :, 1] = [50, 1, 2, 3, 4, 30], 0
    ratios = norm_ratios(tokens, prefix=1)
    np.testing.assert_allclose(ratios[0], np.array([50, 1, 2, 3, 4, 30]) / 3)
    assert not ratios[1].any(), "tokens that are all nothing have no outlier"
    assert np.flatnonzero(outliers(tokens[0, 1:])).tolist() == [4]
    assert not outliers(tokens[0, 1:], times=10).any(), "more than the multiple, not as much"


@pytest.mark.parametrize(
    ("tap", "read"),
    [
        ("blocks.3.mlp.hidden", "blocks.3.resid_mid"),
        ("blocks.3.attn.z", "blocks.3.resid_pre"),
        ("blocks.3.resid_post", "blocks.3.resid_post"),
        ("embed", "embed"),
        *[(tap, None) for tap in ("logits", "norm", "blocks.0.attn.probs", "stages.0.blocks.1.out", "stem")],
    ],
)
def test_the_stream_that_units_read(tap, read):
    sites = abstract(ResNetConfig() if tap.startswith("st") else replace(CONFIG, depth=4)).taps()
    assert stream(tap, sites) == read


def test_what_stands_out_by_hand():
    images = noise.pixels(DATA)
    found = jax.tree.map(np.asarray, jax.jit(partial(standing, times=5.0))(MODEL, images))
    values = small.read(MODEL, images, reads=(*AFTER, "blocks.1.attn.probs"))
    patches = [np.asarray(values[tap])[:, CONFIG.prefix :] for tap in AFTER]
    norms = np.stack([np.linalg.norm(some, axis=-1) for some in patches], axis=1)
    np.testing.assert_allclose(found.ratio, norms / np.median(norms, axis=-1, keepdims=True), rtol=1e-4)
    assert (np.flatnonzero(found.outlier[0, 0]) == HUGE).all() and found.outlier.sum() == 5 * 2 * 2
    probs = np.asarray(values["blocks.1.attn.probs"]).mean(axis=1)[..., [CONFIG.prefix + patch for patch in HUGE]]
    np.testing.assert_allclose(found.class_attention[:, 0], probs[:, 0].sum(axis=-1), rtol=1e-4)
    np.testing.assert_allclose(found.patch_attention[:, 0], probs[:, CONFIG.prefix :].sum(axis=-1).mean(1), rtol=1e-4)
    assert np.isnan(found.class_attention[:, 1]).all() and (found.stay[:, 0] == 1).all()
    flat = images.reshape(5, 4, 8, 4, 8, 3).swapaxes(2, 3).reshape(5, 16, -1)
    less = np.array([[(row < row[patch]).sum() / 15 for patch in HUGE] for row in flat.std(axis=-1)])
    np.testing.assert_allclose(found.contrast[:, 0], less.mean(axis=1), atol=1e-6)


def test_ranks_and_likeness_of_a_flat_image():
    np.testing.assert_allclose(ranks(jnp.array([[1.0, 3, 2, 3]]))[0], [0, 2.5 / 3, 1 / 3, 2.5 / 3], rtol=1e-6)
    np.testing.assert_allclose(likeness(MODEL, jnp.ones((1, 16, 8, 8, 3))), 1, rtol=1e-5)
    probs = jnp.full((1, 2, 5, 5), 0.2)
    of_class, of_patches = attention_to(probs, jnp.array([[True, False, True, False]]), 1)
    np.testing.assert_allclose([of_class[0], of_patches[0]], 0.4, rtol=1e-6)


def test_others_are_as_many_and_none_of_them():
    rng = np.random.default_rng(0)
    some = rng.random((6, 16)) < np.linspace(0, 0.5, 6)[:, None]
    order = np.stack([rng.permutation(16) for _ in range(6)])
    others = np.asarray(as_many_others(jnp.asarray(some), jnp.asarray(order)))
    assert (others.sum(axis=1) == some.sum(axis=1)).all() and not (others & some).any()
    assert others[5, next(patch for patch in order[5] if not some[5, patch])], "the first in the image's order"


def test_what_stands_in_the_place_of_a_token():
    tokens = jnp.asarray(np.random.default_rng(1).normal(size=(1, CONFIG.tokens, CONFIG.width)), jnp.float32)
    gone = jnp.zeros((1, 16), bool).at[0, 5].set(True)
    at, rest = CONFIG.prefix + 5, [i for i in range(16) if i != 5]
    patches = np.asarray(tokens[0, CONFIG.prefix :])
    middle = np.median(np.linalg.norm(patches, axis=1))
    wanted = [patches[5] * 0, patches[rest].mean(axis=0), patches[5] / np.linalg.norm(patches[5]) * middle]
    for how, want in zip(jnp.eye(3), wanted, strict=True):
        edited = replacing([gone] * 2, how, MODEL)[AFTER[0]](tokens)
        np.testing.assert_allclose(edited[0, at], want, rtol=1e-5, atol=1e-6)
        assert np.array_equal(np.delete(edited, at, axis=1), np.delete(tokens, at, axis=1))


@pytest.mark.exhaustive
def test_the_cost_is_that_of_passes_made_by_hand():
    findings = run(MODEL, DATA)
    cost = {(row["tokens"], row["treatment"]): row for row in findings.tables["norms-cost"].to_pylist()}
    assert {tokens for tokens, _ in cost} == {"none", OUTLIERS, OTHERS} and len(cost) == 9
    images, truth = noise.pixels(DATA), DATA.labels_for(MODEL)
    gone = jnp.zeros((5, 16), bool).at[:, jnp.array(HUGE)].set(True)
    hands = {
        "removed": unseen([gone & False, gone, gone], MODEL),
        "zero": replacing([gone, gone], jnp.eye(3)[0], MODEL),
        "median norm": replacing([gone, gone], jnp.eye(3)[2], MODEL),
    }
    plain = np.asarray(small.read(MODEL, images, reads="logits")["logits"]).argmax(axis=1)
    assert cost["none", "none"]["top1"] == pytest.approx((plain == truth).mean())
    for treatment, edits in hands.items():
        run_edited = jax.jit(lambda model, images, edits=edits: model(images, "logits", edits)["logits"])
        chosen, row = np.asarray(run_edited(MODEL, images)).argmax(axis=1), cost[OUTLIERS, treatment]
        assert row["same"] == pytest.approx((chosen == plain).mean()) and row["images"] == 5
        change = (chosen == truth).astype(float) - (plain == truth)
        assert row["change"] == pytest.approx(change.mean())
        assert row["change_error"] == pytest.approx(change.std() / 5**0.5)
    first = findings.rows[0]
    assert (first["outliers"], first["fixed"], first["patches"]) == (2, 1, "3 12") and first["with_outliers_error"] == 0
    assert set(findings.figures) == {"", "images"} and "3 12" in findings.summary


@pytest.mark.exhaustive
def test_without_classes_or_outliers_or_a_head(tmp_path):
    unknown = replace(DATA, images=replace(DATA.images, column=None))
    findings = run(MODEL, unknown, control=True)
    rows = findings.tables["norms-cost"].to_pylist()
    assert rows[1]["top1"] is rows[1]["change"] is None and rows[1]["same"] is not None
    assert findings.settings["without_classes"] and "no accuracy" in findings.summary
    assert [row["weights"] for row in findings.rows] == ["given"] * 2 + ["random"] * 2
    none = run(noise.model(CONFIG), DATA, times=50)
    assert not none.tables and "no patch token has more than 50 times" in none.summary and none.rows[0]["ratio"] is None
    pooled = replace(CONFIG, classes=0, class_token=False, registers=0, pool="mean")
    headless = run(with_outliers(pooled), noise.dataset(3, 3, replace(CONFIG)), times=5)
    assert not headless.tables and headless.rows[0]["class_ratio"] is None and headless.rows[0]["outliers"] == 2
    headless.save(tmp_path)
    for times in (1, 0, float("nan"), float("inf")):
        with pytest.raises(InputError, match=r"more than once the median|must be a number"):
            run(MODEL, DATA, times=times)


def test_exemplars_and_maps_say_when_a_hit_is_an_outlier():
    tap, other = "blocks.1.mlp.hidden", "logits"
    found = exemplars(MODEL, DATA, [tap, other], k=2)
    natural, images = found.taps[tap], noise.pixels(DATA)
    middle = "blocks.1.resid_mid"
    ratio = np.asarray(norm_ratios(small.read(MODEL, images, reads=middle)[middle], CONFIG.prefix))
    by_hand = ratio[natural.place, CONFIG.prefix + natural.patch]
    np.testing.assert_allclose(natural.tally.norm, by_hand, rtol=1e-3)
    assert np.array_equal(natural.outlier, np.isin(natural.patch, HUGE)) and natural.outlier.any()
    assert tap_row(natural)["on_outliers"] == pytest.approx(natural.outlier.mean())
    assert tap_row(found.taps[other])["on_outliers"] is None
    table = image_table(found, DATA.images, CONFIG).to_pylist()
    assert all((row["norm"] is None) == (row["kind"] == "quantile" or row["unit"].startswith(other)) for row in table)
    unit = int(np.argwhere(natural.outlier)[0, 0])
    findings = maps.run(MODEL, DATA, units=f"{tap}:{unit}", k=2, found=found)
    norms = [row["norm"] for row in findings.rows]
    np.testing.assert_allclose(norms, natural.tally.norm[unit], rtol=1e-3)
    captions = [text.get_text() for text in findings.figures[""].axes[0].texts]
    assert sum("(outlier)" in text for text in captions) == natural.outlier[unit].sum() > 0
    assert "on a token of huge norm" in findings.summary


def test_rollout_says_how_much_of_its_map_lies_on_outliers():
    last = rollout(MODEL, DATA, method="attention", count=1).rows[-1]
    tap = "blocks.1.attn.probs"
    probs = np.asarray(small.read(MODEL, noise.pixels(DATA), reads=tap)[tap]).mean(axis=1)
    patches = probs[:, 0, CONFIG.prefix :]
    share = patches[:, HUGE].sum(axis=1) / patches.sum(axis=1)
    assert last["on_outliers"] == pytest.approx(share.mean(), rel=1e-4) and last["fair"] == 2 / 16


def test_a_frame_stays_inside_its_patch():
    image = np.zeros((32, 32, 3), np.uint8)
    drawn = framed(image, [6], CONFIG, "white")
    assert not image.any() and (drawn[8, 16:24] == 255).all() and (drawn[8:16, 23] == 255).all()
    assert drawn.sum() == 255 * 3 * (64 - 36)

"""CoaT's scales and the mixers' tokens: what their taps are, which units they have, and what they refuse."""

from dataclasses import replace
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import vitjax
from tests.support.small import convnet as filled
from tests.support.small import read
from vitjax.analysis.photographs.outliers import stream
from vitjax.analysis.study.blocks import after_blocks, beside
from vitjax.analysis.study.checks import check_facts
from vitjax.errors import InputError
from vitjax.models import registry
from vitjax.models.core.tap_site import Site
from vitjax.models.flops import operations
from vitjax.models.hierarchical.coat import CoatConfig
from vitjax.models.hierarchical.pvt_v2 import PvtV2Config
from vitjax.models.mixer import MixerConfig
from vitjax.units.units import expand, neurons

LITE = CoatConfig((32, 64), (4, 4), (16, 24, 32, 40), (2, 1, 1, 1), mlp_widths=(24, 32, 40, 48), classes=4)
COAT = replace(LITE, widths=(16, 24, 24, 24), mlp_widths=(24, 32, 32, 32), parallel=2)
MIXER = MixerConfig((32, 32), (8, 4), 24, 3, 20, 40, classes=4)
RESMLP = replace(MIXER, token_width=0, norm="affine", layer_scale=True)
abstract = cache(registry.abstract)


def test_scales_have_their_own_grids_and_a_class_token_each():
    taps = abstract(COAT).taps()
    for scale, grid in ((1, (4, 8)), (2, (2, 4)), (3, (1, 2))):
        places = dict(grid=grid, prefix=1, class_token=True)
        tokens, scope = 1 + grid[0] * grid[1], f"stages.4.blocks.1.scale{scale}."
        assert taps[f"{scope}resid_post"] == Site((tokens, 24), ("token", "channel"), **places)
        assert taps[f"{scope}attn.position"] == Site((tokens, 8, 3), ("token", "head", "channel"), **places)
        assert taps[f"{scope}attn.context"] == Site((8, 3, 3), ("head", "key_channel", "channel"))
        assert taps[f"{scope}mlp.hidden"].before == f"{scope}mlp.pre"
    assert taps["scale1.norm"].grid == (4, 8) and taps["norm"].grid == (1, 2)


def test_a_pattern_without_a_scale_means_all_of_them():
    model = abstract(COAT)
    found = list(neurons(model))
    scales = [f"stages.4.blocks.{block}.scale{scale}.mlp.hidden" for block in (0, 1) for scale in (1, 2, 3)]
    assert found[-6:] == scales and found[0] == "stages.0.blocks.0.mlp.hidden" and len(found) == 11
    assert [unit.tap for unit in expand("stages.4.blocks.1.mlp.hidden:2", model.taps())] == scales[3:]
    assert [unit.tap for unit in expand("stages.4.blocks.*.scale2.mlp.hidden:2", model.taps())] == scales[1::3]
    assert beside(scales[4], "attn.z") == "stages.4.blocks.1.scale2.attn.z"
    assert stream(scales[4], model.taps()) == "stages.4.blocks.1.scale2.resid_mid"
    assert after_blocks(model)[-1] == "stages.4.blocks.1.scale3.resid_post"


@pytest.mark.parametrize("name", ["stages.0.blocks.1.attn.scores", "stages.4.blocks.*.scale1.attn.probs"])
def test_an_attention_without_scores_says_what_it_has(name):
    said = "this attention is factorised and compares no two tokens; it has attn.context and attn.position instead"
    with pytest.raises(InputError, match=said):
        expand(f"{name}:0.0", abstract(COAT).taps())
    with pytest.raises(InputError, match=said):
        jax.eval_shape(lambda model: model(jnp.zeros((1, 32, 64, 3)), name), abstract(COAT))


def test_the_blocks_of_a_scale_share_their_convolutions():
    """These are of the grid alone: the class token gets no position, neither before attention nor in it."""
    taps = ("embed", "stages.0.blocks.0.resid_pre", "stages.0.blocks.0.attn.position")
    images = np.random.default_rng(0).random((1, 32, 64, 3), np.float32)
    found = read(filled(LITE), images, reads=taps)
    embed, before, position = (np.asarray(found[tap]) for tap in taps)
    np.testing.assert_array_equal(before[:, 0], embed[:, 0])
    assert np.all((before != embed)[:, 1:].any(axis=2))
    assert not position[:, 0].any() and np.all(position[:, 1:].any(axis=(2, 3)))


def test_a_tap_costs_the_stages_up_to_it_alone():
    image = jax.ShapeDtypeStruct((1, *COAT.image_size, 3), jnp.float32)
    cost = lambda tap: operations(lambda model, image: model(image, tap)[tap], abstract(COAT), image)
    steps = ("stages.0.blocks.0.mlp.hidden", "stages.1.embed", "stages.4.blocks.0.scale1.mlp.hidden", "logits")
    found = [cost(tap) for tap in steps]
    assert found == sorted(found) and found[1] < found[2] < found[3]
    first = cost("stages.0.blocks.1.resid_post")
    assert found[0] < first < found[1]


def test_the_units_of_mixed_tokens_have_no_places():
    taps = abstract(MIXER).taps()
    assert taps["blocks.2.tokens.hidden"] == Site((24, 20), ("channel", "unit"), before="blocks.2.tokens.pre")
    assert taps["blocks.2.tokens.out"] == Site((32, 24), ("token", "channel"), (4, 8))
    assert list(neurons(abstract(MIXER))) == [f"blocks.{block}.mlp.hidden" for block in range(3)]
    assert not [tap for tap in abstract(RESMLP).taps() if tap.endswith(("tokens.pre", "tokens.hidden"))]
    for model in (abstract(MIXER), abstract(RESMLP)):
        with pytest.raises(InputError, match=r"no attention; what mixes its tokens has the tap tokens\.out"):
            expand("blocks.0.attn.scores:0", model.taps())


def test_a_pattern_of_places_is_painted():
    pictures = vitjax.visualize(filled(MIXER), "blocks.1.tokens.hidden:3.7", steps=2, views=1, stages=())
    assert [str(unit) for unit in pictures.units] == ["blocks.1.tokens.hidden:3.7"]
    assert np.isfinite(pictures.activation).all()


@pytest.mark.parametrize("config", [LITE, MIXER, RESMLP], ids=["CoaT-Lite", "MLP-Mixer", "ResMLP"])
def test_tokens_cannot_be_dropped(config):
    images = jnp.zeros((1, *config.image_size, 3))
    with pytest.raises(InputError, match="tokens cannot be dropped from this model"):
        jax.eval_shape(lambda model: model(images, edits={"embed": lambda tokens: tokens[:, :-1]}), abstract(config))


@pytest.mark.parametrize(
    ("config", "changes", "words"),
    [
        (LITE, {"image_size": (48, 64)}, r"^image height 48 is not divisible by 32, .* \(nearest: 64\)$"),
        (LITE, {"image_size": (64, 50)}, "image width 50 is not divisible by the patch width 4"),
        (LITE, {"heads": (8, 8, 8, 4)}, "CoaT's convolutions are for 8"),
        (LITE, {"parallel": 2}, "the last three scales share one MLP"),
        (
            LITE,
            {"widths": (16, 24, 32), "depths": (1,) * 3, "heads": (8,) * 3, "mlp_widths": (24,) * 3},
            "a CoaT has 4 stages, not 3",
        ),
        (MIXER, {"image_size": (30, 32)}, r"image height 30 is not divisible by the patch height 8 \(nearest: 32\)"),
        (MIXER, {"token_width": -1}, "token_width is -1"),
        (MIXER, {"depth": 0}, "depth is 0"),
    ],
)
def test_what_cannot_be_is_said(config, changes, words):
    with pytest.raises(InputError, match=words) as error:
        replace(config, **changes)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["spread", "features"])
def test_an_analysis_of_attention_is_not_offered_to_a_mixer(name):
    with pytest.raises(InputError, match=f"{name} needs a model with attention; this one can do: exemplars") as error:
        check_facts(name, filled(MIXER))
    assert "spread" not in str(error.value).partition("can do")[2]


def test_keys_of_unlike_cells_have_no_place():
    even = PvtV2Config((64, 64), (4, 4), (8, 8), (1, 1), (2, 2), (8, 8), 4, reductions=(4, 2))
    odd = replace(even, image_size=(72, 72))
    source = "stages.0.blocks.0.attn.source"
    assert filled(even).taps()[source].grid == (4, 4) and filled(odd).taps()[source].grid is None

"""Where the norms that a config names stand in each family, and that patches may be left out of these models."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from tests.support.small import convnet as filled
from vitjax.errors import InputError
from vitjax.models.convit import ConvitConfig
from vitjax.models.core.config import TextConfig, ViTConfig
from vitjax.models.core.network import Kept, Network
from vitjax.models.hierarchical.coat import CoatConfig
from vitjax.models.hierarchical.levit import LevitConfig
from vitjax.models.hierarchical.pit import PitConfig
from vitjax.models.hierarchical.pvt import PvtConfig
from vitjax.models.hierarchical.swin import SwinConfig
from vitjax.models.hierarchical.t2t import T2tConfig
from vitjax.models.norms.dtn import TokenNorm
from vitjax.models.registry import abstract, random
from vitjax.models.text_tower import abstract as abstract_text
from vitjax.weights.parameters import values

VIT_S = ViTConfig(width=432, heads=9, mlp_width=1728, norm="dtn", joins=10, norm_eps=1e-5)
SMALL = ViTConfig(
    image_size=(32, 24), patch_size=(8, 8), width=24, depth=2, heads=4, mlp_width=32, classes=4, norm="dtn", joins=1
)


def norms(model: Network, kind: type) -> dict[str, int]:
    """How many norms of a kind stand at each name: those of stacked blocks count for each."""
    found = {}
    for path, module in nnx.iter_modules(model):
        if isinstance(module, kind):
            found[".".join(map(str, path))] = len(module.scale) if module.scale.ndim > 1 else 1
    return found


def test_e12_in_a_vit_they_stand_in_the_blocks_of_patches_alone():
    model = abstract(VIT_S)
    assert norms(model, TokenNorm) == {"early.norm1": 10, "early.norm2": 10}
    assert norms(model, nnx.LayerNorm) == {"blocks.norm1": 2, "blocks.norm2": 2, "norm": 1}
    sites = model.taps()
    tokens = [sites[f"blocks.{block}.resid_pre"].shape[0] for block in range(12)]
    assert tokens == [196] * 10 + [197] * 2
    assert [sites[f"blocks.{block}.resid_pre"].prefix for block in (9, 10)] == [0, 1]
    plain = abstract(replace(VIT_S, norm="layer"))
    more = sum(leaf.size for leaf in jax.tree.leaves(model)) - sum(leaf.size for leaf in jax.tree.leaves(plain))
    assert more == 20 * 4 * 9
    everywhere = abstract(replace(VIT_S, joins=0, class_token=False, pool="mean"))
    assert norms(everywhere, TokenNorm) == {"blocks.norm1": 12, "blocks.norm2": 12}


@pytest.mark.exhaustive
def test_all_else_of_a_model_begins_as_under_layer_norm():
    plain, *others = (values(random(replace(SMALL, norm=name))) for name in ("layer", "dtn", "dtn-overwritten"))
    for other in others:
        assert all(np.array_equal(other[name], plain[name]) for name in plain)


PLACES = {
    "Swin": (SwinConfig(norm="dtn", depths=(2, 2, 2, 2)), 16, ["stages.0.plain", "stages.3.shifted"]),
    "PVT": (PvtConfig(heads=(4, 4, 5, 8), norm="dtn", depths=(1, 1, 1, 1)), 6, ["stages.0.blocks", "stages.2.blocks"]),
    "LeViT": (LevitConfig(norm="dtn", depths=(1, 1, 1)), 6, ["stages.0.blocks", "stages.2.blocks"]),
    "T2T-ViT": (T2tConfig(norm="dtn", joins=12), 24, ["stages.2.early", "stages.2.early"]),
    "ConViT": (ConvitConfig(norm="dtn", width=192), 20, ["local", "local"]),
}


@pytest.mark.representatives("Swin", "T2T-ViT")
@pytest.mark.parametrize("name", PLACES)
def test_in_other_families_they_stand_in_blocks_of_patches_too(name):
    config, count, ends = PLACES[name]
    model = abstract(config)
    found = norms(model, TokenNorm)
    assert sum(found.values()) == count and model.taps()
    assert all(place.endswith(("norm1", "norm2")) for place in found)
    assert [sorted(found)[0], sorted(found)[-1]] == [f"{ends[0]}.norm1", f"{ends[1]}.norm2"]
    heads = {path: module.heads for path, module in nnx.iter_modules(model) if isinstance(module, TokenNorm)}
    due = {"LeViT": (4, 4, 8), "PVT": (4, 4, 5)}.get(name)
    assert due is None or tuple(dict.fromkeys(heads.values())) == tuple(dict.fromkeys(due))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (ViTConfig(norm="dtn"), r"stand among them in all blocks: let them join later \(joins=10\)"),
        (T2tConfig(norm="dtn"), r"let it join later \(joins=12\)"),
        (PitConfig(norm="dtn"), "in all blocks of a PiT"),
        (CoatConfig(norm="dtn"), "in all blocks of a CoaT"),
        (TextConfig(norm="dtn"), "of which a text has none"),
        (ViTConfig(norm="dnt", joins=1), r"unknown norm 'dnt' \(did you mean dtn\b"),
    ],
)
def test_where_they_cannot_stand_it_is_said(config, message):
    make = abstract_text if isinstance(config, TextConfig) else abstract
    with pytest.raises(InputError, match=message):
        make(config)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"joins": 2}, "joins is 2"),
        ({"class_token": False, "pool": "mean"}, "of which there are 0"),
        ({"relative_bias": True}, "so joins is 0"),
    ],
)
def test_tokens_that_join_late_are_checked(changes, message):
    with pytest.raises(InputError, match=message):
        replace(SMALL, **changes)


@pytest.mark.representatives("True")
@pytest.mark.parametrize("late", [True, False])
def test_patches_can_be_left_out(late):
    config = SMALL if late else replace(SMALL, joins=0, class_token=False, pool="mean")
    model, tap = filled(config), "blocks.0.resid_post"
    images = np.random.default_rng(0).random((2, 32, 24, 3), np.float32)

    @jax.jit
    def run(model: Network, images: jax.Array, places: jax.Array | None = None) -> dict[str, jax.Array]:
        embedded = model.embed(model.normalise(images))
        return model.from_embedding(embedded if places is None else model.keep(embedded, places), [tap, "logits"])

    whole, order = run(model, images), np.random.default_rng(1).permutation(12)
    again = run(model, images, jnp.asarray([order, order]))
    np.testing.assert_allclose(again["logits"], whole["logits"], atol=1e-5)
    np.testing.assert_allclose(again[tap], whole[tap][:, order], atol=1e-5)
    places = jnp.asarray([order[:5], order[2:7]])
    some, hidden = run(model, images, places), np.ones((2, 4, 3), bool)
    for image, seen in enumerate(np.asarray(places)):
        hidden[image, *np.unravel_index(seen, (4, 3))] = False
    other = np.where(hidden.repeat(8, 1).repeat(8, 2)[..., None], 0.5, images)
    np.testing.assert_array_equal(run(model, other.astype(np.float32), places)["logits"], some["logits"])
    assert isinstance(jax.eval_shape(lambda x: model.keep(x, places), jnp.zeros((2, 12, 24))), Kept)


def test_an_edit_that_drops_tokens_without_saying_which_is_refused():
    model = abstract(SMALL)
    drop = lambda x: x[:, 1:]
    with pytest.raises(InputError, match="11 tokens do not fill a grid of 4x3"):
        jax.eval_shape(lambda model: model(np.zeros((1, 32, 24, 3), np.float32), edits={"embed": drop}), model)


def test_a_layer_that_gives_a_unit_is_not_asked_for_where_its_norm_needs_all_tokens():
    model = filled(SMALL)
    assert model.last_layer("blocks.0.mlp.hidden") is None and model.last_layer("blocks.1.mlp.hidden") is not None

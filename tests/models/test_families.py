"""What each family adds to the plain model: pictures can be made of its neurons, and its taps keep their meaning."""

import jax.numpy as jnp
import numpy as np
import pytest

import vitjax
from tests.support import small
from vitjax import InputError
from vitjax.models.core.config import Rotary, ViTConfig
from vitjax.models.parts.mlp import ACTIVATIONS
from vitjax.models.parts.positions import RotaryTurns
from vitjax.models.vit import ViT
from vitjax.weights import parameters

TINY = {
    "image_size": (32, 32),
    "patch_size": (8, 8),
    "width": 24,
    "depth": 2,
    "heads": 3,
    "mlp_width": 20,
    "classes": 5,
}
GATED = {"gated": True, "activation": "silu"}
FAMILIES = {
    "CLIP": {"pre_norm": True, "patch_bias": False, "activation": "quick_gelu", "classes": 0, "projection": 7},
    "SigLIP": {"class_token": False, "pool": "attention", "activation": "gelu_tanh"},
    "DINOv2 giant": {"registers": 2, "layer_scale": True, "pool": "token+mean", **GATED},
    "DINOv3": {"registers": 2, "layer_scale": True, "rotary": Rotary(100.0, centred=True, halves=True)},
    "EVA-02": {"rotary": Rotary(reference=(2, 2)), "mlp_norm": True, "attn_norm": True, "qk_norm": True, **GATED},
    "BEiT": {"relative_bias": True, "layer_scale": True, "pool": "mean", "final_norm": "pooled"},
}


def random(family: str) -> ViT:
    """A model with random weights."""
    config = ViTConfig(**TINY | FAMILIES[family])
    draw = np.random.default_rng(0).standard_normal
    return parameters.build(
        config, {name: 0.3 * draw(shape, np.float32) for name, shape in parameters.shapes(config).items()}
    )


@pytest.mark.representatives("CLIP")
@pytest.mark.parametrize("family", ["CLIP", "EVA-02", "BEiT"])  # between them they have all that is new to the loop
def test_pictures_of_neurons(family):
    pictures = vitjax.visualize(random(family), "blocks.1.mlp.hidden:0,19", steps=2, views=1, stages=())
    assert pictures.images.shape == (2, 32, 32, 3) and np.isfinite(pictures.activation).all()
    assert len(np.unique(pictures.images)) > 10 and not np.array_equal(*pictures.images)


def test_a_gated_neuron_is_the_product():
    model, images = random("DINOv2 giant"), np.random.default_rng(0).random((1, 32, 32, 3), np.float32)
    values = small.read(model, images, reads=("blocks.0.mlp.pre", "blocks.0.mlp.hidden", "pooled"))
    gate, up = np.split(values["blocks.0.mlp.pre"], 2, axis=-1)
    np.testing.assert_allclose(values["blocks.0.mlp.hidden"], ACTIVATIONS["silu"](gate) * up, rtol=1e-5, atol=1e-5)
    assert values["pooled"].shape == (1, 48)


def test_the_fused_attention_is_the_one_that_is_read():
    images = np.random.default_rng(0).random((2, 32, 32, 3), np.float32)
    for family in ("EVA-02", "BEiT"):
        model = random(family)
        read = small.read(model, images, reads=("blocks.0.attn.scores", "blocks.1.attn.probs", "logits"))["logits"]
        np.testing.assert_allclose(small.read(model, images, reads="logits")["logits"], read, rtol=1e-4, atol=1e-5)


def test_rotation_knows_only_distance():
    """Moving both patches down by a row leaves the product of q and k as it was."""
    config = ViTConfig(**TINY | FAMILIES["EVA-02"])
    turn = RotaryTurns(config.rotary, config.grid, config.head_width, config.prefix)
    q, k = np.random.default_rng(0).standard_normal((2, 1, 1, 1, config.head_width)).astype(np.float32)
    everywhere = (1, config.tokens, 1, config.head_width)
    q, k = (turn(jnp.broadcast_to(part, everywhere))[0, 1:, 0] for part in (q, k))
    scores = np.asarray(q @ k.T)
    np.testing.assert_allclose(scores[:-4, :-4], scores[4:, 4:], rtol=1e-4, atol=1e-5)


def test_tokens_stay_where_positions_are_of_the_attention():
    images = np.zeros((1, 32, 32, 3), np.float32)
    for family in ("DINOv3", "BEiT"):
        with pytest.raises(InputError, match="tokens cannot be dropped"):
            random(family)(images, "logits", {"embed": lambda x: x[:, :8]})


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"rotary": Rotary(), "heads": 4}, "a head has 6"),
        ({"relative_bias": True, "registers": 1}, "one token before them, not 2"),
        ({"pool": "token+mean", "class_token": False}, r"pool='token\+mean' reads the class token"),
        ({"pool": "attention", "pool_heads": 5}, "does not split into 5 heads"),
    ],
)
def test_what_does_not_go_together(fields, said):
    with pytest.raises(InputError, match=said):
        ViTConfig(**TINY | fields)

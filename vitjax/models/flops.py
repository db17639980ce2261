"""Floating-point operations of a forward pass up to a tap and of its gradient at the image, by formula.

Multiply-adds count twice; of a ViT only matrix products count, which leaves out a few per cent. XLA's own count sees
the body of a scan once, so it agrees only on unrolled blocks: a test holds the two together there. Convolutional
networks have no scan, and XLA's count is taken as it is.
"""

import jax
import jax.numpy as jnp

from vitjax.models.convnets.base import ConvNetConfig
from vitjax.models.core.config import ViTConfig
from vitjax.models.core.vocabulary import split_tap
from vitjax.models.registry import abstract

# How many of a block's six products (qkv, scores, z, proj, fc1, fc2) stand before each of its taps.
_UP_TO = {
    "resid_pre": 0,
    "attn.q": 1,
    "attn.k": 1,
    "attn.v": 1,
    "attn.scores": 2,
    "attn.probs": 2,
    "attn.z": 3,
    "attn.out": 4,
    "resid_mid": 4,
    "mlp.pre": 5,
    "mlp.hidden": 5,
    "mlp.out": 6,
    "resid_post": 6,
}


def forward_flops(config: ViTConfig, tap: str, tokens: int | None = None) -> dict[str, float]:
    """Operations for one image from pixels to `tap`, by product; on `tokens` of its tokens, where some are left out."""
    tokens, width = tokens or config.tokens, config.width
    block = {
        "qkv": 2 * tokens * width * 3 * width,
        "scores": 2 * tokens * tokens * width,
        "z": 2 * tokens * tokens * width,
        "proj": 2 * tokens * width * width,
        "fc1": 2 * tokens * width * config.mlp_width * (1 + config.gated),
        "fc2": 2 * tokens * config.mlp_width * width,
    }
    index, site = split_tap(tap)
    if index is None:
        index, last = (0, 0) if site == "embed" else (config.depth, 0)
    else:
        last = _UP_TO[site]
    costs = {name: cost * (index + (place < last)) for place, (name, cost) in enumerate(block.items())}
    height, across = config.patch_size
    costs["patch"] = 2 * config.patches * height * across * 3 * width
    if site == "embedding":
        costs["projection"] = 2 * config.pooled_width * config.projection
    if site == "logits":
        costs["head"] = 2 * config.pooled_width * config.classes * (1 + config.distilled)
    return costs


def gradient_flops(config: ViTConfig, tap: str, tokens: int | None = None) -> dict[str, float]:
    """Operations for one image from the gradient at `tap` back to the pixels, by product; the weights get none.

    A product with weights costs as much backward as forward; attention's two products have two gradients each.
    """
    pieces = forward_flops(config, tap, tokens)
    return {name: cost * (2 if name in ("scores", "z") else 1) for name, cost in pieces.items()}


def convnet_flops(config: ConvNetConfig, tap: str) -> float:
    """Operations for one image from pixels to `tap` and back: all that XLA counts, though not those of the weights."""
    image = jax.ShapeDtypeStruct((1, *config.image_size, config.channels), jnp.float32)
    total = lambda images, model: model(images, tap)[tap].sum()
    return jax.jit(jax.value_and_grad(total)).lower(image, abstract(config)).cost_analysis()["flops"]

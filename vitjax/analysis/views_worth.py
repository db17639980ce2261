"""A model and images in, how much of the residual stream its views tell out: a correlation for every unit and depth.

Nguyen et al. 2022 define views and show them; whether the unit follows its view they do not measure. A view is a sum
before it is summed, so its sum can be held against the activation.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from vitjax.analysis.filters import cut, filters
from vitjax.analysis.findings import Findings, settings
from vitjax.analysis.passes import gather
from vitjax.analysis.rollout import RESIDUAL, attention, mixing, rollout
from vitjax.analysis.style import panels, style
from vitjax.data.dataset import Dataset
from vitjax.models.vit import ViT


def sums(model: ViT, images: Float[Array, "image h w 3"]) -> Float[Array, "image patch unit"]:
    """What the local views of every unit of the patch embedding sum to."""
    kernel = filters(model)
    return jnp.einsum("npijc,uijc->npu", cut(model, images), kernel, precision="highest")


def worth(
    model: ViT, images: Float[Array, "image h w 3"], residual: float
) -> Float[Array, "image layer unit 2"]:
    """The correlation over the patches of an image between a unit's activation and what is to tell it.

    Layers are blocks gone through, 0 to depth. The last axis: the sum of the view, by the attention's rollout; and the
    sum of the local view alone, as if no token had looked elsewhere.
    """
    config = model.config
    taps = ["embed", *(f"blocks.{i}.resid_post" for i in range(config.depth))]
    probs = [f"blocks.{i}.attn.probs" for i in range(config.depth)]
    values = model(images, [*taps, *probs])
    steps = mixing(jnp.stack([values[tap] for tap in probs]).mean(axis=2), residual)
    among = rollout(steps)[..., config.prefix :, config.prefix :]
    local = sums(model, images)
    told = [local, *(jnp.einsum("nik,nku->niu", one, local, precision="highest") for one in among)]
    active = [values[tap][:, config.prefix :] for tap in taps]
    pairs = [[correlation(a, t), correlation(a, local)] for a, t in zip(active, told, strict=True)]
    return jnp.moveaxis(jnp.array(pairs), (0, 1), (1, 3))

"""A tap in, the cheapest way to single units of it out: the one column of its last layer that each slot asks for.

A layer reads normalised tokens and gives all units of a tap, where the loop wants one for each picture. So the model
runs as far as those tokens, and one column of the layer a picture does the rest: the same numbers at a fraction of the
last layer's cost, which in the first blocks is most of all.
"""

import math
from collections.abc import Callable
from functools import partial

import jax.numpy as jnp
from jaxtyping import Array, Float

from vitjax.models.core.network import Network
from vitjax.models.core.vocabulary import split_tap
from vitjax.models.parts.layers import ACTIVATIONS, Block
from vitjax.models.registry import Config
from vitjax.optimize.objectives import activation, token_span

Score = Callable[[Array, Array], Float[Array, " image"]]

# The taps whose layers are known, with the tap and the norm that these read.
_NORMS: dict[str, tuple[str, str]] = {
    "attn.q": ("resid_pre", "norm1"),
    "attn.k": ("resid_pre", "norm1"),
    "attn.v": ("resid_pre", "norm1"),
    "mlp.pre": ("resid_mid", "norm2"),
    "mlp.hidden": ("resid_mid", "norm2"),
}


def cheapest(model: Network, tap: str, tokens: str, *, units: bool, angles: bool = False) -> tuple[str, Score]:
    """What to read for targets at a tap: another tap's name, and a function of its value and a target.

    Args:
        model: the model.
        tap: where the targets are.
        tokens: those that count, as in `Recipe.tokens`.
        units: whether the targets are units, not directions.
        angles: whether they are an `Angle`, which needs the length of the tap's whole value.

    Returns:
        the tap to read, and a function from its value [image, *axes] and one target to the activations [image].
    """
    source = tap if angles else source_of(model.config, tap, units=units)
    if source == tap:
        return tap, partial(activation, tap=tap, tokens=tokens, config=model.config)
    block, site = split_tap(tap)
    span = token_span(tokens, model.config)
    return source, partial(_score, model.block(block), _NORMS[site][1], site, span)


def source_of(config: Config, tap: str, *, units: bool) -> str:
    """The tap that `cheapest` reads: the tokens that the tap's layer reads, or the tap itself."""
    block, site = split_tap(tap)
    turned = site in ("attn.q", "attn.k") and (config.qk_norm or config.rotary)
    bent = site == "mlp.hidden" and (config.mlp_norm or not units)
    return tap if site not in _NORMS or turned or bent else f"blocks.{block}.{_NORMS[site][0]}"


def _score(block: Block, norm: str, site: str, span: slice, values: Array, target: Array) -> Float[Array, " image"]:
    kernel, bias = _layer(block, site)
    unit = jnp.issubdtype(target.dtype, jnp.integer)
    columns, offset = (kernel[..., target], bias[..., target]) if unit else (kernel @ target, bias @ target)
    x = getattr(block, norm)(values[:, span])
    along = jnp.einsum("itc,cp->pit", x, columns.astype(x.dtype), preferred_element_type=jnp.float32)
    along, *up = along + offset[:, None, None]
    if site == "mlp.hidden":
        along = math.prod(up, start=ACTIVATIONS[block.mlp.activation](along))
    return along.mean(axis=1)


def _layer(block: Block, site: str) -> tuple[Array, Array]:
    """Kernel [channel, part, unit] and bias [part, unit]; a hidden unit of a gated MLP has two parts, gate and up."""
    layer = block.mlp.fc1 if site.startswith("mlp.") else block.attn.qkv
    kernel = layer.kernel[...]
    bias = jnp.zeros(kernel.shape[1:]) if layer.bias is None else layer.bias[...]
    if site.startswith("attn."):
        part = "qkv".index(site[-1])
        kernel, bias = kernel[:, part], bias[part]
    parts = 2 if site == "mlp.hidden" and block.mlp.gated else 1
    return kernel.reshape(len(kernel), parts, -1), bias.reshape(parts, -1)

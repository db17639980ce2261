"""The names of the taps and of their axes: one spelling per activation, known without importing JAX."""

import re

from vitjax.errors import InputError

# The axes of each tap after the batch axis, by the tap's name without its block number.
AXES: dict[str, tuple[str, ...]] = {
    "embed": ("token", "channel"),
    "resid_pre": ("token", "channel"),
    "attn.q": ("token", "head", "channel"),
    "attn.k": ("token", "head", "channel"),
    "attn.v": ("token", "head", "channel"),
    "attn.scores": ("head", "query", "key"),
    "attn.probs": ("head", "query", "key"),
    "attn.z": ("token", "head", "channel"),
    "attn.out": ("token", "channel"),
    "resid_mid": ("token", "channel"),
    "mlp.pre": ("token", "channel"),
    "mlp.hidden": ("token", "channel"),
    "mlp.out": ("token", "channel"),
    "resid_post": ("token", "channel"),
    "norm": ("token", "channel"),
    "pooled": ("channel",),
    "embedding": ("channel",),
    "logits": ("class",),
}

_BLOCK = re.compile(r"^blocks\.(\d+)\.(.+)$")


def split_tap(tap: str) -> tuple[int | None, str]:
    """Splits `blocks.7.mlp.hidden` into (7, "mlp.hidden"); a tap outside the blocks gives (None, tap)."""
    match = _BLOCK.match(tap)
    return (int(match[1]), match[2]) if match else (None, tap)


def axes(tap: str) -> tuple[str, ...]:
    """Names the axes of a tap's value after the batch axis, e.g. ("token", "head", "channel")."""
    return AXES[split_tap(tap)[1]]


def split_unit(text: str) -> tuple[str, str]:
    """Splits a unit set `TAP:INDEX` into its two parts, without asking whether a model has them."""
    tap, colon, index = text.partition(":")
    if not tap or not colon or not re.fullmatch(r"[\d,\-.*]+", index):
        raise InputError(f"{text!r} is no unit: write TAP:INDEX, e.g. blocks.5.mlp.hidden:0-63")
    return tap, index


def before_activation(tap: str) -> str:
    """The tap that holds the same units before the activation function; a tap without one gives itself."""
    return tap.removesuffix("mlp.hidden") + "mlp.pre" if tap.endswith("mlp.hidden") else tap

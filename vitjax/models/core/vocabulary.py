"""The names of the taps and of their axes: one spelling per activation, known without importing JAX."""

import re

from vitjax.errors import InputError

MAP = ("row", "column", "channel")
PLACES = {"token", "row", "column"}  # axes that say where on the image; the others say which unit

# The axes of each tap after the batch axis, by the tap's name without the numbers of its block and stage.
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
    **dict.fromkeys("stem.pre stem conv1.pre conv1.out conv2.pre conv2.out branch pre out".split(), MAP),
    **dict.fromkeys("dense features.pre features".split(), MAP),
}

# The tap before an activation function, by the one after it.
_BEFORE = {
    "mlp.hidden": "mlp.pre",
    "stem": "stem.pre",
    "conv1.out": "conv1.pre",
    "conv2.out": "conv2.pre",
    "out": "pre",
    "features": "features.pre",
}

NUMBERS = re.compile(r"[\d,\-.*]+(#\d{1,9})?")  # an index without names
_BLOCK = re.compile(r"^(?:stages\.\d+\.)?blocks\.(\d+)\.(.+)$")
_STAGE = re.compile(r"^stages\.\d+\.(?!blocks\.)")


def split_tap(tap: str) -> tuple[int | None, str]:
    """Splits `blocks.7.mlp.hidden` into (7, "mlp.hidden"); a tap outside the blocks gives (None, tap).

    A stage's number is left out: `stages.2.blocks.5.out` gives (5, "out"), `stages.2.dense` (None, "dense").
    """
    match = _BLOCK.match(tap)
    return (int(match[1]), match[2]) if match else (None, _STAGE.sub("", tap))


def axes(tap: str) -> tuple[str, ...]:
    """Names the axes of a tap's value after the batch axis, e.g. ("token", "head", "channel")."""
    return AXES[split_tap(tap)[1]]


def split_unit(text: str) -> tuple[str, str]:
    """Splits a unit set `TAP:INDEX` into its two parts, without asking whether a model has them.

    INDEX is in numbers, but for classes, which may also be called by name: `logits:golden retriever`.
    """
    tap, colon, index = str(text).partition(":")
    by_name = AXES.get(tap) == ("class",) and index.strip()
    if not tap or not colon or not (NUMBERS.fullmatch(index) or by_name):
        raise InputError(f"{text!r} is no unit: write TAP:INDEX, e.g. blocks.5.mlp.hidden:0-63")
    return tap, index


def before_activation(tap: str) -> str:
    """The tap that holds the same units before the activation function; a tap without one gives itself."""
    site = split_tap(tap)[1]
    return tap.removesuffix(site) + _BEFORE.get(site, site)

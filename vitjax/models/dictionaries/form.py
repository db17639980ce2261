"""What a dictionary of features is besides its arrays: norms, activation functions, and what arrays they need."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from vitjax.errors import InputError, nearest

TOKENS = ("all", "patches", "class")
TINY = 1e-12  # of a length


@dataclass(frozen=True)
class Form:
    """What a dictionary is, without its arrays.

    Attributes:
        tap: whose value it takes apart, e.g. "blocks.9.resid_post".
        name: tells several dictionaries of one tap apart: their taps end in `.sae@NAME`, `.sae` if it is empty.
        tokens: that it was made for, "all", "patches" or "class"; at others its latents are 0 and nothing changes.
        activation: a key of `ACTIVATIONS`.
        k: of "topk": how many latents a token has at most.
        relu: of "topk": whether the largest are also cut off at 0; they may be negative otherwise.
        strict: of "threshold": whether a latent has to be above its threshold, or may equal it.
        norm: of the tokens before all else, a key of `NORMS`.
        eps: of "layer_norm": added to the standard deviation.
        ddof: of "layer_norm": 1 if that is the unbiased one.
    """

    tap: str
    name: str = ""
    tokens: str = "all"
    activation: str = "relu"
    k: int = 0
    relu: bool = True
    strict: bool = True
    norm: str = "none"
    eps: float = 1e-5
    ddof: int = 1


class Scaling(NamedTuple):
    """A norm of tokens: N(x) is (x - shift) / into, and its inverse y * back + shift."""

    shift: Any
    into: Any
    back: Any


Held = Mapping[str, Array]


def _layer_norm(x: Array, form: Form, held: Held) -> Scaling:
    std = x.std(axis=-1, keepdims=True, ddof=form.ddof)
    return Scaling(x.mean(axis=-1, keepdims=True), std + form.eps, std)


def _rms_norm(x: Array, form: Form, held: Held) -> Scaling:
    length = jnp.sqrt(jnp.mean(x * x, axis=-1, keepdims=True) + TINY)
    return Scaling(0.0, length, length)


# {name: function of tokens in float32}
NORMS: dict[str, Callable[[Array, Form, Held], Scaling]] = {
    "none": lambda x, form, held: Scaling(0.0, 1.0, 1.0),
    "affine": lambda x, form, held: Scaling(held["mean"], held["scale"], held["scale"]),
    "layer_norm": _layer_norm,
    "rms_norm": _rms_norm,
}


def _topk(pre: Array, form: Form, held: Held) -> Array:
    found, places = jax.lax.top_k(pre, form.k)  # of equal ones the first
    kept = jnp.put_along_axis(jnp.zeros_like(pre), places, found, axis=-1, inplace=False)
    return jax.nn.relu(kept) if form.relu else kept


def _threshold(pre: Array, form: Form, held: Held) -> Array:
    above = pre > held["threshold"] if form.strict else pre >= held["threshold"]
    return jnp.where(above, jax.nn.relu(pre), 0)


def _gated(pre: Array, form: Form, held: Held) -> Array:
    size = (pre - held["encoder_bias"]) * held["gate_scale"] + held["gate_bias"]
    return jnp.where(pre > 0, jax.nn.relu(size), 0)


# {name: function of what comes before}; a gated dictionary's `pre` is that of its gate
ACTIVATIONS: dict[str, Callable[[Array, Form, Held], Array]] = {
    "relu": lambda pre, form, held: jax.nn.relu(pre),
    "topk": _topk,
    "threshold": _threshold,
    "gated": _gated,
}

# The arrays that some norms and activations need besides.
NEEDS = {"affine": ("mean", "scale"), "threshold": ("threshold",), "gated": ("gate_scale", "gate_bias", "encoder_bias")}
SIDES = {  # of each array: "d" for the tap's channels, "m" for latents
    **{"encoder": "dm", "decoder": "md", "pre_bias": "d", "encoder_bias": "m", "decoder_bias": "d"},
    **{"mean": "d", "scale": "d", "threshold": "m", "gate_scale": "m", "gate_bias": "m"},
}
ALWAYS = ("encoder", "decoder", "pre_bias", "encoder_bias", "decoder_bias")


def checked(form: Form, arrays: Mapping[str, Any]) -> dict[str, Any]:
    """The arrays of a dictionary of this form, those that are not given as zeros.

    Raises:
        InputError: an unknown activation, norm or kind of tokens; arrays that are missing, unknown, of other shapes, or
            not finite.
    """
    for what, value, choices in (
        ("activation", form.activation, ACTIVATIONS),
        ("norm", form.norm, NORMS),
        ("tokens", form.tokens, TOKENS),
    ):
        if value not in choices:
            raise InputError(f"the dictionary has the {what} {value!r}{nearest(value, choices)}: {', '.join(choices)}")
    needed = (*NEEDS.get(form.norm, ()), *NEEDS.get(form.activation, ()))
    if missing := [name for name in ("encoder", "decoder", *needed) if name not in arrays]:
        raise InputError(f"the dictionary has no {missing[0]}")
    if unknown := [name for name in arrays if name not in SIDES]:
        raise InputError(f"a dictionary has no array {unknown[0]!r}{nearest(unknown[0], SIDES)}")
    if len(shape := arrays["decoder"].shape) != 2:
        raise InputError(f"the dictionary's decoder is {shape}, it must be [latent, channel]")
    sides = dict(zip("md", shape, strict=True))
    for name, array in arrays.items():
        due = tuple(sides[side] for side in SIDES[name])
        if array.shape != due:
            turned = ": is it transposed?" * (array.shape == due[::-1] != due)
            raise InputError(f"the dictionary's {name} is {array.shape} where the decoder asks for {due}{turned}")
        if not np.isfinite(np.asarray(array, np.float32)).all():
            raise InputError(f"the dictionary's {name} has numbers that are not finite")
    if form.activation == "topk" and not 1 <= form.k <= sides["m"]:
        raise InputError(
            f"the dictionary keeps the {form.k} largest of {sides['m']} latents: k must be 1 to all of them"
        )
    zeros = {name: np.zeros([sides[side] for side in SIDES[name]], np.float32) for name in ALWAYS[2:]}
    return {name: arrays.get(name, zeros.get(name)) for name in (*ALWAYS, *needed)}

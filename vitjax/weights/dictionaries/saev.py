"""Dictionaries of saev (Ohio State University): a line of JSON, then torch's archive of a state dict.

h = x E + b_e; until July 2025, whose header has no `schema`, h = (x - b_d) E + b_e. TopK does not cut off at 0. Trained
on patches, of activations that the first runs scaled by numbers which are not in the file.
"""

from collections.abc import Mapping
from typing import Any

from vitjax.errors import InputError
from vitjax.weights.dictionaries.held import Held, Parts

TOP_K = 32  # saev's default


def known(held: Held) -> bool:
    """Whether the file is saev's."""
    return held.where == "header"


def read(held: Held) -> Parts:
    """Reads it."""
    encoder, encoder_bias, decoder, decoder_bias = held.some("W_enc", "b_enc", "W_dec", "b_dec")
    arrays = {"encoder": encoder, "decoder": decoder, "encoder_bias": encoder_bias, "decoder_bias": decoder_bias}
    kind, told = _activation(held.settings)
    form: dict[str, Any] = {"tokens": "patches"}
    if "schema" not in held.settings:
        arrays["pre_bias"] = decoder_bias
    if kind == "topk":
        form |= {"activation": "topk", "k": int(told.get("top_k", TOP_K)), "relu": False}
    elif kind == "batchtopk":
        if (least := held.number("activation.threshold", 0.0)) > 0:
            form |= {"activation": "threshold"}
            arrays["threshold"] = 0 * encoder_bias + least
    elif kind != "relu":
        raise InputError(f"{held.path} has the activation {kind!r}: relu, topk and batchtopk are read of saev's")
    return Parts(form, arrays)


def _activation(header: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    if "schema" not in header:
        return "relu", {}
    settings = header.get("cfg", {})
    activation = settings.get("activation")
    if not isinstance(activation, dict):
        return str(header.get("cls", "relu")).lower(), settings
    params = activation.get("params") or {}
    kind = activation.get("cls") or params.get("kind") or params.get("key") or "relu"
    return str(kind).lower().replace("-", "").replace("_", ""), params

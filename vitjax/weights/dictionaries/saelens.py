"""Dictionaries of SAELens: a folder of cfg.json and sae_weights.safetensors.

u = N(x), h = (u - b_d if apply_b_dec_to_input else u) E + b_e; the keys of old versions are read too.
"""

import numpy as np

from vitjax.errors import InputError
from vitjax.weights.dictionaries.held import Held, Parts
from vitjax.weights.dictionaries.prisma import NORMS

ARCHITECTURES = ("standard", "topk", "jumprelu", "gated")


def known(held: Held) -> bool:
    """Whether the file is SAELens's."""
    return {"W_enc", "W_dec", "b_dec"} <= held.names and {"d_in", "d_sae"} <= held.settings.keys()


def read(held: Held) -> Parts:
    """Reads it."""
    said = held.settings
    kind = said.get("architecture", "standard")
    if said.get("activation_fn", said.get("activation_fn_str")) == "topk":
        kind = "topk"
    if kind not in ARCHITECTURES:
        raise InputError(f"{held.path} has the architecture {kind!r}: {', '.join(ARCHITECTURES)} are read of SAELens's")
    if (norm := said.get("normalize_activations", "none")) not in NORMS:
        raise InputError(f"{held.path} has the normalize_activations {norm!r}, whose factor is in no file of it")
    encoder, decoder, bias = held.some("W_enc", "W_dec", "b_dec")
    arrays = {"encoder": encoder, "decoder": decoder, "decoder_bias": bias}
    if said.get("apply_b_dec_to_input", True):
        arrays["pre_bias"] = bias
    form = {"norm": NORMS[norm]}
    if kind == "gated":
        arrays |= {"encoder_bias": held["b_gate"], "gate_scale": np.exp(held["r_mag"]), "gate_bias": held["b_mag"]}
        return Parts({**form, "activation": "gated"}, arrays)
    arrays["encoder_bias"] = held["b_enc"]
    if kind == "jumprelu":
        arrays["threshold"] = held["threshold"]
        form["activation"] = "threshold"
    if kind == "topk":
        form |= {"activation": "topk", "k": said.get("k") or (said.get("activation_fn_kwargs") or {}).get("k", 0)}
        if said.get("rescale_acts_by_decoder_norm"):  # the largest are found of h times the length of its row of D
            length = np.linalg.norm(decoder, axis=1)
            arrays["encoder"], arrays["encoder_bias"] = encoder * length, arrays["encoder_bias"] * length
            arrays["decoder"] = decoder / length[:, None]
    return Parts(form, arrays)

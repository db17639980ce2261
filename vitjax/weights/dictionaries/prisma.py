"""Dictionaries of ViT-Prisma: a pickle of its config and a state dict, or the latter with config.json beside it.

u = N(x), h = (u - b_d) E + b_e, N by `normalize_activations`, which is "layer_norm" where nothing is said. A gated one
has z = 1[(u - b_d) E + b_gate > 0] relu((u - b_d) (E e^r_mag) + b_mag).
"""

import numpy as np

from vitjax.errors import InputError
from vitjax.weights.dictionaries.held import Held, Parts

NORMS = {"layer_norm": "layer_norm", "constant_norm_rescale": "rms_norm", "none": "none", None: "none"}
HOOKS = {"hook_resid_post": "resid_post", "hook_resid_pre": "resid_pre", "hook_mlp_out": "mlp.out"}
HOOKS |= {"hook_resid_mid": "resid_mid", "hook_attn_out": "attn.out"}
TOP_K = 64  # Prisma's default


def known(held: Held) -> bool:
    """Whether the file is Prisma's."""
    return "W_enc" in held.names and {"cls_token_only", "activation_fn_str"} <= held.settings.keys()


def read(held: Held) -> Parts:
    """Reads it."""
    said = held.settings
    if said.get("is_transcoder") or said.get("architecture") == "transcoder":
        raise InputError(f"{held.path} is a transcoder, from one tap to another, which is not read yet")
    if (norm := said.get("normalize_activations", "layer_norm")) not in NORMS:
        raise InputError(f"{held.path} has the normalize_activations {norm!r}: {', '.join(filter(None, NORMS))}")
    encoder, decoder, decoder_bias = held.some("W_enc", "W_dec", "b_dec")
    arrays = {"encoder": encoder, "decoder": decoder, "pre_bias": decoder_bias, "decoder_bias": decoder_bias}
    form = {"norm": NORMS[norm], "tokens": "all"}
    if said["cls_token_only"] or said.get("use_patches_only"):
        form["tokens"] = "class" if said["cls_token_only"] else "patches"
    layer, hook = said.get("hook_point_layer"), said.get("layer_subtype")
    if isinstance(layer, int) and hook in HOOKS:
        form["tap"] = f"blocks.{layer}.{HOOKS[hook]}"
    kind = said["activation_fn_str"]
    if said.get("architecture") == "gated":
        scale = np.exp(held["r_mag"])
        arrays |= {"encoder_bias": held["b_gate"], "gate_scale": scale, "gate_bias": held["b_mag"]}
        form["activation"] = "gated"
    else:
        arrays["encoder_bias"] = held["b_enc"]
        form["activation"] = kind
    if kind == "topk" and form["activation"] == "topk":
        form["k"] = int((said.get("activation_fn_kwargs") or {}).get("k", TOP_K))
    elif kind != "relu":
        raise InputError(f"{held.path} has the activation {kind!r}: relu, topk and gated relu are read of Prisma's")
    return Parts(form, arrays)

"""Dictionaries of sparsify (EleutherAI): a folder of cfg.json and sae.safetensors, called by its hook.

The k largest of relu((x - b_d) E + b_e). Its "groupmax" takes the largest of each of k groups of latents.
"""

from vitjax.errors import InputError
from vitjax.weights.dictionaries.held import Held, Parts


def known(held: Held) -> bool:
    """Whether the file is sparsify's."""
    return {"encoder.weight", "W_dec"} <= held.names


def read(held: Held) -> Parts:
    """Reads it."""
    said = held.settings
    if said.get("transcode") or said.get("skip_connection") or "W_skip" in held.names:
        raise InputError(f"{held.path} is a transcoder, from one tap to another, which is not read yet")
    if (kind := said.get("activation", "topk")) != "topk":
        raise InputError(f"{held.path} has the activation {kind!r}: topk is read of sparsify's")
    if not isinstance(k := said.get("k"), int):
        raise InputError(f"nothing says how many latents {held.path} keeps: put its cfg.json beside it")
    weight, encoder_bias, decoder, bias = held.some("encoder.weight", "encoder.bias", "W_dec", "b_dec")
    arrays = {"encoder": weight.T, "decoder": decoder, "encoder_bias": encoder_bias}
    return Parts({"activation": "topk", "k": k}, {**arrays, "pre_bias": bias, "decoder_bias": bias})

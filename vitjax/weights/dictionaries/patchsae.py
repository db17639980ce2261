"""Dictionaries of PatchSAE: a pickle of its config and a state dict; h = (x - b_d) E + b_e, relu, of all tokens.

Its site is CLIP ViT-B/16's last block but one, `blocks.10.resid_post`.
"""

from vitjax.weights.dictionaries.held import Held, Parts

NAMES = {"W_enc", "b_enc", "W_dec", "b_dec"}


def known(held: Held) -> bool:
    """Whether the file is PatchSAE's."""
    return held.where == "pickle" and held.names == NAMES


def read(held: Held) -> Parts:
    """Reads it."""
    encoder, encoder_bias, decoder, decoder_bias = held.some("W_enc", "b_enc", "W_dec", "b_dec")
    biases = {"pre_bias": decoder_bias, "encoder_bias": encoder_bias, "decoder_bias": decoder_bias}
    return Parts({}, {"encoder": encoder, "decoder": decoder, **biases})

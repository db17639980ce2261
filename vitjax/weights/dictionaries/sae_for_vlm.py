"""Dictionaries of sae-for-vlm, a fork of dictionary_learning: state dicts of its trainers.

With r = relu((x - b_d) E + b_e), z = r where r > threshold, which is -1 if it was never measured, or the k largest. Of
Matryoshka ones all groups are read. A standard one has columns of D brought to length 1 as it is loaded.
"""

import numpy as np

from vitjax.weights.dictionaries.held import Held, Parts

LINEAR = {"encoder.weight", "decoder.weight"}


def known(held: Held) -> bool:
    """Whether the file is sae-for-vlm's."""
    return held.names >= LINEAR or {"W_enc", "k", "group_sizes"} <= held.names


def read(held: Held) -> Parts:
    """Reads it."""
    if "bias" in held.names:
        return _standard(held)
    if "group_sizes" in held.names:
        encoder, encoder_bias, decoder, bias = held.some("W_enc", "b_enc", "W_dec", "b_dec")
    else:
        encoder, encoder_bias, decoder, bias = held.some("encoder.weight", "encoder.bias", "decoder.weight", "b_dec")
        encoder, decoder = encoder.T, decoder.T
    arrays = {"encoder": encoder, "decoder": decoder, "encoder_bias": encoder_bias}
    arrays |= {"pre_bias": bias, "decoder_bias": bias}
    if "threshold" not in held.names:
        return Parts({"activation": "topk", "k": int(held.number("k", 0))}, arrays)
    arrays["threshold"] = 0 * encoder_bias + held.number("threshold")
    return Parts({"activation": "threshold"}, arrays)


def _standard(held: Held) -> Parts:
    weight, encoder_bias, decoder, bias = held.some("encoder.weight", "encoder.bias", "decoder.weight", "bias")
    length = np.linalg.norm(decoder, axis=0)
    arrays = {"encoder": weight.T * length, "encoder_bias": encoder_bias * length, "decoder": (decoder / length).T}
    return Parts({}, {**arrays, "pre_bias": bias, "decoder_bias": bias})

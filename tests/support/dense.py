"""Swin in plain numpy and float64, over whole maps with masked keys: the oracle of encoders on visible tokens."""

import math

import numpy as np
from scipy.special import erf

from vitjax.models.hierarchical.swin import Swin, SwinConfig

NEVER = -1e9


def swin(model: Swin, images: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """The normed tokens of all places of the last stage, [batch, row, column, channel]; keys that are masked count not.

    Written for this test alone, by Swin's paper: a cyclic shift, windows, regions, a table of relative positions.

    Args:
        model: whose parameters are read.
        images: normalised, [batch, height, width, color].
        seen: which units are visible, [row, column].
    """
    config: SwinConfig = model.config
    p, width = config.patch_size[0], config.widths[0]
    x = images.astype(np.float64)
    count, side = len(x), x.shape[1] // p
    x = x.reshape(count, side, p, side, p, 3).swapaxes(2, 3).reshape(count, side, side, -1)
    x = _norm(_dense(x, model.patch), model.patch_norm)
    for number, stage in enumerate(model.stages):
        if number:
            four = [x[:, row::2, column::2] for column in (0, 1) for row in (0, 1)]
            x = _dense(_norm(np.concatenate(four, axis=-1), stage.merge.norm), stage.merge.reduction)
        width, side = config.widths[number], x.shape[1]
        window = min(config.windows[number], side)
        there = seen.repeat(side // len(seen), 0).repeat(side // len(seen), 1)
        for block in range(config.depths[number]):
            shift = window // 2 if block % 2 and window < side else 0
            held = stage.stack().block(block)
            heads = config.heads[number]
            y = _attention(_norm(x, held.norm1), held.attn.attn, heads, window, shift, there)
            x = x + y
            y = _dense(_norm(x, held.norm2), held.mlp.fc1)
            x = x + _dense(y * 0.5 * (1 + erf(y / math.sqrt(2))), held.mlp.fc2)
    assert x.shape[-1] == width
    return _norm(x, model.norm)


def _attention(x: np.ndarray, attn: object, heads: int, size: int, shift: int, there: np.ndarray) -> np.ndarray:
    side, width = x.shape[1], x.shape[-1]
    place = np.arange(side)
    region = 1 * (place >= side - size) + (place >= side - shift) if shift else 0 * place
    parts = _windows(np.roll(x, (-shift, -shift), (1, 2)), size)
    regions = _windows((3 * region[:, None] + region)[None, :, :, None], size)[..., 0]
    keys = _windows(np.roll(there, (-shift, -shift), (0, 1))[None, :, :, None], size)[..., 0]
    kernel = np.asarray(attn.qkv.kernel[...], np.float64).reshape(width, 3 * width)
    qkv = parts @ kernel + np.asarray(attn.qkv.bias[...], np.float64).reshape(-1)
    q, k, v = np.moveaxis(qkv.reshape(*qkv.shape[:2], 3, heads, -1), 2, 0)
    scores = np.einsum("wqhd,wkhd->whqk", q, k) / math.sqrt(width // heads)
    row, column = np.divmod(np.arange(size * size), size)
    which = (row[:, None] - row + size - 1) * (2 * size - 1) + column[:, None] - column + size - 1
    scores = scores + np.moveaxis(np.asarray(attn.bias.distances[...], np.float64)[which], -1, 0)
    allowed = (regions[:, :, None] == regions[:, None, :]) & keys[:, None, :].astype(bool)
    allowed = np.tile(allowed, (len(scores) // len(allowed), 1, 1))[:, None]
    scores = np.where(allowed, scores, NEVER)
    probs = np.exp(scores - scores.max(-1, keepdims=True))
    z = np.einsum("whqk,wkhd->wqhd", probs / probs.sum(-1, keepdims=True), v)
    out = z.reshape(*z.shape[:2], -1) @ np.asarray(attn.proj.kernel[...], np.float64).reshape(width, width)
    out = out + np.asarray(attn.proj.bias[...], np.float64)
    count = side // size
    out = out.reshape(-1, count, count, size, size, width).swapaxes(2, 3).reshape(-1, side, side, width)
    return np.roll(out, (shift, shift), (1, 2))


def _windows(x: np.ndarray, size: int) -> np.ndarray:
    count, side, _, channels = x.shape
    x = x.reshape(count, side // size, size, side // size, size, channels).swapaxes(2, 3)
    return x.reshape(-1, size * size, channels)


def _dense(x: np.ndarray, layer: object) -> np.ndarray:
    x = x @ np.asarray(layer.kernel[...], np.float64)
    return x if layer.bias is None else x + np.asarray(layer.bias[...], np.float64)


def _norm(x: np.ndarray, layer: object) -> np.ndarray:
    spread = np.sqrt(x.var(-1, keepdims=True) + layer.epsilon)
    scale, bias = (np.asarray(part[...], np.float64) for part in (layer.scale, layer.bias))
    return (x - x.mean(-1, keepdims=True)) / spread * scale + bias

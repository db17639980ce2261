"""Attention in windows: by hand, token by token, with shifts, with windows that do not fit, and at its taps."""

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from vitjax.errors import InputError
from vitjax.models.core.config import BlockConfig
from vitjax.models.core.taps import Taps
from vitjax.models.parts.attention import Attention
from vitjax.models.parts.positions import RelativeBias
from vitjax.models.parts.windows import APART, Windowed
from vitjax.units.select import token_span

CONFIG = BlockConfig(width=8, depth=1, heads=2, mlp_width=8)


def by_hand(attn: Attention, x: np.ndarray, grid, size, shift) -> np.ndarray:
    """The same for [token, channel] of one image: the grid rolled, filled up with zeros, each window by itself."""
    rows, columns = grid
    down, across = (-(-side // step) * step for side, step in zip(grid, size, strict=True))
    whole = np.zeros((down, across, x.shape[-1]))
    whole[:rows, :columns] = np.roll(x.reshape(rows, columns, -1), (-shift[0], -shift[1]), (0, 1))
    kernel, bias = np.asarray(attn.qkv.kernel[...]), np.asarray(attn.qkv.bias[...])
    qkv = np.einsum("rsc,cphd->rsphd", whole, kernel) + bias
    table, out = np.asarray(attn.bias.distances[...]), np.zeros_like(whole)

    def region(place: int, length: int, size: int, shift: int) -> int:
        return 0 if not shift else (place >= length - size) + (place >= length - shift)

    for r, s in np.ndindex(down, across):
        top, left = r // size[0] * size[0], s // size[1] * size[1]
        window = [(top + a, left + b) for a, b in np.ndindex(*size)]
        scores = np.zeros((2, len(window)))
        for k, (a, b) in enumerate(window):
            distance = (r - a + size[0] - 1) * (2 * size[1] - 1) + s - b + size[1] - 1
            scores[:, k] = (qkv[r, s, 0] * qkv[a, b, 1]).sum(axis=-1) / 2 + table[distance]
            parts = [(region(r, down, size[0], shift[0]), region(s, across, size[1], shift[1]))]
            parts.append((region(a, down, size[0], shift[0]), region(b, across, size[1], shift[1])))
            scores[:, k] += APART * (parts[0] != parts[1])
        probs = np.exp(scores - scores.max(axis=1, keepdims=True))
        probs /= probs.sum(axis=1, keepdims=True)
        z = np.einsum("hk,khd->hd", probs, np.stack([qkv[a, b, 2] for a, b in window]))
        out[r, s] = np.einsum("hd,hdc->c", z, np.asarray(attn.proj.kernel[...])) + np.asarray(attn.proj.bias[...])
    return np.roll(out[:rows, :columns], shift, (0, 1)).reshape(x.shape)


def windowed(grid, size, shift) -> Windowed:
    """A random attention in windows, with a random bias of each distance."""
    rngs = nnx.Rngs(0)
    bias = RelativeBias(size, CONFIG.heads)
    bias.distances[...] = np.random.default_rng(1).standard_normal(bias.distances.shape)
    return Windowed(Attention(CONFIG, rngs, bias), grid, size, shift)


@pytest.mark.parametrize(
    ("grid", "size", "shift"),
    [((4, 4), (2, 2), (0, 0)), ((4, 6), (2, 3), (1, 1)), ((5, 4), (3, 2), (1, 1)), ((4, 4), (2, 4), (1, 0))],
    ids=str,
)
def test_windows_by_hand(grid, size, shift):
    part = windowed(grid, size, shift)
    x = np.random.default_rng(2).standard_normal((2, grid[0] * grid[1], 8)).astype(np.float32)
    found = part(jnp.asarray(x), Taps())
    for one, image in zip(found, x, strict=True):
        np.testing.assert_allclose(one, by_hand(part.attn, image, grid, size, shift), rtol=1e-4, atol=1e-5)


def test_taps_show_the_grid_and_edits_leave_what_is_filled_up():
    part = windowed((5, 4), (3, 2), (1, 1))
    x = jnp.asarray(np.random.default_rng(2).standard_normal((2, 20, 8)), jnp.float32)
    taps = Taps(["q", "v", "scores", "z"])
    plain = part(x, taps)
    shapes = {tap: value.shape[1:] for tap, value in taps.values.items()}
    assert shapes == {"q": (5, 4, 2, 4), "v": (5, 4, 2, 4), "scores": (4, 2, 6, 6), "z": (5, 4, 2, 4)}
    q = np.einsum("btc,chd->bthd", x, part.attn.qkv.kernel[:, 0]) + np.asarray(part.attn.qkv.bias[0])
    np.testing.assert_allclose(taps.values["q"].reshape(q.shape), q, rtol=1e-5, atol=1e-6)
    taps = Taps(record=True)
    part(x, taps)
    assert taps.sites["scores"].grid is None and taps.sites["q"].grid == (5, 4)
    with pytest.raises(InputError, match="maps of this model"):
        token_span("patch 1", taps.sites["scores"])
    same = {name: lambda value: value + 0 for name in ("q", "k", "v", "scores", "probs", "z")}
    np.testing.assert_allclose(part(x, Taps((), same)), plain, rtol=1e-5, atol=1e-6)
    away = part(x, Taps((), {"z": lambda z: 0 * z}))
    np.testing.assert_allclose(away, jnp.broadcast_to(part.attn.proj.bias[...], away.shape), atol=1e-6)

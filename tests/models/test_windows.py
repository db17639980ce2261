"""Attention in windows: by hand, token by token, with shifts, with windows that do not fit, and at its taps."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from vitjax.errors import InputError
from vitjax.models.core.config import BlockConfig
from vitjax.models.core.taps import Taps
from vitjax.models.parts.attention import Attention
from vitjax.models.parts.positions import RelativeBias, distance_rows, log_distances
from vitjax.models.parts.windows import APART, Windowed, Windows
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
    project, offset = np.asarray(attn.proj.kernel[...]), np.asarray(attn.proj.bias[...])

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
        out[r, s] = np.einsum("hd,hdc->c", z, project) + offset
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
    for one, image in zip(np.asarray(found), x, strict=True):
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


@pytest.mark.parametrize(("pad_first", "size"), [(False, (7, 7)), (True, (7, 7)), (False, (4, 6))])
@pytest.mark.parametrize("grid", [(18, 14), (9, 7), (56, 56), (7, 7)], ids=str)
@pytest.mark.parametrize("shift", [(0, 0), (3, 3), (3, 0)], ids=str)
def test_places_say_where_each_token_of_a_window_stands(grid, shift, size, pad_first):
    windows = Windows(grid, size, shift, pad_first)
    places, x = windows.places, np.random.default_rng(0).standard_normal((2, grid[0] * grid[1], 3)).astype(np.float32)
    assert sorted(places[places >= 0]) == list(range(grid[0] * grid[1]))  # each once
    cut = np.asarray(windows.cut(jnp.asarray(x))).reshape(2, *places.shape, 3)
    assert np.array_equal(cut, np.where(places[..., None] < 0, 0, x[:, places]))
    scattered = np.zeros_like(x)
    scattered[:, places[places >= 0]] = cut[:, places >= 0]
    joined = windows.join(jnp.asarray(cut.reshape(-1, *cut.shape[2:])))
    assert np.array_equal(joined.reshape(x.shape), scattered) and np.array_equal(scattered, x)


def test_how_much_is_filled_up_and_kept_apart():
    places = Windows((18, 14), (7, 7), (3, 3)).places
    assert ((places < 0).sum(), places.size) == (42, 294)
    regions = Windows((56, 56), (7, 7), (3, 3)).regions
    apart = regions[:, :, None] != regions[:, None, :]
    assert (apart.sum(), apart.size, apart.any(axis=(1, 2)).sum(), regions.dtype) == (18_240, 153_664, 15, np.int8)
    assert Windows((56, 56), (7, 7)).regions is None
    one_sided = Windows((9, 7), (7, 7), (3, 0)).regions
    assert np.array_equal(np.unique(one_sided), [0, 3, 6])


def test_the_rows_of_tables_of_distances():
    rows = distance_rows((7, 7), 0)
    assert [rows[0, 0], rows[0, 1], rows[0, 7], rows[0, 48], rows[48, 0], rows.sum()] == [84, 83, 71, 0, 168, 201_684]
    rows = distance_rows((14, 10), 0)
    assert [rows[0, 0], rows[139, 0]] == [256, 512]


def test_distances_on_a_logarithmic_scale():
    golden = [0, 0.3665119, 0.572069, 0.7156138, 0.8260158, 0.9157446, 0.9913349, 1.0566417]
    along = log_distances((8, 8)).reshape(15, 15, 2)
    np.testing.assert_allclose(along[7, 7:, 1], golden, atol=2e-7)
    np.testing.assert_allclose(along[7::-1, 7, 0], np.negative(golden), atol=2e-7)
    np.testing.assert_allclose(log_distances((16, 16), 12)[-1], 1.1913305, atol=2e-7)


def test_the_mask_is_compared_in_the_program_and_not_copied_for_each_image():
    part = windowed((8, 8), (4, 4), (2, 2))
    program = jax.make_jaxpr(lambda x: part(x, Taps()))(jnp.zeros((32, 64, 8)))
    assert max(map(np.size, program.consts)) <= 256  # the rows of the table; all four masks have 1,024 entries
    shapes = {variable.aval.shape for equation in program.eqns for variable in equation.outvars}
    assert (32, 4, 2, 16, 16) in shapes and (4, 1, 16, 16) in shapes and (128, 1, 16, 16) not in shapes


def test_scores_say_where_their_queries_and_keys_stand():
    part, where = windowed((5, 4), (3, 2), (1, 1)), 13  # row 3, column 1
    x = jnp.zeros((1, 20, 8)).at[0, where].set(3.0)
    taps = Taps(["q", "scores"], record=True)
    part(x, taps)
    site, scores = taps.sites["scores"], taps.values["scores"][0]
    assert site.axes == ("window", "head", "query", "key") and site.cut.grid == (5, 4)
    ((window, query),) = np.argwhere(site.cut.places == where)
    q = np.asarray(taps.values["q"][0, 3, 1])
    k = np.einsum("c,chd->hd", x[0, where], part.attn.qkv.kernel[:, 1]) + np.asarray(part.attn.qkv.bias[1])
    expected = (q * k).sum(axis=-1) / 2 + np.asarray(part.attn.bias.distances[7])  # a distance of zero
    np.testing.assert_allclose(scores[window, :, query, query], expected, rtol=1e-4)
    assert taps.sites["q"].cut is None

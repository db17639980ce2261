"""Dynamic Token Normalization against its definition, computed by numpy in float64."""

from dataclasses import replace
from itertools import product
from math import prod

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from vitjax.errors import InputError
from vitjax.models import flops
from vitjax.models.norms.dtn import PAPER, REFERENCE, Preset, TokenNorm
from vitjax.models.norms.neighbours import beginning

CERTAIN = 60.0  # a logit whose sigmoid is 1
RNG = np.random.default_rng(0)


@jax.jit
def run(norm: TokenNorm, x: jax.Array, places: jax.Array | None = None) -> jax.Array:
    """What the norm gives, compiled as one."""
    return norm(x, places)


def made(width: int, heads: int, grid: tuple[int, ...], preset: Preset = PAPER, **values: np.ndarray) -> TokenNorm:
    """A norm in float64 with these values of its parameters, a λ for both of its kinds."""
    norm = TokenNorm(width, heads, grid, nnx.Rngs(0), preset=preset)
    if "mix" in values and not preset.tied:
        values["mix_mean"] = values["mix_variance"] = values.pop("mix")
    for name, variable in vars(norm).items():
        if isinstance(variable, nnx.Param):
            variable.set_value(jnp.asarray(np.broadcast_to(values.get(name, variable[...]), variable.shape), float))
    return norm


def definition(norm: TokenNorm, x: np.ndarray, there: np.ndarray | None = None) -> np.ndarray:
    """What the norm is, by loops over heads and places; of places that are not there no other knows."""
    preset, grid = norm.preset, norm.grid
    value = lambda name: np.asarray(getattr(norm, name)[...], np.float64)
    share = lambda name: 1 / (1 + np.exp(-value("mix" if preset.tied else name)))
    z = np.asarray(x, np.float64).reshape(*x.shape[:2], norm.heads, -1)
    if preset.prenorm:
        z = z / np.sqrt((z**2).mean(-1, keepdims=True) + norm.eps)
    flat = z.reshape(*z.shape[:2], -1)
    mean, variance = flat.mean(-1), flat.var(-1, ddof=preset.ddof)
    cell = max(1, max(grid) // 14) if preset.pool else 1
    places = list(product(*(range(side // cell) for side in grid)))
    of = [tuple(i // cell for i in place) for place in product(*map(range, grid))]
    out = np.zeros_like(z)
    for head, terms in enumerate(value("position")):
        pooled = np.stack([z[:, [p == place for p in of], head].mean(1) for place in places], 1)
        for number, place in enumerate(of):
            off = np.array(place) - np.array(places)
            scores = off[:, ::-1] @ terms[:-1] + (off**2).sum(1) * terms[-1]
            weights = np.exp(scores - scores.max()) * (1 if there is None else there)
            weights /= weights.sum()
            near, square = (np.einsum("bpc,p->bc", part, weights) for part in (pooled, pooled**2))
            of_mean, of_variance = share("mix_mean")[head], share("mix_variance")[head]
            m = of_mean * mean[:, number, None] + (1 - of_mean) * near
            v = of_variance * variance[:, number, None] + (1 - of_variance) * (square - near**2)
            out[:, number, head] = (z[:, number, head] - m) / np.sqrt(v + norm.eps)
    return out.reshape(x.shape) * value("scale") + value("bias")


def cast(norm: TokenNorm, dtype: jnp.dtype) -> TokenNorm:
    """The same norm with parameters of another dtype."""
    return jax.tree.map(lambda leaf: leaf.astype(dtype), norm)


def drawn(norm: TokenNorm) -> dict[str, np.ndarray]:
    """Values for all of its parameters."""
    shapes = {name: part.shape for name, part in vars(norm).items() if isinstance(part, nnx.Param)}
    return {name: RNG.normal(0, 0.5, shape) for name, shape in shapes.items()}


@pytest.mark.parametrize(
    ("grid", "heads", "preset"),
    [
        ((3, 5), 4, PAPER),
        ((3, 5), 4, replace(PAPER, separable=False)),
        ((11,), 3, PAPER),
        ((4, 4), 6, replace(PAPER, tied=False, ddof=1)),
        ((28, 28), 1, REFERENCE),
    ],
)
def test_it_is_what_the_definition_says(grid, heads, preset):
    with jax.enable_x64(True):
        norm = made(4 * heads, heads, grid, preset)
        norm = made(4 * heads, heads, grid, preset, **drawn(norm))
        x = RNG.normal(1.5, 3, (2, prod(grid), 4 * heads))
        np.testing.assert_allclose(
            jax.jit(lambda norm, x: norm(x))(norm, jnp.asarray(x)), definition(norm, x), atol=1e-11
        )


def test_with_the_token_alone_it_is_layer_norm_and_with_all_alike_instance_norm():
    x = RNG.normal(1.5, 3, (2, 16, 8))
    layer = (x - x.mean(2, keepdims=True)) / np.sqrt(x.var(2, keepdims=True) + 1e-5)
    instance = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-5)
    with jax.enable_x64(True):
        token, alike = made(8, 2, (4, 4), mix=CERTAIN), made(8, 2, (4, 4), mix=-CERTAIN, position=0.0)
        np.testing.assert_allclose(run(token, x), layer, atol=1e-12)
        np.testing.assert_allclose(run(alike, x), instance, atol=1e-12)
        token = cast(token, jnp.float32)
    np.testing.assert_allclose(run(token, x.astype(np.float32)), layer, atol=1e-5)


def test_the_reference_normalises_heads_first_and_counts_one_channel_less():
    x = RNG.normal(1.5, 3, (2, 16, 8))
    heads = x.reshape(2, 16, 2, 4)
    z = (heads / np.sqrt((heads**2).mean(-1, keepdims=True) + 1e-5)).reshape(x.shape)
    layer = lambda x, ddof: (x - x.mean(2, keepdims=True)) / np.sqrt(x.var(2, keepdims=True, ddof=ddof) + 1e-5)
    instance = (z - z.mean(1, keepdims=True)) / np.sqrt(z.var(1, keepdims=True) + 1e-5)
    with jax.enable_x64(True):
        found = np.asarray(run(made(8, 2, (4, 4), REFERENCE, mix=CERTAIN), x))
        np.testing.assert_allclose(found, layer(z, 1), atol=1e-12)
        assert abs(found - layer(x, 0)).max() > 0.5 and 1e-3 < abs(found - layer(z, 0)).max() < 0.2
        found = run(made(8, 2, (4, 4), REFERENCE, mix=-CERTAIN, position=0.0), x)
        np.testing.assert_allclose(found, instance, atol=1e-12)


def test_it_begins_with_one_neighbour_for_each_head():
    steps = {9: (-2, 0, 2), 4: (-1, 1), 16: (-3, -1, 1, 3)}
    for heads, along in steps.items():
        assert {tuple(row) for row in beginning(heads, 2)} == {(*step, -1) for step in product(along, along)}
    assert not beginning(6, 2)[4:].any() and beginning(6, 2)[:4].all()
    assert beginning(3, 1).tolist() == [[-2, -1], [0, -1], [2, -1]]
    norm = TokenNorm(9, 9, (14, 14), nnx.Rngs(0))
    assert jax.nn.sigmoid(norm.mix[...]).tolist() == [0.5] * 9
    whole = np.asarray(norm.whole()).reshape(9, 14, 14, 196)
    np.testing.assert_allclose(whole.sum((1, 2)), 1, atol=1e-6)
    for head, (right, down, _) in enumerate(beginning(9, 2) / 2):
        at = np.unravel_index(whole[head, :, :, 7 * 14 + 7].argmax(), (14, 14))
        assert at == (7 - down, 7 - right) and whole[head, :, :, 105].max() == pytest.approx(0.318, abs=5e-4)
    left = TokenNorm(9, 9, (14, 14), nnx.Rngs(0), preset=REFERENCE).position[...]
    assert 0.01 < np.std(left) < 0.03


@pytest.mark.parametrize("side", [7, 14, 28])
def test_axis_by_axis_is_the_matrix_of_all_places(side):
    with jax.enable_x64(True):
        values = drawn(made(8, 4, (side, side)))
        x = RNG.normal(1, 2, (1, side**2, 8))
        parts, whole = (made(8, 4, (side, side), replace(PAPER, separable=way), **values) for way in (True, False))
        np.testing.assert_allclose(run(parts, x), run(whole, x), atol=1e-12)


def test_it_knows_relative_positions_alone():
    norm, x = TokenNorm(8, 4, (14, 14), nnx.Rngs(0)), np.zeros((1, 14, 14, 8), np.float32)
    x[:, 6:8, 6:8] = RNG.normal(0, 1, (2, 2, 8))
    y, rolled = (np.asarray(run(norm, x.reshape(1, 196, 8))).reshape(x.shape) for x in (x, np.roll(x, 2, (1, 2))))
    np.testing.assert_allclose(rolled[:, 5:11, 5:11], np.roll(y, 2, (1, 2))[:, 5:11, 5:11], atol=1e-6)


@pytest.mark.parametrize(("side", "cell"), [(56, 4), (28, 2), (14, 1), (7, 1)])
def test_the_reference_pools_cells_of_fine_grids(side, cell):
    reference, paper = (TokenNorm(2, 1, (side, side), nnx.Rngs(0), preset=preset) for preset in (REFERENCE, PAPER))
    shape = lambda norm: jax.eval_shape(norm.along)[0].shape
    assert (shape(reference), shape(paper)) == ((1, side // cell, side // cell), (1, side, side))


def test_a_sample_is_normalised_by_itself():
    norm, x = TokenNorm(8, 4, (3, 3), nnx.Rngs(0)), RNG.normal(0, 1, (4, 9, 8)).astype(np.float32)
    found = run(norm, x)
    np.testing.assert_allclose(run(norm, np.concatenate([x[:1], 5 + x[1:]]))[0], found[0], atol=1e-6)
    norm.train()
    np.testing.assert_array_equal(run(norm, x), found)


def test_tokens_that_are_not_there_are_known_to_none():
    grid, batch = (4, 5), 2
    with jax.enable_x64(True):
        norm = made(8, 4, grid, **drawn(made(8, 4, grid)))
        x, there = RNG.normal(1, 2, (batch, 20, 8)), np.isin(np.arange(20), [2, 3, 7, 8, 12, 13])
        order = RNG.permutation(np.flatnonzero(there))
        due = definition(norm, x, there)
        found = run(norm, x[:, order], order)
        np.testing.assert_allclose(found, due[:, order], atol=1e-10)
        of_each = np.stack([order, np.arange(6)])
        np.testing.assert_allclose(run(norm, x[:, order], of_each)[0], found[0], atol=1e-12)
        filled = np.where(there, np.arange(20), -1)
        np.testing.assert_allclose(run(norm, x, filled)[:, there], due[:, there], atol=1e-10)
        np.testing.assert_allclose(run(norm, x, np.arange(20)), run(norm, x), atol=1e-12)


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_nearly_constant_tokens_in_16_bits(dtype):
    x, norm = jnp.asarray(2 + 0.01 * RNG.normal(0, 1, (4, 196, 36)), dtype), made(36, 9, (14, 14), mix=-CERTAIN)
    found = np.asarray(run(cast(norm, dtype), x), np.float32)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found, run(cast(norm, jnp.float32), x.astype(jnp.float32)), atol=3e-2)
    gradient = jax.jit(jax.grad(lambda x: cast(norm, dtype)(x).astype(jnp.float32).sum()))
    assert np.isfinite(gradient(jnp.full_like(x, 2))).all()


def test_gradients_are_finite_differences():
    with jax.enable_x64(True):
        preset = replace(PAPER, tied=False)
        values = drawn(made(8, 4, (3, 3), preset))
        x, back = (RNG.normal(0, 1, (1, 9, 8)) for _ in range(2))
        total = jax.jit(lambda norm: (norm(jnp.asarray(x)) * back).sum())
        gradient = jax.jit(jax.grad(total))(made(8, 4, (3, 3), preset, **values))
        for name in ("mix_mean", "mix_variance", "position"):
            step = 1e-5 * RNG.normal(0, 1, values[name].shape)
            up, down = (total(made(8, 4, (3, 3), preset, **values | {name: values[name] + s})) for s in (step, -step))
            assert float((getattr(gradient, name)[...] * step).sum()) == pytest.approx(float(up - down) / 2, rel=1e-5)


def test_operations_and_parameters():
    x = jax.ShapeDtypeStruct((1, 196, 384), jnp.float32)
    counts = {}
    for separable in (True, False):
        norm = TokenNorm(384, 6, (14, 14), nnx.Rngs(0), preset=replace(PAPER, separable=separable))
        counts[separable] = flops.operations(norm, x) / 2
    assert counts[True] == pytest.approx(4 * 14 * 196 * 384, rel=0.02)
    assert counts[False] == pytest.approx(2 * 196**2 * 384, rel=0.02)
    own = lambda preset: sum(
        leaf.size for leaf in jax.tree.leaves(TokenNorm(432, 9, (14, 14), nnx.Rngs(0), preset=preset))
    )
    assert 20 * (own(REFERENCE) - 2 * 432) == 900 and own(PAPER) - 2 * 432 == 4 * 9


def test_mistakes_are_one_line():
    norm = TokenNorm(8, 4, (14, 14), nnx.Rngs(0))
    with pytest.raises(InputError, match="without a class token before them"):
        norm(jnp.zeros((1, 197, 8)))
    with pytest.raises(InputError, match="195 tokens do not fill a grid of 14x14"):
        norm(jnp.zeros((1, 195, 8)))
    with pytest.raises(InputError, match="width 10 does not split into 4 heads"):
        TokenNorm(10, 4, (2, 2), nnx.Rngs(0))
    with pytest.raises(InputError, match="none can be left out"):
        TokenNorm(8, 4, (28, 28), nnx.Rngs(0), preset=REFERENCE)(jnp.zeros((1, 2, 8)), jnp.arange(2))

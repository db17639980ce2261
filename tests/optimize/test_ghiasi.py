"""The method of Ghiasi et al. 2022 to the digit: the acceptance checks of the re-implementation, by number."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from tests.support import small
from vitjax.models.core.config import ViTConfig
from vitjax.models.core.tap_site import Site
from vitjax.models.parts.mlp import ACTIVATIONS
from vitjax.optimize import augment, loop
from vitjax.optimize.goals.penalties import total_variation
from vitjax.optimize.objectives import UnitActivation
from vitjax.optimize.parametrize import parametrization
from vitjax.optimize.recipes import GHIASI, choose


def picture(side: int, batch: int = 1) -> np.ndarray:
    """x[b, i, j, c] = ((3c + 5i + 7j + ij + 2b) mod 11) / 10."""
    b, i, j, c = np.ogrid[:batch, :side, :side, :3]
    return ((3 * c + 5 * i + 7 * j + i * j + 2 * b) % 11) / 10


@pytest.mark.parametrize(
    ("side", "batch", "value"),
    [
        (8, 1, 12.3237513),
        (16, 1, 26.8432084),
        (32, 1, 54.7611355),
        (224, 1, 392.8207743),
        (8, 2, 12.4165851),
        (16, 2, 27.1474044),
        (32, 2, 55.2939220),
        (224, 2, 396.9532931),
    ],
)
def test_1_total_variation(side, batch, value):
    found = jax.jit(total_variation)(jnp.asarray(picture(side, batch), jnp.float32))
    np.testing.assert_allclose(np.asarray(found).mean(), value, rtol=1e-5)


def test_2_total_variation_is_not_circular():
    rolled = np.roll(picture(16), (5, -3), (1, 2))
    np.testing.assert_allclose(total_variation(jnp.asarray(rolled, jnp.float32)).mean(), 27.0956722, rtol=1e-5)


@pytest.mark.parametrize(("side", "value"), [(384, 625.84), (224, 364.57)])
def test_3_total_variation_of_noise(side, value):
    noise = jax.random.uniform(jax.random.key(0), (1, side, side, 3))
    assert abs(jax.jit(total_variation)(noise).mean() - value) < 1


def test_3_gradient_at_a_constant_image_is_zero():
    gradient = jax.jit(jax.grad(lambda image: total_variation(image).mean()))
    assert np.all(np.asarray(gradient(jnp.full((1, 8, 8, 3), 0.3))) == 0)


TAP = "blocks.0.resid_post"


class Seen:
    """Stands in for a model whose one token is the image itself."""

    config = ViTConfig(image_size=(16, 16), patch_size=(16, 16), class_token=False, pool="mean")

    def normalise(self, images):
        return images

    embed = normalise

    def taps(self):
        return {TAP: Site((1, 1), ("token", "channel"), (1, 1))}

    def columns(self, tap):
        return None


@jax.tree_util.register_static
class Constant(Seen):
    """View k of every picture has activation k + 1."""

    def from_embedding(self, images, reads, execution):
        return {TAP: jnp.arange(1.0, len(images) + 1)[:, None, None]}


def test_4_the_factor_of_an_eighth():
    program = loop.program(choose("ghiasi", total_variation=0, jitter_per_view=True), UnitActivation(TAP))
    aim = loop.Targets(jnp.zeros(1, jnp.int32), jnp.zeros(1, jnp.uint32), jnp.uint32(0))
    loss_of, keys = jax.jit(loop.loss_of, static_argnames="program"), loop.slot_keys(aim)[1]
    loss, _ = loss_of(Constant(), jnp.ones((1, 16, 16, 3)), aim, keys, jnp.int32(0), program=program)
    np.testing.assert_allclose(loss, -0.5625, rtol=1e-6)


def test_5_color_shift():
    draws = jax.vmap(lambda key: augment.color_shift(key, jnp.int32(0), GHIASI))(
        jax.random.split(jax.random.key(1), 12_500)
    )
    mu, sigma = (np.asarray(a).reshape(-1, 3) for a in draws)
    inverse = 1 / sigma
    assert inverse.mean() == pytest.approx(1.17520, abs=0.005)
    assert inverse.std() == pytest.approx(0.65752, abs=0.005)
    assert np.exp(-1) <= inverse.min() and inverse.max() <= np.e and mu.min() >= -1 and mu.max() < 1
    assert abs(np.corrcoef(mu[:, 0], mu[:, 1])[0, 1]) < 0.02 and abs(np.corrcoef(sigma[:, 0], sigma[:, 1])[0, 1]) < 0.02
    key, image = jax.random.key(2), jnp.asarray(picture(16)[0], jnp.float32)
    seen = augment.views(key, image, jnp.int32(0), choose("ghiasi", noise=0, jitter=0)).images
    mu, sigma = augment.color_shift(jax.random.split(key, 3)[0], jnp.int32(0), GHIASI)
    np.testing.assert_allclose(seen, (image - mu) / sigma, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("step", "std"), [(0, 0.4975), (1, 0.49625), (200, 0.2475), (397, 0.00125), (398, 0), (400, 0)]
)
def test_6_noise(step, std):
    np.testing.assert_allclose(augment.noise_scale(jnp.int32(step), GHIASI), std, rtol=1e-6)
    keys = jax.random.split(jax.random.key(3), 2000)
    noise = jax.vmap(lambda key: augment.noise_at(key, (8, 16, 16, 3), jnp.int32(step), GHIASI))(keys)
    assert noise.shape == (2000, 8, 1, 1, 3)
    assert np.asarray(noise).std() == pytest.approx(std, rel=0.02)


def test_7_jitter():
    recipe = choose("ghiasi", color="none", noise=0)
    image = jnp.arange(80 * 80 * 3, dtype=jnp.float32).reshape(80, 80, 3)
    keys = jax.random.split(jax.random.key(4), 600)

    def first(key):
        seen = augment.views(key, image, jnp.int32(0), recipe).images
        return seen[0, 0, 0, 0], jnp.all(seen == seen[:1]), jnp.sum(seen[0])

    corner, shared, total = map(np.asarray, jax.jit(jax.vmap(first))(keys))
    assert shared.all() and np.ptp(total) <= 1e-4 * total.mean()
    rows, columns = np.divmod(corner.astype(int) // 3, 80)
    for offsets in (rows, columns):
        assert set((offsets + 40) % 80 - 40) == set(range(-32, 33))
    seen = np.asarray(augment.views(keys[0], image, jnp.int32(0), recipe).images)[3]
    assert np.array_equal(np.sort(seen, axis=None), np.asarray(image).ravel())


@pytest.mark.parametrize("per_view", [False, True])
def test_7_jitter_gives_each_pixel_its_own_gradient(per_view):
    recipe, key = choose("ghiasi", views=2, jitter_per_view=per_view), jax.random.key(3)
    image, ways = jax.random.normal(key, (1, 9, 12, 3)), jax.random.normal(key, (1 + per_view, 9, 12, 3))
    along = lambda image: (augment.roll(key, image, recipe) * ways).sum()
    found, there = jax.grad(along)(image), jnp.arange(image.size, dtype=jnp.float32).reshape(image.shape)
    taken = augment.roll(key, there, recipe).astype(jnp.int32).ravel()
    assert np.allclose(found.ravel(), np.bincount(taken, np.asarray(ways).ravel(), image.size), atol=1e-6)


def test_8_schedule():
    schedule = optax.cosine_decay_schedule(GHIASI.learning_rate, GHIASI.steps - 1)
    wanted = {
        0: 0.1,
        1: 0.0999984579,
        100: 0.0853553391,
        200: 0.05,
        300: 0.0146446609,
        398: 6.168e-6,
        399: 1.542e-6,
        400: 0,
    }
    for step, rate in wanted.items():
        np.testing.assert_allclose(schedule(step), rate, rtol=1e-3 if step > 390 else 1e-6, atol=1e-12)


@jax.tree_util.register_static
class Waves(Seen):
    """Activation mean_cij gelu(4 y w), w = cos(.3 i + .2 j + c), on views y."""

    def from_embedding(self, images, reads, execution):
        i, j, c = np.ogrid[:16, :16, :3]
        waves = jnp.asarray(np.cos(0.3 * i + 0.2 * j + c), jnp.float32)
        return {TAP: jax.nn.gelu(4 * images * waves, approximate=False).mean((1, 2, 3))[:, None, None]}


def fixed_views(key, image, step, recipe):
    """Views of the golden run: mu = (-1)^(k+c) .1 (k+1)(c+1)/3, sigma = exp((((k+2c) mod 5) - 2)/2)."""
    k, c = np.ogrid[:8, :3]
    mu, sigma = (-1.0) ** (k + c) * 0.1 * (k + 1) * (c + 1) / 3, np.exp(((k + 2 * c) % 5 - 2) / 2)
    seen = ((image[None] - mu[:, None, None]) / sigma[:, None, None]).astype(jnp.float32)
    return augment.Views(seen, jnp.ones((8, 1, 1, 3)), jnp.zeros((8, 1, 1, 3)))


GOLDEN = {  # update: loss and total variation at it; mean, std and one pixel after it
    (0.1, 0.0005): {
        1: {"loss": -0.09317639, "tv": 34.794355, "mean": 0.51719089, "std": 0.30780374, "pixel": 0.90000945},
        2: {"loss": -0.11247477, "tv": 31.843760, "mean": 0.53293882, "pixel": 0.80322860},
        10: {"loss": -0.21033584, "tv": 13.715593, "mean": 0.59661919, "std": 0.43722985, "pixel": 0.74918578},
        100: {"loss": -0.21353155, "tv": 14.339245, "mean": 0.52388646},
        401: {"loss": -0.21353665, "tv": 14.324091, "mean": 0.52385153, "std": 0.47125812, "pixel": 0.13767962},
    },
    (0.01, 0.00005): {
        1: {"mean": 0.50162099, "std": 0.31829618},
        10: {"loss": -0.12552603, "tv": 35.434549, "mean": 0.52491838},
        401: {"loss": -0.21255882, "tv": 34.355006, "mean": 0.66660486, "std": 0.45552712},
    },
}


@pytest.mark.parametrize("setting", GOLDEN, ids=str)
def test_9_golden_trajectory(setting, monkeypatch):
    monkeypatch.setattr(loop, "views", fixed_views)
    recipe = choose("ghiasi", learning_rate=setting[0], total_variation=setting[1])
    program, model = loop.program(recipe, UnitActivation(TAP), chunk=1), Waves()
    aim = loop.Targets(jnp.zeros(1, jnp.int32), jnp.zeros(1, jnp.uint32), jnp.uint32(0))
    slots = loop.start(model, aim, recipe=program.recipe)._replace(params=jnp.asarray(picture(16), jnp.float32))
    for update in range(1, 402):
        slots, history = loop.advance(model, slots, aim, program=program)
        params = np.asarray(slots.params)
        if golden := GOLDEN[setting].get(update):
            x = params[0].astype(np.float64)
            seen = {
                "loss": history.loss[0, 0],
                "tv": history.total_variation[0, 0],
                "mean": x.mean(),
                "std": x.std(ddof=1),
                "pixel": x[3, 5, 0],
            }
            tolerance = 1e-5 if update <= 10 else 1e-4
            for name, value in golden.items():
                np.testing.assert_allclose(seen[name], value, rtol=tolerance, err_msg=f"{name} at update {update}")
        assert params.min() >= 0 and params.max() <= 1


def test_8_the_last_of_401_updates_changes_nothing():
    recipe, tap = choose("ghiasi", views=1), "blocks.0.mlp.hidden"
    aim, program = small.aims(f"{tap}:5"), loop.program(recipe, UnitActivation(tap), chunk=200)
    assert (program.calls, program.chunk) == (3, 134)
    slots = loop.start(small.model(), aim, recipe=program.recipe)
    rows = []
    for _ in range(program.calls):
        slots, history = loop.advance(small.model(), slots, aim, program=program)
        rows.append(np.asarray(history.loss))
    assert int(slots.step) == 401
    assert np.isfinite(np.concatenate(rows)[:401]).all() and np.isnan(np.concatenate(rows)[401:]).all()
    one = loop.program(recipe, UnitActivation(tap), chunk=1)
    slots = slots._replace(step=jnp.int32(400), optimizer=_rewound(slots.optimizer))
    before = np.asarray(slots.params)
    after, _ = loop.advance(small.model(), slots, aim, program=one)
    assert np.array_equal(before, after.params)


def _rewound(state):
    """The optimizer's state with its counters back at 400."""
    return jax.tree.map(lambda leaf: jnp.full_like(leaf, 400) if leaf.dtype == jnp.int32 else leaf, state)


def test_10_first_and_last_pixels():
    start = parametrization((96, 96), GHIASI).init(jax.random.key(5))
    assert float(start.mean()) == pytest.approx(0.5, abs=0.01) and float(start.std()) == pytest.approx(0.2887, abs=0.01)
    slots, images = small.optimised("blocks.1.mlp.hidden:0-1", choose("ghiasi", steps=5))
    assert np.array_equal(images, np.round(255 * np.asarray(slots.params)).astype(np.uint8))


def test_11_the_hooked_value():
    model, image = small.model(), jnp.asarray(picture(32), jnp.float32)
    values = small.read(model, image, reads=("blocks.2.mlp.hidden", "blocks.2.mlp.out"))
    block = jax.tree.map(lambda leaf: leaf[2], model.blocks)
    np.testing.assert_allclose(block.mlp.fc2(values["blocks.2.mlp.hidden"]), values["blocks.2.mlp.out"], atol=1e-5)
    gelu = ACTIVATIONS["gelu"]
    np.testing.assert_allclose(gelu(jnp.float32(1)), 0.841345, rtol=1e-6)
    np.testing.assert_allclose(gelu(jnp.linspace(-2, 0, 20_001)).min(), -0.16997, rtol=1e-4)
    _, history = loop.advance(
        model,
        loop.start(model, small.aims("blocks.2.mlp.hidden:7"), recipe=one_clean_step().recipe),
        small.aims("blocks.2.mlp.hidden:7"),
        program=one_clean_step(),
    )
    start = loop.start(model, small.aims("blocks.2.mlp.hidden:7"), recipe=one_clean_step().recipe)
    patches = small.read(model, start.params, reads="blocks.2.mlp.hidden")["blocks.2.mlp.hidden"][:, 3:, 7]
    np.testing.assert_allclose(history.activation[0, 0], patches.mean(), rtol=1e-5)


def one_clean_step() -> loop.Program:
    """One step on a single view without augmentation."""
    recipe = choose("ghiasi", steps=1, views=1, color="none", noise=0, jitter=0)
    return loop.program(recipe, UnitActivation("blocks.2.mlp.hidden"))


def test_12_the_truncated_forward_is_the_full_one():
    model, images = small.model(), jnp.asarray(picture(32, 2), jnp.float32)

    def loss(images, *more):
        return model(images, ["blocks.1.mlp.hidden", *more])["blocks.1.mlp.hidden"][:, 3:, 7].mean()

    both = jax.jit(jax.value_and_grad(loss), static_argnums=(1, 2))
    short, full = (both(images, *more) for more in ([], ["logits", "blocks.3.resid_post"]))
    for a, b in zip(short, full, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6 * np.abs(b).max())


@pytest.mark.exhaustive
def test_13_together_or_alone():
    recipe, tap = choose("ghiasi", steps=64, views=4), "blocks.2.mlp.hidden"
    together, _ = small.optimised(f"{tap}:0-15", recipe)
    for slot in (0, 9):
        alone, _ = small.optimised(f"{tap}:{slot}", recipe)
        np.testing.assert_allclose(alone.params[0], together.params[slot], atol=1e-4)


def test_30_the_same_seed_gives_the_same_bytes():
    recipe, units = choose("ghiasi", steps=20, views=2), "blocks.0.mlp.hidden:3,5"
    first, again, other = (small.optimised(units, recipe, seed)[1].tobytes() for seed in (0, 0, 1))
    assert first == again != other
    shallow, deep = (
        loop.start(small.model(), small.aims(f"blocks.{i}.mlp.hidden:3"), recipe=recipe).params for i in (1, 2)
    )
    assert not np.array_equal(shallow, deep)  # the same index in two layers starts from different noise


@pytest.mark.parametrize("shift", [(0, 0), (3, -4), (-5, 7)])
def test_a_roll_by_products_is_a_roll_to_the_bit(shift):
    image = jax.random.normal(jax.random.key(0), (17, 24, 3))
    np.testing.assert_array_equal(augment._rolled_by_products(image, jnp.array(shift)), np.roll(image, shift, (0, 1)))

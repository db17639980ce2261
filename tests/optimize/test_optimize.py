"""The loop and its surroundings: slots that do not know each other, one compile per tap, devices, objectives."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.support import small
from tests.support.plain import PLAIN
from vitjax.errors import InputError
from vitjax.models.core.config import ViTConfig
from vitjax.models.core.execution import Execution
from vitjax.models.registry import abstract, random
from vitjax.optimize import augment, loop, memory
from vitjax.optimize.augment import views
from vitjax.optimize.cost import step_flops
from vitjax.optimize.objectives import AlongDirection, UnitActivation
from vitjax.optimize.optimizers import transform
from vitjax.optimize.parametrize import parametrization as parametrization_of
from vitjax.optimize.recipes import Recipe, choose
from vitjax.optimize.schedule.plan import plan
from vitjax.optimize.visualize import paint, resolve, visualize
from vitjax.units.units import Direction, Unit, expand, sample

SHORT = choose("default", steps=6, views=2, stages=())
STILL = choose(SHORT, **PLAIN)


@pytest.mark.parametrize("recipe", [SHORT, choose("ghiasi", steps=6, views=2)], ids=["default", "ghiasi"])
def test_permuting_slots_changes_nothing(recipe):
    tap = "blocks.0.mlp.hidden"
    _, straight = small.optimised(f"{tap}:0,1,2,3", recipe)
    _, shuffled = small.optimised(f"{tap}:2,0,3,1", recipe)
    assert np.array_equal(straight[[2, 0, 3, 1]], shuffled)


def test_one_compile_serves_all_units_of_a_tap():
    loop.advance.clear_cache()
    recipe = choose(SHORT, steps=7)
    for units in ("0-3", "40-43", "95,1,7,2"):
        small.optimised(f"blocks.1.mlp.hidden:{units}", recipe, seed=len(units), chunk=3)
    assert loop.advance._cache_size() == 1


@pytest.mark.exhaustive
def test_chunks_do_not_change_the_picture():
    tap = "blocks.0.mlp.hidden:1,2"
    whole, halves = (small.optimised(tap, choose(SHORT, steps=10), chunk=chunk)[0].params for chunk in (10, 3))
    np.testing.assert_allclose(whole, halves, atol=1e-5)


@pytest.mark.exhaustive
def test_each_recipe_raises_the_activation():
    for name, steps in {"default": 200, "ghiasi": 40}.items():
        recipe = choose(name, steps=steps, views=2)
        pictures = visualize(small.model(), "blocks.2.mlp.pre:0-3", recipe)
        taken = sum(leg.recipe.steps for leg in plan(recipe, small.CONFIG, UnitActivation("blocks.2.mlp.pre")))
        assert pictures.images.shape == (4, 32, 32, 3) and pictures.images.dtype == np.uint8
        assert pictures.history["activation"].shape == (4, taken) and np.isfinite(pictures.history["loss"]).all()
        assert (pictures.activation > pictures.history["activation"][:, 0]).all(), name


def test_the_reported_activation_is_that_of_the_bytes():
    pictures = visualize(small.model(), ["blocks.0.mlp.hidden:5", "blocks.1.attn.z:2.3", "logits:4"], STILL)
    reads = ("blocks.0.mlp.hidden", "blocks.1.attn.z", "logits")
    values = small.read(small.model(), pictures.images / np.float32(255), reads=reads)
    wanted = [
        values["blocks.0.mlp.hidden"][0, 3:, 5].mean(),
        values["blocks.1.attn.z"][1, 3:, 2, 3].mean(),
        values["logits"][2, 4],
    ]
    np.testing.assert_allclose(pictures.activation, wanted, rtol=1e-4, atol=1e-5)


TAP = "blocks.0.mlp.hidden"


@pytest.mark.parametrize(
    ("tokens", "span"),
    [("patches", slice(3, 19)), ("class", slice(0, 1)), ("all", slice(0, 19)), ("patch 5", slice(8, 9))],
)
def test_which_tokens_count(tokens, span):
    values = jax.random.normal(jax.random.key(1), (2, 19, 96))
    one = partial(UnitActivation(TAP).activation, sites=small.model().taps(), tokens=tokens)
    seen = one({TAP: values}, jnp.int32(9))
    np.testing.assert_allclose(seen, values[:, span, 9].mean(axis=1), rtol=1e-6)


SITES = ("attn.q", "attn.k", "attn.v", "mlp.pre", "mlp.hidden")


@pytest.mark.representatives("class-True")
@pytest.mark.parametrize(("tokens", "gated"), [("patches", False), ("class", True)])
def test_a_column_is_the_unit_of_the_whole_layer(tokens, gated):
    model = random(replace(small.CONFIG, gated=True, qkv_bias=False)) if gated else small.model()
    sites, columns, layers = model.taps(), [], []
    for site in SITES:
        tap = f"blocks.2.{site}"
        vector = jax.random.normal(jax.random.key(3), (int(np.prod(sites[tap].units)),))
        for objective, numbers in ((UnitActivation(tap), np.int32(21)), (AlongDirection(tap), vector)):
            taps, score = objective.shortest(model, tokens)
            assert (taps == (tap,)) == (site == "mlp.hidden" and numbers.ndim == 1)
            columns.append((taps, partial(score, numbers=numbers)))
            layers.append(((tap,), partial(objective.activation, numbers=numbers, sites=sites, tokens=tokens)))

    @jax.jit
    def both(images):
        def scores(images, parts):
            values = model(images, {tap for taps, _ in parts for tap in taps})
            return jnp.stack([score({tap: values[tap] for tap in taps}).sum() for taps, score in parts])

        def with_gradients(parts):
            found, back = jax.vjp(lambda images: scores(images, parts), images)
            return found, jax.vmap(back)(jnp.eye(len(parts)))[0]

        return with_gradients(columns), with_gradients(layers)

    for found, wanted in zip(*both(jax.random.uniform(jax.random.key(2), (3, 32, 32, 3))), strict=True):
        for i, (one, other) in enumerate(zip(found, wanted, strict=True)):
            np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5 * np.abs(other).max(), err_msg=SITES[i // 2])


@pytest.mark.parametrize("name", ["ghiasi", "ghiasi-paper", "default"])
def test_views_are_embedded_together_as_each_alone(name):
    model, recipe, keys = small.model(), choose(name, views=3), jax.random.split(jax.random.key(5), 2)
    pictures = jax.random.uniform(jax.random.key(4), (2, 32, 32, 3))
    seen_of = jax.vmap(lambda key, picture: views(key, picture, 0, recipe))

    def alone(pictures):
        images = jax.vmap(lambda seen: seen.images)(seen_of(keys, pictures))
        return model.embed(model.normalise(images.reshape(-1, 32, 32, 3)))

    @jax.jit
    def both(pictures):
        one, one_back = jax.vjp(lambda pictures: augment.embed(model, seen_of(keys, pictures)), pictures)
        other, other_back = jax.vjp(alone, pictures)
        return (one, other), (one_back(other)[0], other_back(other)[0])

    for found, wanted in both(pictures):
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5 * np.abs(wanted).max())


@pytest.mark.representatives("ghiasi-{}", "default-{'seen': 0.25, 'seen_shape': 'window'}")
@pytest.mark.parametrize("changes", [{}, {"jitter_per_view": True}, {"seen": 0.25, "seen_shape": "window"}], ids=str)
@pytest.mark.parametrize("name", ["ghiasi", "default"])
def test_the_operations_of_a_step_are_those_that_xla_counts(name, changes):
    config = ViTConfig(width=768, heads=12, mlp_width=3072, depth=2, image_size=(112, 112))
    recipe, tap, model = choose(name, views=4, stages=(), **changes), "blocks.0.mlp.hidden", abstract(config)
    aims = loop.aims([Unit(tap, (3,))], model.taps(), 0)
    program = loop.program(recipe, UnitActivation(tap))
    params = jax.eval_shape(lambda model: loop.start(model, aims, recipe=recipe), model).params
    step = jax.jit(jax.grad(loop.loss_of, argnums=1, has_aux=True), static_argnames="program")
    counted = step.lower(model, params, aims, loop.slot_keys(aims)[1], jnp.int32(0), program=program).cost_analysis()
    assert step_flops(config, tap, recipe) == pytest.approx(counted["flops"], rel=0.05)


def test_unknown_parts_of_recipes():
    for changes, words in (
        ({"optimizer": "adm"}, "one of adam, nadam"),
        ({"seen": 1.5}, "at most 1"),
        ({"seen": 0.5, "tokens": "patch 3"}, "a view may lack 'patch 3'"),
        ({"optimizer": "muon"}, "planes of pixels, not 'fourier'"),
    ):
        with pytest.raises(InputError, match=words):
            choose("default", **changes)


@pytest.mark.parametrize(("share", "shape"), [(0.25, (2, 2)), (0.5, (3, 3)), (0.05, (1, 1))])
def test_a_window_is_a_rectangle_of_patches_that_may_lie_anywhere(share, shape):
    recipe = choose("default", views=64, seen=share, seen_shape="window")
    config = small.model().config
    rows, columns = config.grid
    tokens = jnp.broadcast_to(jnp.arange(config.tokens)[None, :, None], (64, config.tokens, 1))
    shown = augment.some(small.model(), jax.random.split(jax.random.key(0), 1), tokens, recipe)[..., 0]
    assert (shown[:, : config.prefix] == jnp.arange(config.prefix)).all()
    places = np.asarray(shown[:, config.prefix :] - config.prefix).reshape(64, *shape)
    corners = places[:, 0, 0]
    offsets = columns * np.arange(shape[0])[:, None] + np.arange(shape[1])
    np.testing.assert_array_equal(places, corners[:, None, None] + offsets)
    assert set(corners) == {i * columns + j for i in range(rows - shape[0] + 1) for j in range(columns - shape[1] + 1)}


BEFORE = {"optimizer": "adam", "learning_rate": 0.1, "decay": 1.0, "color_strength": 0.3, "jitter": 32, "stages": ()}
AUGMENTED = choose("default", steps=30, views=2, **BEFORE)
PARTS = [
    *({"optimizer": optimizer} for optimizer in ("nadam", "nadam-rms", "lion", "sign")),
    {"seen": 0.5},
]


@pytest.mark.representatives("{'optimizer': 'nadam'}", "{'seen': 0.5}")
@pytest.mark.parametrize("changes", PARTS, ids=str)
def test_every_part_of_a_recipe_raises_the_activation(changes):
    pictures = visualize(small.model(), "blocks.2.mlp.pre:0-3", choose(AUGMENTED, **changes))
    assert (pictures.activation > pictures.history["activation"][:, 0]).all()


def test_nadam_rms_knows_no_size_of_the_gradient_and_far_above_its_floor_follows_it():
    """`nadam` gives all numbers the same step; both stand still where there is no gradient."""
    gradient = jnp.asarray(np.random.default_rng(0).standard_normal((2, 5, 3)) ** 3)

    def step(of: jax.Array, optimizer: str, floor: float = 3) -> np.ndarray:
        made = transform(choose("fast", stages=(), optimizer=optimizer, floor=floor))
        return -np.asarray(made.update(of, made.init(gradient), gradient)[0]).ravel()

    first = step(gradient, "nadam-rms", 100)
    np.testing.assert_allclose(step(1e-6 * gradient, "nadam-rms", 100), first, rtol=1e-4)
    assert np.corrcoef(first, gradient.ravel())[0, 1] > 0.999
    np.testing.assert_allclose(abs(plain := step(gradient, "nadam")), abs(plain[0]), rtol=1e-3)
    np.testing.assert_allclose(step(gradient, "nadam-rms", 1e-8), plain, rtol=1e-3)
    np.testing.assert_allclose(step(jnp.ones_like(gradient), "nadam-rms"), abs(plain[0]), rtol=1e-3)  # of RMS: the rate
    assert not step(0 * gradient, "nadam-rms", 100).any()


def test_a_direction_along_an_axis_is_the_unit():
    vector = np.zeros(48)
    vector[7] = 1
    along = visualize(small.model(), Direction("blocks.0.resid_post", "axis", vector), STILL)
    values = small.read(small.model(), along.images / np.float32(255), reads="blocks.0.resid_post")
    np.testing.assert_allclose(along.activation[0], values["blocks.0.resid_post"][0, 3:, 7].mean(), rtol=1e-4)
    with pytest.raises(InputError, match="has 5 numbers"):
        visualize(small.model(), Direction("blocks.0.resid_post", "short", np.ones(5)), SHORT)
    with pytest.raises(InputError, match="did you mean blocks"):
        resolve(small.model(), Direction("blocks.2.resid_past", "lost", np.ones(48)))


def test_a_neuron_before_its_activation_function_is_the_same_neuron():
    read = lambda name, tap: loop.program(choose(name, stages=()), UnitActivation(tap)).optimised(small.model()).tap
    assert read("default", "blocks.2.mlp.hidden") == "blocks.2.mlp.pre"
    assert read("ghiasi", "blocks.2.mlp.hidden") == "blocks.2.mlp.hidden"
    assert read("default", "blocks.2.attn.z") == "blocks.2.attn.z"


@pytest.mark.parametrize("name", ["pixels", "fourier", "pyramid", "maco"])
def test_parametrizations_give_pictures(name):
    shown = parametrization_of((24, 40), Recipe(parametrization=name))

    @jax.jit
    def drawn(key):
        params = shown.project(shown.init(key) * 3)
        return shown.image(params), jax.grad(lambda params: (shown.image(params) ** 2).sum())(params)

    image, gradient = drawn(jax.random.key(0))
    assert image.shape == (24, 40, 3) and image.dtype == jnp.float32 and image.min() >= 0 and image.max() <= 1
    assert np.isfinite(gradient).all() and np.abs(gradient).max() > 0


@pytest.mark.exhaustive
def test_more_devices_make_the_same_pictures(on_devices):
    on_devices(
        """
        import jax, numpy as np
        from tests.support import small
        from vitjax.optimize.recipes import choose
        from vitjax.optimize.visualize import visualize

        recipe, devices = choose("default", steps=5, views=2), jax.local_devices()
        pictures = lambda: visualize(small.model(), "blocks.2.mlp.hidden:0-10", recipe, batch=2).images
        both = pictures()
        jax.local_devices = lambda: devices[:1]
        assert len(devices) == 2 and np.array_equal(both, pictures())
        """,
        2,
    )


@pytest.mark.parametrize("parametrization", ["pixels", "fourier", "pyramid"])
def test_a_given_image_is_where_the_loop_starts(parametrization):
    shown = parametrization_of((24, 40), Recipe(parametrization=parametrization))
    image = np.random.default_rng(0).uniform(0.05, 0.95, (24, 40, 3)).astype(np.float32)
    there_and_back = jax.jit(lambda image: shown.image(shown.params(image)))
    np.testing.assert_allclose(there_and_back(image), image, atol=2e-5)
    black_and_white = (image > 0.5).astype(np.float32)
    assert np.abs(there_and_back(black_and_white) - black_and_white).max() < 0.03
    aims = small.aims("blocks.0.mlp.hidden:0")
    starts = np.full((1, 32, 32, 3), 0.5, np.float32)
    program = loop.program(choose(SHORT, parametrization=parametrization), UnitActivation("blocks.0.mlp.hidden"))
    slots = loop.start(small.model(), aims, jnp.asarray(starts), recipe=program.recipe)
    images, _ = loop.finish(small.model(), slots, aims, program=program)
    assert (np.asarray(images) == 128).all()


def test_where_memory_runs_out_fewer_slots_are_tried(monkeypatch):
    tap, recipe = "blocks.0.mlp.hidden", choose(STILL, steps=3)
    whole = visualize(small.model(), f"{tap}:0-6", recipe, batch=4)
    advance, slots_tried = loop.advance, []

    def small_device(model, slots, targets, *, program):
        slots_tried.append(len(slots.params))
        if slots_tried[-1] > 2:
            raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 9 bytes.")
        return advance(model, slots, targets, program=program)

    monkeypatch.setattr(loop, "advance", small_device)
    parts = visualize(small.model(), f"{tap}:0-6", recipe, batch=4)
    assert slots_tried == [4, 2, 2, 2, 2] and parts.units == whole.units and parts.batch == 2
    assert np.abs(whole.images.astype(int) - parts.images).max() <= 1
    monkeypatch.setattr(loop, "advance", lambda *_, **__: small_device(None, slots_of(9), None, program=None))
    with pytest.raises(InputError, match=r"no memory on .* for even 1 picture .*--set views=N"):
        visualize(small.model(), f"{tap}:0", recipe)


def slots_of(count: int) -> loop.Slots:
    return loop.Slots(np.zeros((count, 1)), None, None)


@pytest.mark.representatives("recomputed")
@pytest.mark.parametrize("execution", [Execution(scan=False), Execution(remat=True)], ids=["unrolled", "recomputed"])
def test_how_a_model_runs_changes_no_picture(execution):
    model, units = small.model(), [Unit("blocks.2.mlp.hidden", (3,))]
    (plain,), (other,) = (list(paint(model, units, SHORT, execution=how)) for how in (Execution(), execution))
    np.testing.assert_allclose(plain.activation, other.activation, rtol=1e-4)
    assert np.abs(plain.images.astype(int) - other.images).max() <= 1


def test_slots_that_fit_follow_from_two_compiles():
    recipe = choose(SHORT, views=2)
    fixed, each = memory.need(small.model(), "blocks.2.mlp.hidden", recipe)
    six = memory._bytes(small.model(), "blocks.2.mlp.hidden", recipe, 6, Execution())
    assert each > 32 * 32 * 3 * 4 and abs(fixed + 6 * each - six) < 0.2 * six
    assert memory.slots_within(1e9, 1e6, 1e6) == memory.MOST
    assert memory.slots_within(100e6, 5e6, 4e6) == 16 and memory.slots_within(20e6, 5e6, 4e6) == 3
    assert memory.slots_within(1.0, 5e6, 4e6) == 1


def test_on_tpus_no_more_slots_are_useful_than_its_own_memory_holds():
    base = abstract(ViTConfig(width=768, heads=12, mlp_width=3072), "bfloat16")
    useful = lambda model, recipe: memory.useful_slots(model, choose(recipe), "tpu")
    assert useful(base, "ghiasi") == 4 and useful(abstract(ViTConfig(), "bfloat16"), "ghiasi") == 16
    assert memory.useful_slots(base, choose("ghiasi"), "gpu") == memory.MOST
    large = abstract(ViTConfig(width=1280, heads=16, mlp_width=5120, image_size=(896, 896)), "bfloat16")
    assert useful(large, "ghiasi") == 1


def test_an_error_in_a_worker_reaches_the_caller(monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("broken")

    monkeypatch.setattr(loop, "advance", broken)
    with pytest.raises(RuntimeError, match="broken"):
        visualize(small.model(), "blocks.0.mlp.hidden:0-6", SHORT, batch=2)


@pytest.mark.parametrize("parametrization", ["pixels", "fourier", "pyramid"])
def test_the_loop_lowers_for_every_platform(parametrization):
    recipe = choose(SHORT, parametrization=parametrization)
    program, aims = loop.program(recipe, UnitActivation("blocks.2.mlp.hidden")), small.aims("blocks.2.mlp.hidden:0-3")
    slots = jax.eval_shape(lambda: loop.start(small.model(), aims, recipe=program.recipe))
    flat, tree = jax.tree.flatten((small.model(), slots, aims))
    step = jax.jit(lambda *flat: jax.tree.leaves(loop.advance(*jax.tree.unflatten(tree, flat), program=program)))
    exported = jax.export.export(step, platforms=("cpu", "cuda", "tpu"))(*flat)
    assert exported.platforms == ("cpu", "cuda", "tpu")


def test_unit_sets():
    taps = small.model().taps()
    names = lambda *sets: [str(unit) for unit in expand(list(sets), taps)]
    assert names("blocks.1.mlp.hidden:3,7-8") == [f"blocks.1.mlp.hidden:{i}" for i in (3, 7, 8)]
    assert names("blocks.*.attn.z:2.0-1")[-1] == "blocks.3.attn.z:2.1" and len(names("blocks.*.attn.z:2.0-1")) == 8
    assert names("blocks.0,2.resid_post:5") == ["blocks.0.resid_post:5", "blocks.2.resid_post:5"]
    assert names("logits:1", "logits:1", "logits:0-1") == ["logits:1", "logits:0"]
    assert len(names("blocks.1-2.mlp.hidden:*")) == 192
    drawn = sample(expand("blocks.*.mlp.hidden:*", taps), 10, seed=3)
    assert sorted(len([u for u in drawn if u.tap == f"blocks.{i}.mlp.hidden"]) for i in range(4)) == [2, 2, 3, 3]
    assert drawn == sample(expand("blocks.*.mlp.hidden:*", taps), 10, seed=3) != sample(drawn, 10, seed=4)[::-1]
    assert Unit("logits", (3,)).hash != Unit("logits", (4,)).hash


@pytest.mark.parametrize(
    ("units", "words"),
    [
        ("blocks.1.mlp.hiden:3", "did you mean blocks.1.mlp.hidden"),
        ("blocks.*.mlp.hiden:3", "did you mean blocks.0.mlp.hidden"),
        ("blocks.4.mlp.hidden:3", "unknown tap"),
        ("blocks.1.mlp.hidden:96", r"96 is out of range, blocks.1.mlp.hidden has 96 \(0-95\)"),
        ("blocks.1.mlp.hidden:0-96", "96 is out of range"),
        ("blocks.1.mlp.hidden:7-3", "write 3-7"),
        ("blocks.1.attn.z:3", "blocks.1.attn.z:HEAD.CHANNEL"),
        ("blocks.1-9.mlp.hidden:0", "9 is out of range, blocks has 4"),
        ("blocks.1.mlp.hidden", "write TAP:INDEX"),
        ("blocks.1.mlp.hidden:", "write TAP:INDEX"),
        ("blocks.1.mlp.hidden:1-2-3", "is no index"),
        ([], "no units given"),
    ],
)
def test_mistaken_units_are_named(units, words):
    with pytest.raises(InputError, match=words) as error:
        resolve(small.model(), units)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: choose("defualt"), "did you mean default"),
        (lambda: choose("default", step=3), "did you mean steps"),
        (lambda: choose("default", steps="many"), "takes int"),
        (lambda: choose("default", steps=0), "at least 1"),
        (lambda: choose("default", before_activation="maybe"), "takes bool"),
        (lambda: choose("default", color="blue"), "one of divide"),
        (lambda: choose("default", tokens="cls"), "one of patches"),
        (lambda: visualize(small.model(), "logits:0", SHORT, tokens="patch 16"), "has 16 patches"),
        (lambda: visualize(small.model(), "logits:0", SHORT, seed=-1), "seed is -1"),
    ],
)
def test_mistaken_recipes_are_named(make, words):
    with pytest.raises(InputError, match=words) as error:
        make()
    assert "\n" not in str(error.value)

"""Recipes of stages: at which sizes and how long, what is handed over, what of it is recorded, for any model."""

import json
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.support import small
from vitjax.analysis.report.grades import slope
from vitjax.bench import measure as measuring
from vitjax.errors import InputError
from vitjax.models.hierarchical.levit import LevitConfig
from vitjax.models.mixer import MixerConfig
from vitjax.models.registry import random
from vitjax.optimize import loop
from vitjax.optimize.cost import picture_flops, step_flops
from vitjax.optimize.objectives import AlongDirection, Objective, UnitActivation
from vitjax.optimize.parametrize import PARAMETRIZATIONS
from vitjax.optimize.recipes import Recipe, choose, fields
from vitjax.optimize.results.record import read_record
from vitjax.optimize.schedule.handover import enlarged, rewritten
from vitjax.optimize.schedule.plan import depth_of, plan
from vitjax.optimize.schedule.sizes import at_size, smaller
from vitjax.optimize.settings.stage import Stage
from vitjax.optimize.visualize import paint, resolve, visualize

COARSE = choose(
    "default",
    steps=10,
    views=2,
    learning_rate=0.1,
    jitter=8,
    stages=(Stage(size=0.5, steps=6), Stage(steps=4, shallow=0.5, learning_rate=0.5, total_variation=4)),
)
LAST = UnitActivation("blocks.3.mlp.hidden")


def steps_of(recipe, objective) -> int:
    return sum(leg.recipe.steps for leg in plan(recipe, small.CONFIG, objective))


def test_a_plan_has_each_stage_at_its_size_with_its_settings():
    coarse, fine = plan(COARSE, small.CONFIG, LAST)
    assert (coarse.config.image_size, fine.config) == ((16, 16), small.CONFIG)
    assert (coarse.recipe.steps, coarse.recipe.jitter, coarse.recipe.learning_rate) == (6, 4, 0.1)
    assert (fine.recipe.steps, fine.recipe.jitter, fine.recipe.learning_rate) == (4, 8, 0.05)
    assert fine.recipe.total_variation == 4 * COARSE.total_variation
    assert not coarse.recipe.stages and not fine.recipe.stages


def test_shallow_units_take_more_steps_and_cost_less():
    assert [depth_of(small.CONFIG, [f"blocks.{block}.mlp.hidden"]) for block in range(4)] == [0.25, 0.5, 0.75, 1]
    assert depth_of(small.CONFIG, ["blocks.1.mlp.hidden.directions@pca", "blocks.0.resid_post.sae"]) == 0.5
    assert depth_of(small.CONFIG, ["embed"]) == 0.25 and depth_of(small.CONFIG, ["logits"]) == 1
    assert steps_of(COARSE, UnitActivation("blocks.0.mlp.hidden")) == 6 + 8
    assert steps_of(COARSE, LAST) == 10 == steps_of(choose("default", steps=10), LAST)
    costs = [picture_flops(small.CONFIG, f"blocks.{block}.mlp.hidden", COARSE) for block in (0, 3)]
    assert costs[0] < costs[1]
    coarse, fine = plan(COARSE, small.CONFIG, LAST)
    assert costs[1] == sum(leg.recipe.steps * step_flops(leg.config, LAST.tap, leg.recipe) for leg in (coarse, fine))
    assert step_flops(coarse.config, LAST.tap, coarse.recipe) < step_flops(fine.config, LAST.tap, fine.recipe) / 2


def test_few_steps_go_to_the_last_stage_first():
    assert [leg.recipe.steps for leg in plan(choose(COARSE, steps=1), small.CONFIG, LAST)] == [1]
    assert [leg.recipe.steps for leg in plan(choose(COARSE, steps=3), small.CONFIG, LAST)] == [2, 1]


@pytest.mark.parametrize(
    ("old", "new"), [((8, 8), (16, 16)), ((6, 10), (18, 20)), ((7, 9), (14, 18)), ((8, 6), (8, 12)), ((8, 7), (8, 7))]
)
def test_an_enlarged_picture_has_the_old_one_at_its_places(old, new):
    image = np.random.default_rng(0).standard_normal((*old, 3)).astype(np.float32)
    larger = lambda image: jnp.fft.irfft2(enlarged(jnp.fft.rfft2(image, axes=(0, 1)), old, new), new, axes=(0, 1))
    found = jax.jit(larger)(image)
    np.testing.assert_allclose(found[:: new[0] // old[0], :: new[1] // old[1]], image, atol=1e-5)


@pytest.mark.parametrize("parametrization", ["pixels", "fourier", "pyramid", "maco"])
def test_what_is_handed_over_shows_the_same_picture(parametrization):
    before, after = plan(choose(COARSE, parametrization=parametrization), small.CONFIG, LAST)
    y, x = np.mgrid[:16, :16] / 16 * 2 * np.pi
    image = np.stack([np.sin(y), np.cos(x), np.sin(x + y)], -1).astype(np.float32) / 4 + 0.5
    shown, wanted = (PARAMETRIZATIONS[parametrization](leg.config.image_size, leg.recipe, 3) for leg in (before, after))

    @jax.jit
    def both(image):
        params = shown.params(image)
        return wanted.image(rewritten(params, before=before, after=after)), shown.image(params)

    found, known = both(image)
    tolerance = {"maco": 0.5}.get(parametrization, 0.1)  # it keeps phases alone
    np.testing.assert_allclose(found[::2, ::2], known, atol=tolerance)


@pytest.mark.exhaustive
def test_a_picture_depends_on_no_other_and_records_tell_the_stages(tmp_path):
    units = ["blocks.0.mlp.hidden:3", "blocks.3.mlp.hidden:5"]
    together, alone = (visualize(small.model(), some, COARSE, batch=1) for some in (units, units[1:]))
    np.testing.assert_array_equal(together.images[1], alone.images[0])
    assert np.isnan(together.history["loss"]).sum(axis=1).tolist() == [0, 4]
    together.save(tmp_path)
    record = read_record(tmp_path)
    assert [len(row["history"]["loss"]) for row in record["pictures"]] == [14, 10]
    assert Recipe(**record["recipe"]) == COARSE
    together.save(tmp_path)  # the same recipe, read again


def test_recipes_without_stages_are_recorded_as_ever():
    assert "stages" not in fields(choose("ghiasi"))
    assert Recipe(**fields(COARSE)) == COARSE and json.loads(json.dumps(fields(COARSE))) == fields(COARSE)


def test_an_image_of_places_is_made_at_the_full_size_throughout():
    for recipe, objective in [
        (choose(COARSE, tokens="patch 3"), LAST),
        (COARSE, UnitActivation("blocks.3.attn.scores")),
        (COARSE, Objective("blocks.3.resid_post")),
    ]:
        assert {leg.config for leg in plan(recipe, small.CONFIG, objective)} == {small.CONFIG}
    assert plan(COARSE, small.CONFIG, AlongDirection("blocks.3.resid_post"))[0].config.image_size == (16, 16)


@pytest.mark.representatives("vit", "mixer", "not square")
@pytest.mark.parametrize(
    ("config", "sizes"),
    [
        (small.CONFIG, {0.5: (16, 16), 0.1: (8, 8), 0.9: (32, 32), 0.7: (24, 24)}),
        (replace(small.CONFIG, image_size=(32, 48)), {0.5: (16, 24), 0.3: (8, 16)}),
        (MixerConfig(image_size=(32, 32), patch_size=(8, 8), width=32, depth=1), {0.5: (32, 32)}),
        (LevitConfig(depths=(1, 1, 1)), {0.5: (224, 224)}),
    ],
    ids=["vit", "not square", "mixer", "levit"],
)
def test_the_nearest_size_that_a_model_can_take(config, sizes):
    assert {share: smaller(config, share).image_size for share in sizes} == sizes


def test_a_model_at_another_size_shares_what_does_not_depend_on_it():
    model = random(small.CONFIG)
    other = at_size(model, smaller(small.CONFIG, 0.5))
    assert other.taps()["blocks.3.mlp.hidden"].units == model.taps()["blocks.3.mlp.hidden"].units
    assert other.taps()["blocks.3.resid_post"].shape == (1 + 2 + 4, 48)
    assert all(
        one.unsafe_buffer_pointer() == two.unsafe_buffer_pointer()
        for one, two in zip(jax.tree.leaves(model), jax.tree.leaves(other), strict=True)
        if one.shape == two.shape
    )
    assert at_size(model, small.CONFIG) is model


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"stages": "["}, "stages takes a list in JSON"),
        ({"stages": '{"size": 1}'}, "must be a list of stages"),
        ({"stages": '[{"sise": 1}]'}, r"a stage has no 'sise' \(did you mean size"),
        ({"stages": [3]}, "3 is no stage"),
        ({"stages": [Stage(size=0.5)]}, "the last stage has size 0.5"),
        ({"stages": '[{"size": 0}, {}]'}, "size of a stage is 0"),
        ({"stages": '[{"views": 0}]'}, "views is 0"),
        ({"stages.7.size": "0.5"}, "has 2 stages, counted from 0: there is no stages.7.size"),
        ({"stages.0.sise": "0.5"}, "a stage has no 'sise'"),
        ({"stages.0.size": "half"}, "stages.0.size takes float, not 'half'"),
    ],
    ids=str,
)
def test_mistaken_stages_are_named(changes, words):
    with pytest.raises(InputError, match=words):
        choose(COARSE, **changes)


def test_stages_are_set_by_texts():
    assert choose(COARSE, **{"stages.0.size": "0.25", "stages.1.views": "3"}).stages == (
        Stage(size=0.25, steps=6),
        Stage(steps=4, shallow=0.5, learning_rate=0.5, total_variation=4, views=3),
    )
    assert choose("default", stages='[{"size": 0.5, "steps": 60}, {"steps": 40}]').stages == (
        Stage(size=0.5, steps=60),
        Stage(steps=40),
    )
    assert choose(COARSE, stages="[]").stages == ()


def test_the_slope_of_a_history_that_ends_early_is_its_own():
    whole, short = np.arange(40.0) ** 0.5, np.arange(20.0) ** 0.7
    filled = np.stack([whole, np.append(short, np.full(20, np.nan))])
    np.testing.assert_allclose(slope(filled), [slope(whole[None])[0], slope(short[None])[0]])


def test_the_slope_of_a_history_without_numbers_is_none():
    assert np.isnan(slope(np.full((2, 10), np.nan), tail=0.25)).all()


def test_jitter_shrinks_with_the_mean_of_the_sides():
    flat = replace(small.CONFIG, image_size=(8, 64), preprocess=replace(small.CONFIG.preprocess, size=None))
    coarse, fine = plan(choose("fast", jitter=32), flat, LAST)
    assert coarse.config.image_size == (8, 32) and (coarse.recipe.jitter, fine.recipe.jitter) == (23, 32)


def test_steps_that_memory_cut_short_are_not_counted_twice(monkeypatch):
    advance, told = loop.advance, []

    def little_memory(model, slots, targets, *, program):
        if len(slots.params) > 1 and model.config == small.CONFIG:
            raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 9 bytes.")
        return advance(model, slots, targets, program=program)

    monkeypatch.setattr(loop, "advance", little_memory)
    units = resolve(small.model(), f"{LAST.tap}:0-1")
    list(paint(small.model(), units, COARSE, batch=2, progress=told.append))
    assert told[-1].meter.done == pytest.approx(told[-1].meter.work)


def test_more_steps_than_a_stage_has_are_not_timed(monkeypatch):
    taken = []
    monkeypatch.setattr(measuring, "fastest", lambda call, repeats: 2.0)
    monkeypatch.setattr(measuring, "_loaded", lambda model, aims, program, device: (taken.append(program.chunk), 1))
    setting = measuring.Setting(LAST.tap, 1, 2, "float32", False)
    monkeypatch.setattr(measuring, "ThreadPoolExecutor", NoThreads)
    row = measuring.measure(small.model(), COARSE, setting, steps=100, rate=1.0)
    assert taken == [6, 4] and row.steps_per_second == 10 / 4


class NoThreads:
    def __init__(self, count: int):
        pass

    def __enter__(self) -> "NoThreads":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def map(self, call, calls) -> list:
        return []

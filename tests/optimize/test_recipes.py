"""The ranges of a recipe's fields, of seeds and of batches: what is out of them is refused wherever it comes from."""

import dataclasses
import json

import numpy as np
import pytest

from tests.support import small
from vitjax.cli import main
from vitjax.errors import InputError
from vitjax.optimize.recipes import CHOICES, FLAGS, RANGES, RECIPES, Recipe, choose, fields
from vitjax.optimize.schedule.batches import batches_of
from vitjax.optimize.visualize import check, resolve
from vitjax.ranges import COUNT, SEED, Range


def test_every_field_has_a_range_or_choices():
    assert {field.name for field in dataclasses.fields(Recipe)} == {*RANGES, *CHOICES, *FLAGS, "tokens", "stages"}
    assert all(Recipe(**json.loads(json.dumps(fields(recipe)))) == recipe for recipe in RECIPES.values())


@pytest.mark.parametrize("name", RANGES)
def test_numbers_out_of_their_range_are_refused(name):
    range = RANGES[name]
    wrong = [float("nan"), float("inf"), -float("inf"), range.least - 1, range.most * 1.5 + 1, True, "3", None, [1], 1j]
    for value in wrong + ([1.5, 2.0] if range.whole else []) + ([range.least] if range.above else []):
        with pytest.raises(InputError, match=rf"recipe: {name} is .*, it must be a (whole )?number of .* at most"):
            Recipe(**{name: value})
    assert getattr(Recipe(**{name: range.most}), name) == range.most


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"steps": 1.5}, "steps is 1.5, it must be a whole number"),
        ({"steps": "1.5"}, "steps takes int, not '1.5'"),
        ({"views": 10**9}, "views is 1000000000, .* at most 4096"),
        ({"eps": 0}, "eps is 0, .* at least 1e-30"),
        ({"b1": "2"}, "b1 is 2.0, .* at most 0.99999"),
        ({"b2": 0.99999999}, "b2 is"),
        ({"learning_rate": "nan"}, "learning_rate is nan"),
        ({"diversity": -1}, "diversity is -1, .* at least 0"),
        ({"decay": "-1"}, "decay is -1.0"),
        ({"noise_anneal": 1}, "noise_anneal is 1, it must be True or False"),
        ({"jitter_per_view": None}, "jitter_per_view is None"),
        ({"color": ["none"]}, "unknown color"),
        ({"tokens": "patch ²"}, "unknown tokens 'patch ²'"),
        ({"tokens": None}, "unknown tokens None"),
    ],
    ids=str,
)
def test_nonsense_is_named(changes, words):
    with pytest.raises(InputError, match=words):
        choose("default", **changes)


@pytest.mark.parametrize("command", ["visualize", "atlas"])
@pytest.mark.parametrize("change", ["learning_rate=nan", "views=1000000000", "steps=1.5", "eps=0", "diversity=-0.1"])
def test_the_command_line_refuses_them_before_anything_starts(command, change, tmp_path, capsys):
    assert main([command, "--set", change, "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert f"recipe: {change.partition('=')[0]}" in error and error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_numbers_of_numpy_are_python_s_and_can_be_recorded():
    recipe = Recipe(steps=np.int64(3), scale=np.float32(0.5), views=np.uint8(2), noise=0)
    assert json.loads(json.dumps(dataclasses.asdict(recipe)))["steps"] == 3
    assert recipe == Recipe(steps=3, scale=0.5, views=2, noise=0.0) and type(recipe.noise) is float


@pytest.mark.parametrize("seed", [-1, 2**32, 1.5, True, "0", None, float("nan")])
def test_seeds_are_whole_numbers_of_32_bits(seed):
    with pytest.raises(InputError, match=r"seed is .*, it must be a whole number of at least 0 and at most 4294967295"):
        check(small.model(), Recipe(), seed, resolve(small.model(), "logits:0"))


def test_a_seed_of_numpy_is_a_number():
    goals = resolve(small.model(), "logits:0")
    assert type(check(small.model(), Recipe(), np.uint32(7), goals)) is int


@pytest.mark.parametrize("slots", [0, -1, 1.5, True, 10**9])
def test_batches_have_a_whole_number_of_slots(slots):
    with pytest.raises(InputError, match="batch is"):
        batches_of(resolve(small.model(), "logits:0"), slots)


def test_a_range_says_what_it_is():
    assert str(COUNT) == "a whole number of at least 1 and at most 2147483647"
    assert str(Range(0, 1, above=True)) == "a number of more than 0 and at most 1"
    assert SEED.check("x", np.int8(3)) == 3 and Range(0, 1).check("x", np.float64(1)) == 1.0

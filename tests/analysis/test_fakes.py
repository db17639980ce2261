"""The verdict is not fooled: forged pictures of the embedded model, each with the verdict that a person would give.

Photographs are crops of two that scikit-learn carries.
"""

import io
from functools import cache

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_images

import vitjax
from experiments.recipes.forgeries import CLEAR, FAKES, STRANGER, Originals, white
from vitjax.analysis.photographs.exemplars import exemplars
from vitjax.analysis.report.grading import Finished
from vitjax.analysis.report.report_card import report_cards
from vitjax.analysis.report.yardstick import Yardstick, yardstick
from vitjax.data.dataset import Dataset
from vitjax.data.files.images import Images
from vitjax.data.pipeline import pixels
from vitjax.models.core.network import Network

pytestmark = pytest.mark.exhaustive  # the whole report card of two dozen pictures; its parts are in test_report_card.py
UNITS = "blocks.1.mlp.hidden:23,386,533"  # three of which `default` makes good pictures
SIDES = (64, 128, 256)  # of the crops, which come to the model's 64 pixels


@cache
def model() -> Network:
    """The embedded model."""
    return vitjax.load()


@cache
def photographs() -> Dataset:
    """Crops at three scales."""
    rng, crops = np.random.default_rng(0), []
    for number in range(96):
        whole, side = load_sample_images().images[number % 2], SIDES[number % 3]
        top, left = (int(rng.integers(0, length - side + 1)) for length in whole.shape[:2])
        crops.append(whole[top : top + side, left : left + side])
    images = Images("crops", tuple(f"{i}.png" for i in range(len(crops))), lambda i: _png(crops[i]))
    return Dataset(images, model().config, 32)


@cache
def measure() -> Yardstick:
    """What they say."""
    return yardstick(model(), photographs(), exemplars(model(), photographs(), ["blocks.1.mlp.hidden"]))


@cache
def originals() -> Originals:
    """Good pictures, and the units' best photographs."""
    made = vitjax.visualize(model(), UNITS, "fast")
    best = [measure().best(unit) for unit in made.units]
    return Originals(model(), made.units, made.images, pixels(photographs().images, best, model().config))


@cache
def verdicts() -> dict[str, list[str]]:
    """Of every kind, graded together."""
    made = {name: fake.make(originals(), np.random.default_rng(0)) for name, fake in FAKES.items()}
    made |= {"good": originals().pictures, "heavy noise": white(originals().pictures, np.random.default_rng(1), 64)}
    units = list(originals().units)
    graded = report_cards(model(), Finished(np.concatenate(list(made.values())), units * len(made)), measure())
    words = [card["verdict"] for card in graded]
    return {name: words[i * len(units) : (i + 1) * len(units)] for i, name in enumerate(made)}


def test_pictures_of_the_default_recipe_are_clear():
    assert set(verdicts()["good"]) <= CLEAR and "good" in verdicts()["good"]


STRANGERS = ["another unit's picture", "page of text", "gratings"]
UNSEEN = "picture under white noise"  # of 25/255: photographs of 64 pixels are as noisy themselves


@pytest.mark.parametrize("kind", [kind for kind in FAKES if kind not in (*STRANGERS, UNSEEN)])
def test_fakes_get_what_they_deserve(kind):
    assert set(verdicts()[kind]) <= FAKES[kind].deserves


@pytest.mark.parametrize("kind", STRANGERS)
def test_what_is_not_the_units_is_neither_noise_nor_empty_and_not_all_good(kind):
    assert set(verdicts()[kind]) <= CLEAR and set(verdicts()[kind]) & STRANGER  # crops of two scenes are easily beaten


def test_heavy_noise_is_seen_on_small_pictures():
    assert set(verdicts()["heavy noise"]) == {"noise"}


def _png(image: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "png")
    return file.getvalue()

"""What a training shows, changed at random: against timm's own changes, and against what is asked of them."""

import importlib.util
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image

from tests.support import noise
from tests.support.training import CONFIG
from vitjax.errors import InputError
from vitjax.train.classification import mixed
from vitjax.train.feed.augment import CHANGES, erased, jittered, randaugment
from vitjax.train.feed.feed import Feed
from vitjax.train.feed.views import Views
from vitjax.train.settings import TRAIN, Regularization, Settings

FILL, FILTER = (124, 116, 104), Image.Resampling.BICUBIC
THEIRS = {"color": "ColorIncreasing", "contrast": "ContrastIncreasing", "brightness": "BrightnessIncreasing"} | {
    "sharpness": "SharpnessIncreasing", "posterize": "PosterizeIncreasing", "solarize": "SolarizeIncreasing",
    "autocontrast": "AutoContrast", "equalize": "Equalize", "invert": "Invert", "rotate": "Rotate",
    "solarize_add": "SolarizeAdd", "shear_x": "ShearX", "shear_y": "ShearY", "translate_x": "TranslateXRel",
    "translate_y": "TranslateYRel",
}  # fmt: skip


@pytest.fixture(scope="module")
def photograph():
    wide = np.random.default_rng(0).integers(0, 200, (5, 6, 3), np.uint8)
    return Image.fromarray(wide).resize((40, 32), Image.Resampling.BICUBIC)


@pytest.fixture(scope="module")
def timm():
    """timm's changes, of a module that needs Pillow alone."""
    package = importlib.util.find_spec("timm")
    if package is None:
        pytest.skip("timm is not installed")
    path = Path(package.origin).parent / "data" / "auto_augment.py"
    spec = importlib.util.spec_from_file_location("auto_augment", path)
    spec.loader.exec_module(module := importlib.util.module_from_spec(spec))
    return module


@pytest.mark.parametrize("sign", (1, -1))
def test_every_change_of_randaugment_is_timm_s(photograph, timm, monkeypatch, sign):
    assert set(THEIRS) == set(CHANGES) and {*THEIRS.values()} == {*timm._RAND_INCREASING_TRANSFORMS}
    monkeypatch.setattr(timm, "_randomly_negate", lambda value: sign * value)
    for name, change in CHANGES.items():
        for level in (0.0, 4.3, 9.2, 10.0 if name != "posterize" else 9.9):  # timm's keeps no bit there
            made = timm.AugmentOp(THEIRS[name], 1, level, {"img_mean": FILL, "interpolation": FILTER})(photograph)
            ours = change(photograph, level, sign, FILL, FILTER)
            np.testing.assert_allclose(np.asarray(ours, int), np.asarray(made, int), atol=1, err_msg=f"{name} {level}")


def test_as_often_and_as_strongly_as_it_says(photograph):
    rng, same = np.random.default_rng(0), np.asarray(photograph)
    unchanged = [np.array_equal(randaugment(rng, photograph, 9, FILL, FILTER), same) for _ in range(400)]
    assert 0.2 < np.mean(unchanged) < 0.32  # a quarter goes through neither, and a few changes do nothing
    means = [np.asarray(jittered(rng, photograph, 0.4)).mean() / same.mean() for _ in range(200)]
    assert 0.55 < min(means) < 0.75 and 1.25 < max(means) < 1.45
    shares = [np.all(erased(rng, same, 0.5, FILL) == FILL, axis=-1).mean() for _ in range(400)]
    assert 0.4 < np.mean(np.array(shares) > 0) < 0.6 and 0.3 < max(shares) < 0.36


def test_changes_depend_on_seed_and_step_alone():
    feed = Feed(noise.dataset(9, 4, CONFIG).images, CONFIG, 6, 4, {"labels": np.arange(9)}, seed=5,
                views=Views(0.3, True, 9.0, 0.4, 0.5), repeats=3)  # fmt: skip
    whole = list(feed.begin())
    np.testing.assert_array_equal(next(feed.begin(2))["images"], whole[2]["images"])
    hosts = [next(replace(feed, shard=(i, 3)).begin(3)) for i in range(3)]
    np.testing.assert_array_equal(np.concatenate([part["images"] for part in hosts]), whole[3]["images"])
    for batch in whole:  # each image three times, once on each host, and never the same view
        assert [sorted(set(part)) for part in batch["labels"].reshape(3, 2)] == [sorted(set(batch["labels"]))] * 3
        assert len(np.unique(batch["images"].reshape(6, -1), axis=0)) == 6
    assert len({*np.concatenate([batch["labels"] for batch in whole])}) == 8  # the order goes on from step to step
    one = Views(randaugment=9.0, jitter=0.4, erase=1.0).draw
    grey = replace(CONFIG, preprocess=replace(CONFIG.preprocess, mean=(0.5,), std=(0.5,)))
    assert grey.channels == 1 and one(np.random.default_rng(0), Image.new("L", (9, 9), 77), grey).shape == (16, 16, 1)


def test_images_are_mixed_with_each_other_and_so_are_their_classes():
    images = np.stack([np.full((8, 8, 3), value, np.float32) for value in (0, 1)] * 2)[[0, 1, 1, 1]]
    target = np.eye(2, dtype=np.float32)[[0, 1, 1, 1]]
    cut = jax.jit(lambda key: mixed(key, images, target, 0.0, 1.0))
    mix = jax.jit(lambda key: mixed(key, images, target, 0.8, 0.0))
    for seed in range(6):
        pixels, classes = cut(jax.random.key(seed))
        assert set(np.unique(pixels)) <= {0.0, 1.0}
        np.testing.assert_allclose(pixels[0].mean(), classes[0, 1], atol=1e-6)
        np.testing.assert_allclose(classes.sum(axis=1), 1, atol=1e-6)
        pixels, classes = mix(jax.random.key(seed))
        np.testing.assert_allclose(pixels[0], np.broadcast_to(classes[0, 1], (8, 8, 3)), atol=1e-6)
        np.testing.assert_allclose(pixels[1:3], images[1:3], atol=1e-6)


def test_what_cannot_be():
    with pytest.raises(InputError, match=r"a batch of 256 does not hold each image 3 times \(nearest: 255\)"):
        replace(TRAIN, batch=256)
    with pytest.raises(InputError, match="randaugment is 11"):
        Settings(randaugment=11)
    with pytest.raises(InputError, match="drop_path is 1"):
        Regularization(drop_path=1)
    four = replace(CONFIG, preprocess=replace(CONFIG.preprocess, mean=(0.5,) * 4, std=(0.5,) * 4))
    with pytest.raises(InputError, match="images of 1 or 3 channels, this model reads 4"):
        Feed(noise.dataset(4, 2).images, four, 2, 1, views=Views(jitter=0.1))

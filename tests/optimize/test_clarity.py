"""Noise floors and thumbnails of images whose answers are known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from vitjax.analysis.ablations.frequency import distance
from vitjax.analysis.report.clarity import OCTAVES, SMALL, noise_floor, thumbnail

RNG = np.random.default_rng(0)
SIDE = 64


def floors(images: np.ndarray) -> np.ndarray:
    """[image, place or frequency, octave]."""
    return np.asarray(jax.jit(noise_floor)(jnp.asarray(images, jnp.float32)))


def test_white_noise_fills_every_octave_as_its_variance_says():
    white = RNG.normal(0.5, 0.1, (4, SIDE, SIDE, 3))
    radius, found = distance(SIDE, SIDE, "disk"), floors(white)
    for octave, (low, high) in enumerate(OCTAVES):
        share = ((radius > low) & (radius <= high)).mean()
        assert_allclose(found[:, 0, octave], np.log(0.01 * share), atol=0.3)  # places differ a little
        assert_allclose(found[:, 1, octave], np.log(0.01 / SIDE**2), atol=0.3)


def test_noise_of_half_the_places_and_gratings_leave_one_of_the_two_quiet():
    white = RNG.normal(0.5, 0.1, (1, SIDE, SIDE, 3))
    half = np.where(np.arange(SIDE)[:, None, None] < SIDE // 2, white, 0.5)
    wave = 0.5 + 0.1 * np.sin(2 * np.pi * np.arange(SIDE) / 4)
    grating = np.broadcast_to(wave[:, None, None], (1, SIDE, SIDE, 3))
    octave = next(i for i, (low, high) in enumerate(OCTAVES) if low < 0.5 <= high)
    whole, part, lines = (floors(images)[0, :, octave] for images in (white, half, grating))
    assert part[0] < whole[0] - 1 and part[1] > whole[1] - 1
    assert lines[0] > whole[0] and lines[1] < whole[1] - 5


@pytest.mark.parametrize("shape", [(30, 41), (8, 8), (5, 64)])
def test_any_shape_has_finite_floors(shape):
    assert np.isfinite(floors(RNG.random((2, *shape, 3)))).all()


@pytest.mark.parametrize("shape", [(64, 64), (30, 41), (8, 70)])
def test_thumbnails_are_averages_of_mean_0_and_length_1(shape):
    images = RNG.random((2, *shape, 3))
    small = np.asarray(thumbnail(jnp.asarray(images, jnp.float32)))
    assert small.shape == (2, SMALL**2)
    assert_allclose(small.mean(axis=1), 0, atol=1e-6)
    assert_allclose((small**2).sum(axis=1), 1, rtol=1e-4)
    assert_allclose(np.asarray(thumbnail(jnp.asarray(0.2 + 0.3 * images, jnp.float32))), small, atol=1e-4)


def test_an_even_image_has_an_even_thumbnail():
    assert_allclose(np.asarray(thumbnail(jnp.full((1, 32, 32, 3), 0.4))), 0, atol=1e-3)


def test_thumbnails_of_whole_blocks_are_their_means():
    images = RNG.random((1, 32, 48, 3)).astype(np.float32)
    blocks = images.mean(-1).reshape(1, SMALL, 2, SMALL, 3).mean((2, 4)).reshape(1, -1)
    expected = (blocks - blocks.mean()) / np.linalg.norm(blocks - blocks.mean())
    assert_allclose(np.asarray(thumbnail(jnp.asarray(images))), expected, atol=1e-5)

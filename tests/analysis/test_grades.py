"""Each grade against a small case worked out by hand, and the held-out changes."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from tests.support import noise, small
from vitjax.analysis.ablations.frequency import radial_spectrum
from vitjax.analysis.report import grades
from vitjax.analysis.report.grades import NONE
from vitjax.analysis.report.held_out import CHANGES, blur, jpeg, respond, warp

RNG = np.random.default_rng(0)
MODEL = noise.model(replace(small.CONFIG, depth=1, width=24, mlp_width=64))
TAP = "blocks.0.attn.z"


def pictures(count: int, side: int = 32) -> np.ndarray:
    """Random pictures, uint8."""
    return np.random.default_rng(1).integers(0, 256, (count, side, side, 3), dtype=np.uint8)


def test_rival_is_the_best_photograph_but_the_picture_itself():
    score, place = np.array([[5.0, 3], [5, 3], [5, 3]]), np.array([[7, 1], [7, 1], [7, 1]])
    assert_allclose(grades.rival(score, place, np.array([NONE, 7, 1])), [5, 3, 5])


def test_ratio_means_nothing_where_no_photograph_is_above_zero():
    assert_allclose(grades.ratio(np.array([2.0, 1, 1]), np.array([4.0, 0, -1])), [0.5, np.nan, np.nan])


def test_rise_is_counted_from_the_ordinary_to_the_best():
    held_out, mean, best = np.array([3.0, 1, 2, 0]), np.full(4, 1.0), np.full(4, 2.0)
    rise = grades.rise(held_out, mean, best)
    assert_allclose(rise, [2, 0, 1, -1])
    assert_allclose(grades.rise(7 * held_out - 40, 7 * mean - 40, 7 * best - 40), rise)


def test_rise_of_a_unit_that_photographs_do_not_move():
    zero = np.zeros(3)
    assert_allclose(grades.rise(np.array([0.0, 2, -1]), zero, zero), [0, 1, 0])


def test_percentile_leaves_the_picture_itself_out():
    sample = np.array([[1.0, 1], [2, 2], [3, 3], [4, 4]])
    counted = np.array([[1, 0], [1, 1], [1, 1], [1, 1]], bool)
    assert_allclose(grades.percentile(np.array([3.5, 3.5]), sample, counted), [3 / 4, 2 / 3])


def test_selectivity_compares_standardised_units():
    scores, mean, std = np.array([[3.0, 10, 0, 99]]), np.array([1.0, 8, 0, 5]), np.array([1.0, 4, 1, 0])
    for unit, (rank, margin) in enumerate([(1, 1.5), (2, -1.5), (3, -2), (3, -2)]):  # z: 2, 0.5, 0 and an idle one's 0
        got = grades.selectivity(scores, np.array([unit]), mean, std)
        assert_allclose((got[0][0], got[1][0]), (rank, margin))


def test_spectral_distance_and_detail_in_nats():
    natural = np.log([4.0, 4, 2, 2])
    distance, detail = grades.spectral(np.array([[4.0, 4, 2, 2], [4, 4, 2 * np.e, 2 * np.e**3]]), natural)
    assert_allclose(distance, [0, np.sqrt(10 / 4)], atol=1e-6)
    assert_allclose(detail, [0, 2], atol=1e-6)


def test_detail_sees_noise_that_activation_does_not():
    smooth = np.asarray(blur(jnp.asarray(pictures(8) / 255), 2.0))
    noisy = np.clip(smooth + RNG.normal(0, 0.1, smooth.shape), 0, 1)
    empty = np.full_like(smooth, 0.5)
    spectra = lambda images: np.asarray(radial_spectrum(jnp.asarray(images)))
    natural = grades.log_power(spectra(smooth)).mean(axis=0)
    detail = [grades.spectral(spectra(images), natural)[1] for images in (empty, smooth, noisy)]
    assert detail[0].max() < -4 < detail[1].min() and detail[1].max() < 2.4 < detail[2].min()


def test_coarse_structure_is_that_of_the_lowest_eighth():
    natural = np.log(np.full(16, 4.0))
    picture = 4.0 * np.exp([-3.0, 1, *[9.0] * 14])
    assert_allclose(grades.coarse(picture[None], natural), [-1], atol=1e-6)
    assert_allclose(grades.coarse(picture[None, :4], natural[:4]), [-3], atol=1e-6)


def test_noise_fills_places_and_frequencies():
    mean, std = np.zeros((2, 3)), np.full((2, 3), 2.0)
    floors = np.array([[[1.0, 6, 2], [4, 2, 8]], [[-9, 0, 0], [-9, 0, 0]]])  # [place or frequency, octave]
    assert_allclose(grades.noise(floors, mean, std), [1, 0])
    assert_allclose(grades.noise(floors, mean, std / 100), np.array([2, 0]) / grades.SPREAD)


def test_contrast_is_that_of_the_channels():
    images = np.full((2, 4, 4, 3), 100, np.uint8)
    images[1, :2] = [200, 100, 0]
    assert_allclose(grades.contrast(images), [0, np.sqrt(2 / 3) * 50 / 255])


def test_levels_are_counted_by_use():
    images = np.zeros((3, 4, 4, 3), np.uint8)
    images[1, :2] = 255
    images[2] = np.arange(16).reshape(4, 4, 1)
    assert_allclose(grades.levels(images), [1, 2, 16])


def test_a_copy_is_found_but_for_itself():
    photo = np.eye(3)
    picture = np.array([[1.0, 0, 0], [1, 0, 0], [0, 0.6, 0.8]])
    assert_allclose(grades.copied(picture, photo, np.array([NONE, 0, 1])), [1, 0, 0.8])


def test_agreement_ranks_the_exemplars_of_all_units():
    photo = np.array([[1.0, 0], [0, 2], [-1, 0], [3, 3]])
    exemplar = np.array([[0, 3], [1, NONE], [2, NONE]])  # directions: 22.5, 90 and 180 degrees
    picture = np.array([[0.1, 0.9], [0.1, 0.9], [-5, 0.1]])
    ranks = grades.agreement(picture, photo, exemplar, np.array([1, 0, 0]), np.full(3, NONE))
    assert ranks.tolist() == [1, 2, 3]


def test_agreement_of_a_photograph_leaves_it_out_everywhere():
    photo = np.array([[1.0, 0], [0.6, 0.8], [0, 1]])
    exemplar = np.array([[0, 1], [0, 2], [1, 2]])  # without photo 0: 53, 90 and 72 degrees from it
    assert grades.agreement(photo[:1], photo, exemplar, np.array([1]), np.array([0])).tolist() == [3]
    assert grades.agreement(photo[:1], photo, exemplar, np.array([1]), np.array([NONE])).tolist() == [2]


def test_units_of_the_same_exemplars_agree_alike_whatever_pictures_are_graded_together():
    rng = np.random.default_rng(0)
    photo, picture = (rng.normal(size=(count, 48)).astype(np.float32) for count in (7, 9))
    exemplar = np.stack([rng.permutation(7)[:3] for _ in range(200)])  # of 35 sets, in any order
    unit, own = rng.integers(0, 200, 9), rng.integers(-1, 7, 9)
    together = grades.agreement(picture, photo, exemplar, unit, own)
    alone = [grades.agreement(picture[[i]], photo, exemplar, unit[[i]], own[[i]])[0] for i in range(9)]
    sets = [frozenset(some) - {place} for place in own for some in exemplar]
    assert together.tolist() == alone and len(set(sets)) < len(sets) / 4
    turned = grades.agreement(picture, photo, exemplar[:, ::-1], unit, own)
    assert turned.tolist() == alone


def test_stability_of_two_seeds():
    first, second = np.array([[1.0, 0], [0, 1]]), np.array([[3.0, 4], [1, 0]])
    likeness, rank = grades.stability(first, second)
    assert_allclose(likeness, [0.6, 0])
    assert rank.tolist() == [2, 2]


def test_slope_is_the_rise_of_the_tail_in_units_of_the_range():
    line, flat = np.linspace(0, 10, 21), np.r_[np.linspace(0, 1, 15), np.ones(6)]
    assert_allclose(grades.slope(np.stack([line, flat, np.ones(21)]), tail=0.25), [0.2, 0, np.nan], atol=1e-12)
    assert_allclose(grades.slope(-line[None], tail=0.25), [-0.2])


def test_saturation():
    images = np.zeros((2, 2, 2, 3), np.uint8)
    images[1] = [[[255, 0, 51], [100, 100, 100]], [[10, 10, 61], [1, 1, 1]]]
    assert_allclose(grades.clipped(images), [1, 2 / 12])
    assert_allclose(grades.colour(images), [0, (1 + 0.2) / 4])


@pytest.mark.parametrize("change", CHANGES)
def test_even_pictures_stay_even_and_others_do_not_stay(change):
    even = jnp.full((1, 32, 24, 3), 0.4)
    changed = np.asarray(CHANGES[change](even))
    assert np.ptp(changed) < 1e-5
    assert (np.abs(changed - even).max() > 1e-5) == (change in ("lighter", "darker"))  # light alone changes the grey
    busy = jnp.asarray(pictures(2) / 255)
    assert np.abs(CHANGES[change](busy) - busy).max() > 0.05
    assert np.array_equal(CHANGES[change](busy), CHANGES[change](busy))


def test_warp_turns_and_enlarges_about_the_centre():
    images = jnp.asarray(pictures(2, 9) / 255)
    assert_allclose(warp(images, angle=90), np.rot90(images, axes=(1, 2)), atol=1e-5)
    assert_allclose(warp(images, zoom=2)[:, ::2, ::2], images[:, 2:7, 2:7], atol=1e-6)
    assert_allclose(warp(images), images, atol=1e-6)


def test_blur_is_a_gaussian():
    point = jnp.zeros((1, 15, 15, 3)).at[0, 7, 7].set(1)
    blurred = np.asarray(blur(point, 1.0))[0, ..., 0]
    assert_allclose(blurred.sum(), 1, rtol=1e-5)
    assert_allclose(blurred[7, 8] / blurred[7, 7], np.exp(-0.5), rtol=1e-5)
    assert_allclose(blurred[8, 8] / blurred[7, 7], np.exp(-1), rtol=1e-5)


def test_jpeg_is_near_but_not_the_same():
    smooth = np.uint8(255 * np.asarray(blur(jnp.asarray(pictures(2) / 255), 3.0)))
    through = jpeg(smooth)
    assert through.dtype == np.uint8 and not np.array_equal(through, smooth)
    assert np.abs(through.astype(int) - smooth).mean() < 3
    even = np.full((1, 32, 32, 3), 128, np.uint8)
    assert np.array_equal(jpeg(even), even)


def test_responses_are_those_of_the_changed_pictures():
    images, units = pictures(5), np.array([3, 0, 9, 1, 2])
    forms = [images / 255.0, CHANGES["turned -10"](jnp.asarray(images / 255.0)), jpeg(images) / 255.0]
    read = jax.jit(lambda model, images: model(images, TAP)[TAP][:, 3:].mean(axis=1).reshape(5, -1))
    values = [np.asarray(read(MODEL, jnp.asarray(form, jnp.float32))) for form in forms]  # 3: class token, 2 registers
    response = respond(MODEL, TAP, images, units)
    assert response.held_out.shape == (5, len(CHANGES) + 1)
    assert_allclose(response.scores, values[0], atol=2e-5)
    own = [value[np.arange(5), units] for value in values]
    assert_allclose(response.held_out[:, [0, -1]].T, own[1:], atol=2e-5)


def test_responses_do_not_depend_on_batch_and_order():
    images, units, order = pictures(5), np.array([3, 0, 9, 1, 2]), np.array([4, 2, 0, 1, 3])
    whole, parts = (
        respond(MODEL, "logits", images, units),
        respond(MODEL, "logits", images[order], units[order], batch=2),
    )
    assert_allclose(parts.held_out, whole.held_out[order], atol=1e-5)
    assert_allclose(parts.scores, whole.scores[order], atol=1e-5)

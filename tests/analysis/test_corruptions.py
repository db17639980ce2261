"""The corruptions of ImageNet-C against oracles, what they depend on, and errors against errors counted by hand."""

from dataclasses import replace

import matplotlib.colors
import numpy as np
import pytest
from scipy import ndimage

from tests.support import noise, small
from tests.support.pictures import photo
from vitjax.analysis.perturbed.corrupt import blur, digital, weather
from vitjax.analysis.perturbed.corrupt.kinds import KINDS, SEVERITIES, corrupted
from vitjax.analysis.perturbed.corruption_tables import ALEXNET, CLEAN, ratios, rows_by_kind
from vitjax.analysis.perturbed.corruptions import run
from vitjax.errors import InputError

PHOTO = np.asarray(photo(64, 48))
EXACT = {"brightness", "contrast", "pixelate", "jpeg_compression", "defocus_blur", "zoom_blur"}  # nothing is drawn


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_depends_on_image_name_and_seed_alone(kind):
    versions = [corrupted(PHOTO, kind, severity, "a") for severity in SEVERITIES]
    assert all(image.shape == PHOTO.shape and image.dtype == np.uint8 for image in versions)
    assert all(not np.array_equal(image, PHOTO) for image in versions)
    assert np.array_equal(corrupted(PHOTO, kind, 3, "a"), versions[2])
    for other in (corrupted(PHOTO, kind, 3, "b"), corrupted(PHOTO, kind, 3, "a", seed=1)):
        assert np.array_equal(other, versions[2]) == (kind in EXACT)
    off = [np.abs(image.astype(int) - PHOTO).mean() for image in versions]
    assert off[4] > off[0] or kind == "elastic_transform"


@pytest.mark.parametrize("kind", sorted({*KINDS} - {"glass_blur", "frost"}))
def test_large_images_have_the_constants_of_imagenet_c(kind):
    large = np.asarray(photo(140, 120))
    found = np.clip(KINDS[kind].corrupt(large / 255, rng(), *KINDS[kind].large[0]), 0, 1)
    assert found.shape == large.shape
    if kind in EXACT:
        assert np.abs(corrupted(large, kind, 1) - found * 255).max() <= 1
    assert KINDS[kind].large != KINDS[kind].small or kind in ("brightness", "contrast")


def test_noise_is_as_strong_as_it_says():
    grey = np.full((100, 100, 3), 0.5)
    make = lambda kind, constant: KINDS[kind].corrupt(grey, rng(), constant)
    assert make("gaussian_noise", 0.18).std() == pytest.approx(0.18, rel=0.02)
    assert make("shot_noise", 12).var() == pytest.approx(0.5 / 12, rel=0.03)
    found = make("impulse_noise", 0.17)
    assert [(found == value).mean() for value in (0, 1)] == pytest.approx([0.085, 0.085], abs=0.005)


@pytest.mark.parametrize("kind", ["defocus_blur", "glass_blur", "motion_blur", "zoom_blur"])
@pytest.mark.parametrize("severity", [1, 5])
def test_a_blur_leaves_an_even_image(kind, severity):
    even = np.full((40, 40, 3), (20, 120, 220), np.uint8)
    assert np.abs(corrupted(even, kind, severity).astype(int) - even).max() <= 1


def test_defocus_is_a_disk():
    point = np.zeros((41, 41, 3))
    point[20, 20] = 1
    seen = blur.defocus_blur(point, rng(), 6, 0.5)[..., 0]
    far = np.hypot(*np.mgrid[-20:21, -20:21])
    assert seen.sum() == pytest.approx(1) and np.abs(seen[far > 7.5]).max() < 1e-12
    assert np.allclose(seen[far < 4.5], seen[20, 20]) and blur.disk(10, 0.5).shape == (21, 21)


def test_motion_lies_on_one_side_of_a_line():
    point = np.zeros((41, 41, 1))
    point[20, 20] = 1
    rows, columns, _ = np.nonzero(blur.moved(point, 8, 4, 0))
    assert set(rows) == {20} and (min(columns), max(columns)) == (4, 20)
    rows, columns, _ = np.nonzero(blur.moved(point, 8, 4, -90))  # snow falls: it reads what is above
    assert set(columns) == {20} and (min(rows), max(rows)) == (20, 36)


@pytest.mark.parametrize("factor", [1.0, 1.01, 1.25, 2.5])
def test_magnifying_is_scipy_s_zoom(factor):
    layer = rng().random((48, 48, 3))
    cut = int(np.ceil(48 / factor))
    first = (48 - cut) // 2
    whole = ndimage.zoom(layer[first : first + cut, first : first + cut], (factor, factor, 1), order=1)
    trim = (len(whole) - 48) // 2
    np.testing.assert_allclose(blur.magnified(layer, factor), whole[trim : trim + 48, trim : trim + 48], atol=1e-12)


def test_glass_moves_pixels_one_by_one():
    image, reach, draws = PHOTO / 255, 2, rng()
    found = blur.glass_blur(image, rng(), 0.0, reach, 1)
    moves = iter(draws.integers(-reach, reach, ((48 - 2 * reach) * (64 - 2 * reach), 2)))
    wanted = PHOTO.copy()
    for y in range(48 - reach, reach, -1):
        for x in range(64 - reach, reach, -1):
            across, down = next(moves)
            wanted[y, x] = wanted[y + down, x + across]
    np.testing.assert_allclose(found * 255, wanted, atol=1.001)


def test_brightness_raises_the_value_alone():
    image = PHOTO / 255
    image[0, 0] = 0
    hsv = matplotlib.colors.rgb_to_hsv(image)
    hsv[..., 2] = np.clip(hsv[..., 2] + 0.3, 0, 1)
    np.testing.assert_allclose(weather.brightness(image, rng(), 0.3), matplotlib.colors.hsv_to_rgb(hsv), atol=1e-9)


def test_an_elastic_warp_by_nothing_is_nothing_and_a_turn_is_affine():
    image = PHOTO / 255
    np.testing.assert_allclose(digital.elastic_transform(image, rng(), 0, 0.1, 0), image, atol=1e-9)
    ramp = np.repeat(np.arange(64.0)[None, :, None], 48, 0).repeat(3, 2)
    inner = digital.elastic_transform(ramp, rng(), 0, 0, 0.03)[8:-8, 8:-8, 0]
    assert np.ptp(np.diff(inner, axis=1)) < 1e-9 and np.ptp(np.diff(inner, axis=0)) < 1e-9


def test_fog_keeps_the_brightest_value_and_frost_is_light():
    assert weather.fog(PHOTO / 255, rng(), 2, 1.75).max() <= PHOTO.max() / 255
    clouds = weather.plasma(rng(), 64, 2)
    assert clouds.shape == (64, 64) and (clouds.min(), clouds.max()) == (0, 1)
    black = weather.frost(np.zeros((600, 20, 3)), rng(), 1, 1, 0.3)  # larger than the picture, which is enlarged
    assert black.shape == (600, 20, 3) and 0.2 < black.mean() < 0.7 and (black[..., 2] >= black[..., 0]).all()


def test_ratios_are_of_means_and_their_mean_is_over_kinds():
    part, whole = np.array([[1.0, 0], [1, 1], [0, 1]]), np.array([[1.0, 1], [1, 1], [1, 0]])
    share, error = ratios(part, whole)
    np.testing.assert_allclose(share, [2 / 3, 1, 5 / 6])
    assert (error >= 0).all() and ratios(whole, whole)[1].max() == 0
    for nothing in (0, 1e-17, -1):  # what corruption adds to errors may be less than nothing
        assert np.isnan(ratios(part, whole * [1, nothing])[0][1:]).all()


MODEL = noise.model(replace(small.CONFIG, depth=1))
DATA = noise.dataset(5, 3)  # the second batch holds two
CHOSEN = {"kinds": ["contrast", "gaussian_noise"], "severities": [5, 2]}


def test_errors_are_those_counted_by_hand():
    other = noise.model(replace(small.CONFIG, depth=1, registers=0))
    findings = run(MODEL, DATA, baseline=other, **CHOSEN)
    names, labels = DATA.images.names, DATA.labels_for(MODEL)
    pictures = np.round(noise.pixels(DATA) * 255).astype(np.uint8)
    assert [row["kind"] for row in findings.rows] == ["clean", "gaussian_noise", "contrast", "mean"]

    def wrong(model, kind, severity):
        seen = np.stack([corrupted(x, kind, severity, n) for x, n in zip(pictures, names, strict=True)])
        logits = small.read(model, (seen if severity else pictures) / np.float32(255), reads="logits")["logits"]
        return np.asarray(logits).argmax(-1) != labels

    for row in findings.rows[1:-1]:
        mine, theirs = (np.array([wrong(m, row["kind"], s) for s in (2, 5)]).mean(1) for m in (MODEL, other))
        assert [row["wrong_2"], row["wrong_5"], row["wrong"]] == pytest.approx([*mine, mine.mean()])
        assert row["ce"] == pytest.approx(mine.mean() / theirs.mean())
    assert findings.rows[-1]["ce"] == pytest.approx(np.mean([row["ce"] for row in findings.rows[1:-1]]))
    table = findings.tables["corruptions-severities"].to_pylist()
    assert len(table) == 2 * 5 and table[0]["kind"] == CLEAN[0] and table[0]["change"] == 0
    turned = run(MODEL, replace(noise.dataset(5, 5, order=np.arange(5)[::-1])), **CHOSEN)
    assert [row["wrong"] for row in turned.rows] == [row["wrong"] for row in findings.rows]
    assert set(findings.figures) == {"", "sheet"}


def test_alexnet_against_itself_is_one():
    each = np.tile(np.array([*ALEXNET.values()])[:, None], (1, 5))
    rows = rows_by_kind((np.full(4, 0.5), np.tile(each, (4, 1, 1))), each, [*KINDS], SEVERITIES)
    assert [row["ce"] for row in rows[1:]] == pytest.approx([1] * 16) and rows[-1]["relative_ce"] is None


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"kinds": ["fogg"]}, "did you mean fog"),
        ({"severities": [0]}, "1 to 5"),
        ({"alexnet": True, "baseline": MODEL}, "one baseline"),
        ({"alexnet": True, "severities": [1]}, "all of them"),
        ({"alexnet": True}, "10 at 32x32"),
    ],
)
def test_mistakes_are_a_line(options, said):
    with pytest.raises(InputError, match=said):
        run(MODEL, DATA, **options)


def test_other_images_are_refused():
    with pytest.raises(InputError, match="RGB"):
        corrupted(PHOTO[..., :1], "fog", 1)

"""Filters against NumPy's transform, waves on either side of the radius, spectra, accuracies."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.support import small
from tests.support.pictures import encode, photo, unpack
from vitjax.analysis.ablations.frequency import FILTERS, compare, high_pass, low_pass, radial_spectrum, run
from vitjax.data.dataset import Dataset, open_dataset
from vitjax.data.pipeline import pixels
from vitjax.errors import InputError

SIZES = [(16, 16), (15, 20), (12, 9)]
COMPILED = {name: jax.jit(filter) for name, filter in FILTERS.items()}  # one program for all radii
SPECTRUM = jax.jit(radial_spectrum)


def noise(height: int, width: int, count: int = 2) -> np.ndarray:
    return np.random.default_rng(0).random((count, height, width, 3), np.float32)


def wave(down: int, across: int, height: int = 32, width: int = 32) -> np.ndarray:
    """A cosine of so many cycles down and across, around 1/2."""
    phase = down * np.arange(height)[:, None] / height + across * np.arange(width) / width
    return np.repeat(0.5 + 0.25 * np.cos(2 * np.pi * phase)[None, :, :, None], 3, axis=-1).astype(np.float32)


@pytest.mark.parametrize("shape", ["disk", "square"])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("radius", [0.0, 0.3, 0.8])
def test_filters_are_numpy_s(size, shape, radius):
    images = noise(*size)
    down, across = (2 * np.abs(np.fft.fftfreq(side)) for side in size)
    far = np.hypot(down[:, None], across) if shape == "disk" else np.maximum(down[:, None], across)
    spectrum = np.fft.fft2(images, axes=(1, 2))
    for name, kept in {"low-pass": far <= radius, "high-pass": (far > radius) | (far == 0)}.items():
        wanted = np.fft.ifft2(spectrum * kept[..., None], axes=(1, 2))
        assert np.abs(wanted.imag).max() < 1e-6
        np.testing.assert_allclose(FILTERS[name](images, radius, shape), wanted.real, atol=1e-6)


@pytest.mark.parametrize("shape", ["disk", "square"])
def test_full_radius_leaves_the_image_or_its_mean(shape):
    images = noise(16, 20)
    assert np.array_equal(low_pass(images, 1.0, shape), images)
    grey = np.broadcast_to(images.mean(axis=(1, 2), keepdims=True), images.shape)
    np.testing.assert_allclose(high_pass(images, 1.0, shape), grey, atol=1e-6)


@pytest.mark.parametrize("filter", FILTERS.values(), ids=FILTERS)
def test_the_mean_of_every_channel_is_kept(filter):
    images = noise(24, 24)
    np.testing.assert_allclose(filter(images, 0.4).mean(axis=(1, 2)), images.mean(axis=(1, 2)), atol=1e-6)


def test_low_and_high_are_the_whole():
    images = noise(20, 24)
    both = low_pass(images, 0.37) + high_pass(images, 0.37) - images.mean(axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(both, images, atol=1e-6)


@pytest.mark.parametrize(("down", "across"), [(0, 6), (6, 0), (3, 5)])
def test_a_wave_passes_on_one_side_of_the_radius_only(down, across):
    image, edge = wave(down, across), np.hypot(down, across) / 16
    for radius, wanted in ((edge + 0.01, image), (edge - 0.01, np.full_like(image, 0.5))):
        np.testing.assert_allclose(COMPILED["low-pass"](image, radius), wanted, atol=1e-6)
        np.testing.assert_allclose(COMPILED["high-pass"](image, radius), image - wanted + 0.5, atol=1e-6)


def test_a_corner_passes_the_square_and_not_the_disk():
    image = wave(8, 8)
    np.testing.assert_allclose(low_pass(image, 0.5, "square"), image, atol=1e-6)
    np.testing.assert_allclose(low_pass(image, 0.6, "disk"), 0.5, atol=1e-6)


def test_one_program_serves_all_radii():
    images, traces = noise(16, 16), []

    @jax.jit
    def filtered(images, radius):
        traces.append(radius)
        return low_pass(images, radius)

    for radius in (0.2, 0.6, 1.0):
        np.testing.assert_allclose(filtered(images, radius), low_pass(images, radius), atol=1e-6)
    assert len(traces) == 1


@pytest.mark.parametrize(("down", "across", "radius"), [(0, 5, 5), (7, 0, 7), (3, 4, 5), (6, 6, 8)])
def test_the_spectrum_of_a_wave_peaks_at_its_frequency(down, across, radius):
    (power,) = np.asarray(SPECTRUM(wave(down, across)))
    assert power.shape == (16,) and power.argmax() == radius - 1
    frequencies = np.hypot(*np.meshgrid(np.fft.fftfreq(32), np.fft.fftfreq(32))) * 32
    count = (np.rint(frequencies) == radius).sum()
    assert power[radius - 1] == pytest.approx(
        0.25**2 / 2 / count, rel=1e-4
    )  # a cosine's mean square, spread over the ring
    assert np.delete(power, radius - 1).max() < 1e-10


@pytest.mark.parametrize("size", SIZES)
def test_spectra_sum_to_the_variance(size):
    """Of images without anything beyond the last radius; counted over all frequencies of each ring (Parseval)."""
    side = min(size)
    images = np.asarray(low_pass(noise(*size), (side // 2) / side * 2 * 0.9))
    down, across = (np.fft.fftfreq(n) * side for n in size)
    rings = np.bincount(np.rint(np.hypot(down[:, None], across)).astype(int).ravel())[1 : side // 2 + 1]
    power = np.asarray(SPECTRUM(images))
    assert power.shape == (2, side // 2)
    np.testing.assert_allclose(power @ rings, images.var(axis=(1, 2)).mean(axis=-1), rtol=1e-4)


def test_spectra_are_each_image_s_own():
    images = jnp.concatenate([wave(0, 5), 0.1 * wave(9, 0), noise(32, 32, 1)])
    apart = np.concatenate([SPECTRUM(image[None]) for image in images])
    np.testing.assert_allclose(SPECTRUM(images), apart, rtol=1e-5, atol=1e-12)


@pytest.fixture
def data(tmp_path) -> Dataset:
    """Twelve pictures, one unreadable."""
    files = {f"{i % 10:04d}_n{i % 10:08d}_{i}.png": encode(photo(36, 40, i)) for i in range(12)}
    unpack(tmp_path, files | {"0000_n00000000_0.png": b"not an image"})
    return open_dataset(tmp_path, small.CONFIG, batch=4)


def test_rows_are_the_model_on_filtered_images(data):
    found = run(small.model(), data, radii=(0.25, 0.5))
    assert [(row["filter"], row["radius"]) for row in found.rows] == [(f, r) for f in FILTERS for r in (1.0, 0.5, 0.25)]
    images = pixels(data.images, range(1, 12), small.CONFIG) / np.float32(255)
    truth = data.labels_for(small.model())[1:]
    for row in found.rows:
        filtered = COMPILED[row["filter"]](images, row["radius"])
        logits = np.asarray(small.read(small.model(), filtered, reads="logits")["logits"], np.float64)
        true = logits[np.arange(11), truth]
        assert row["images"] == 11
        assert row["loss"] == pytest.approx((np.log(np.exp(logits).sum(axis=1)) - true).mean(), rel=1e-5)
        assert row["top5"] == pytest.approx(((logits > true[:, None]).sum(axis=1) < 5).mean())
    assert list(found.settings["unreadable"]) == ["0000_n00000000_0.png"]
    whole = found.rows[0]["top1"]
    for row in found.rows:
        assert row["relative_top1"] == (pytest.approx(row["top1"] / whole) if whole else None)
    assert set(found.figures) == {"", "examples"}


def test_models_are_drawn_together(data):
    found = run(small.model(), data, radii=(0.5,), shape="square")
    labels = [text.get_text() for text in compare({"one": found, "other": found}).legends[0].get_texts()]
    assert labels == ["one, low-pass", "one, high-pass", "other, low-pass", "other, high-pass"]


def test_what_is_no_filter_is_named(data):
    with pytest.raises(InputError, match=r"unknown shape 'disc' \(did you mean disk\?\)"):
        run(small.model(), data, shape="disc")
    for radius in (0, 1.5):
        with pytest.raises(InputError, match=f"the radius {radius} is not above 0 and at most 1"):
            run(small.model(), data, radii=(0.5, radius))
    with pytest.raises(InputError, match="one of radii is nan, it must be a number"):
        run(small.model(), data, radii=(0.5, float("nan")))

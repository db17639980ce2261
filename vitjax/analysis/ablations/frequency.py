"""Removes low or high spatial frequencies from images, measures spectra, and the accuracy on what is left.

Ghiasi et al. 2022 (arXiv 2212.06727), figure 14: top-1 accuracy after low-pass filtering. The paper does not say which
filter; this one is ideal, with a sharp edge. The Nyquist frequency, half a cycle per pixel, is the unit of radii.
Beside ViTs the paper has a ResNet with torchvision's weights of its time (IMAGENET1K_V1), here such as
`vitjax.load("resnet50-0676ba61.pth")`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import cycle, product
from pathlib import PurePath

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, UInt8
from matplotlib.figure import Figure

from vitjax.analysis.ablations.accuracy import Condition, Outcome, evaluate, plain
from vitjax.analysis.ablations.relative import relative
from vitjax.analysis.study.checks import analysis
from vitjax.analysis.study.findings import Findings, Value, settings
from vitjax.analysis.study.style import COLORS, bare, panels, style
from vitjax.data.dataset import Dataset
from vitjax.data.pipeline import pixels
from vitjax.data.pixels import shown
from vitjax.errors import InputError, nearest
from vitjax.models.core.network import Network

RADII = (1.0, 0.75, 0.5, 0.35, 0.25, 0.18, 0.125, 0.09, 0.06)

# How far a frequency lies from the centre, from its parts down and across in Nyquist's unit.
SHAPES = {"disk": np.hypot, "square": np.maximum}


def low_pass(
    images: Float[Array, "image h w 3"], radius: float | Float[Array, ""], shape: str = "disk"
) -> Float[Array, "image h w 3"]:
    """Keeps the frequencies of every channel up to `radius`, and with them the mean.

    Full radius, 1, means everything: the corners of the spectrum, which a disk would cut, stay too, and the images
    come back as they are. The borders are joined, as the discrete Fourier transform has it. Nothing is clipped, so
    values may leave [0, 1].

    Args:
        images: any real values.
        radius: fraction of the Nyquist frequency along each axis, from 0; may be traced.
        shape: "disk", sqrt(u² + v²) <= radius, or "square", max(|u|, |v|) <= radius.

    Raises:
        InputError: an unknown shape.
    """
    height, width = images.shape[1:3]
    kept = distance(height, width, shape)[:, : width // 2 + 1, None] <= radius
    spectrum = jnp.fft.rfft2(images, axes=(1, 2))
    filtered = jnp.fft.irfft2(jnp.where(kept, spectrum, 0), s=(height, width), axes=(1, 2))
    return jnp.where(jnp.asarray(radius) >= 1, images, filtered.astype(images.dtype))


def high_pass(
    images: Float[Array, "image h w 3"], radius: float | Float[Array, ""], shape: str = "disk"
) -> Float[Array, "image h w 3"]:
    """Keeps the frequencies of every channel beyond `radius`, and the mean: what `low_pass` takes away, on even grey.

    `low_pass + high_pass - mean` is the image. At full radius nothing but the mean is left. Arguments as of `low_pass`.
    """
    return images - low_pass(images, radius, shape) + images.mean(axis=(1, 2), keepdims=True)


FILTERS = {"low-pass": low_pass, "high-pass": high_pass}


def radial_spectrum(images: Float[Array, "image h w 3"]) -> Float[Array, "image radius"]:
    """Measures the power of every image at each whole number of cycles, whatever its direction.

    `|F / (h w)|²`, F the discrete Fourier transform of a channel, is averaged over the three channels and over all
    frequencies whose distance from the centre rounds to r cycles per shorter side, r = 1 … min(h, w) // 2. Over all
    frequencies, the mean and the corners too, it would sum to the mean square of the pixels (Parseval). The borders are
    joined; no window is applied.
    """
    height, width = images.shape[1:3]
    side = min(height, width)
    radius = np.rint(np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)) * side).astype(int).ravel()
    count = np.bincount(radius)
    power = (jnp.abs(jnp.fft.fft2(images, axes=(1, 2)) / (height * width)) ** 2).mean(axis=-1)
    sums = jax.ops.segment_sum(power.reshape(len(images), -1).T, radius, len(count))
    return (sums / count[:, None]).T[:, 1 : side // 2 + 1]


def filtered(radii: Sequence[float], shape: str = "disk") -> dict[str, Condition]:
    """Ways to run a model for `accuracy.evaluate`, {filter: …}, whose logits have an axis of radii.

    One radius after the other is filtered and judged, with one compiled program and the memory of one.
    """
    return {name: partial(_filtered, name=name, radii=tuple(radii), shape=shape) for name in FILTERS}


def _filtered(model: Network, images: Array, *, name: str, radii: Sequence[float], shape: str) -> Array:
    one = lambda radius: plain(model, FILTERS[name](images, radius, shape))
    return jnp.moveaxis(lax.map(one, jnp.asarray(radii, jnp.float32)), 0, 1)


@analysis
def run(model: Network, data: Dataset, *, radii: Sequence[float] = RADII, shape: str = "disk") -> Findings:
    """Measures accuracy on images without their high or without their low frequencies, in one pass over the data.

    The images are filtered as the model gets them, after resizing and cropping.

    Args:
        model: with a head.
        data: images whose classes are known.
        radii: above 0, at most 1; 1, where low-pass keeps all and high-pass only the mean, is always among them.
        shape: "disk" or "square", see `low_pass`.

    Returns:
        A row per filter and radius: top-1, top-5, loss, and top-1 as a share of that on unfiltered images, with
        standard errors over the images (None where no unfiltered image is right).

    Raises:
        InputError: no classes to be found, an unknown shape, a radius out of range.
    """
    if wrong := [radius for radius in radii if not 0 < radius <= 1]:
        raise InputError(f"the radius {wrong[0]} is not above 0 and at most 1, the Nyquist frequency")
    distance(*model.config.image_size, shape)
    radii = sorted({1.0, *radii}, reverse=True)
    judged = evaluate(model, data.batches(), data.labels_for(model), filtered(radii, shape))
    whole = judged["low-pass"].at(0)
    rows = [row for name, outcome in judged.items() for row in _rows(name, radii, outcome, whole)]
    summary = f"top-1 {float(whole.top(1)):.1%} on {len(whole.rank)} images, half of it left {_half(rows)}"
    findings = Findings("frequency", rows, settings(model, data, radii=radii, shape=shape), summary=summary)
    first = next(place for place, name in enumerate(data.images.names) if name not in data.unreadable)
    shown = pixels(data.images, [first], data.config)
    label = PurePath(model.card.source).name if model.card else "model"
    figures = {"": compare({label: findings}), "examples": _strip(shown, radii, shape)}
    return replace(findings, figures=figures)


def compare(found: Mapping[str, Findings]) -> Figure:
    """Draws what several models keep of their top-1 accuracy at every radius: {label: findings of `run`}."""
    with style():
        figure, (axes,) = panels(size=(4.6, 3.0))
        for color, (label, findings) in zip(cycle(COLORS), found.items()):
            for name, line in zip(FILTERS, ("o-", "s--"), strict=True):
                points = [row for row in findings.rows if row["filter"] == name]
                radii = [row["radius"] for row in points]
                share, error = (
                    [np.nan if row[key] is None else row[key] for row in points]
                    for key in ("relative_top1", "relative_top1_error")
                )
                axes.errorbar(radii, share, error, fmt=line, color=color, capsize=2, label=f"{label}, {name}")
        ticks = sorted({row["radius"] for findings in found.values() for row in findings.rows})
        axes.set(xscale="log", xlabel="radius, in units of the Nyquist frequency", ylim=(0, None))
        axes.set_ylabel("top-1 / top-1 on unfiltered images")
        axes.set_xticks(ticks, [f"{tick:g}".removeprefix("0") for tick in ticks])
        axes.set_xticks([], minor=True)
        figure.legend(loc="outside upper center")
    return figure


def distance(height: int, width: int, shape: str) -> Float[np.ndarray, "h w"]:
    """How far every frequency of the transform lies from the centre, 1 at the Nyquist frequency of an axis."""
    if shape not in SHAPES:
        raise InputError(f"unknown shape {shape!r}{nearest(shape, SHAPES)}: {' or '.join(SHAPES)}")
    return 2 * SHAPES[shape](np.abs(np.fft.fftfreq(height))[:, None], np.abs(np.fft.fftfreq(width)))


def _rows(name: str, radii: Sequence[float], part: Outcome, whole: Outcome) -> list[dict[str, Value]]:
    share, error = relative(part, whole, 1)
    known = lambda value: float(value) if np.isfinite(value) else None
    return [
        {
            "filter": name,
            "radius": radius,
            **part.at(i).row(),
            "relative_top1": known(share[i]),
            "relative_top1_error": known(error[i]),
        }
        for i, radius in enumerate(radii)
    ]


def _half(rows: Sequence[Mapping[str, Value]]) -> str:
    """The last radii at which at least half of the accuracy is left."""
    last = lambda name, pick: pick(
        [row["radius"] for row in rows if row["filter"] == name and (row["relative_top1"] or 0) >= 0.5], default="none"
    )
    return f"low-pass down to {last('low-pass', min)}, high-pass up to {last('high-pass', max)}"


def _strip(images: UInt8[np.ndarray, "1 h w 3"], radii: Sequence[float], shape: str) -> Figure:
    """One image filtered at four of the radii, cut off at black and white for the eye alone."""
    images = images.astype(np.float32) / 255
    chosen = sorted({radii[i] for i in np.linspace(0, len(radii) - 1, 4).round().astype(int)}, reverse=True)
    with style():
        figure, axes = panels(len(FILTERS), len(chosen), size=(1.5, 1.6))
        for (name, radius), panel in zip(product(FILTERS, chosen), axes, strict=True):
            bare(panel).imshow(shown(np.clip(np.asarray(FILTERS[name](images, radius, shape))[0], 0, 1)))
            panel.set_title(f"{name} {radius:g}")
    return figure

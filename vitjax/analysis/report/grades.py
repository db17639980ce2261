"""The formulas of the grades, one short function each, of plain arrays measured on pictures and on photographs.

A picture stands for a unit u. Its scores are activations averaged over tokens; mean, spread and best are those of the
same unit's scores on natural photographs. A picture that is itself one of the photographs is judged against the others:
it is no rival, no exemplar and not in the percentile; mean, spread and mean spectrum keep its small share.
"""

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

NONE = -1  # no photograph: the place of a picture that is none, and of an exemplar that is missing
TAIL = 0.25  # of a history: a saved one has about 20 points, and they jump with the views' colours
SPREAD = 0.5  # nats, the least deviation of noise floors over photographs; that of ImageNet's is 0.6 to 1.1
_ALIKE = 1e-9  # of cosines in float64: units of the same exemplars differ by less, which decides no rank
_FLOOR = 1e-12  # of a spectrum: below what rounding to bytes leaves

Scores = Float[np.ndarray, " picture"]


def rival(score: Float[np.ndarray, "picture k"], place: Int[np.ndarray, "picture k"], own: Int[np.ndarray, " picture"]):
    """The best natural score of each picture's unit, the picture itself (if `own`, its place, is one) left out.

    Args:
        score, place: the unit's k > 1 best photographs, best first.
        own: the place of each picture among the photographs, or `NONE`.
    """
    first = (place != own[:, None]).argmax(axis=1)
    return np.take_along_axis(score, first[:, None], axis=1)[:, 0]


def ratio(held_out: Scores, best: Scores) -> Scores:
    """Held-out activation over the best natural score, E_T[a_u(T x)] / max_n a_u(n).

    NaN where that is not above 0 and a ratio means nothing; `rise` has a meaning everywhere.
    """
    return np.divide(held_out, best, out=np.full_like(held_out, np.nan), where=best > 0)


def rise(held_out: Scores, mean: Scores, best: Scores) -> Scores:
    """Measures the rise above the ordinary, in units of the best photograph: (E_T[a_u(T x)] - mean) / (best - mean).

    0 is an ordinary photograph and 1 the best one, for any tap: shift and scale of its values cancel. A unit that
    photographs do not move has 1 where the picture moves it up and 0 where not.
    """
    gap = best - mean
    moved = (held_out > best).astype(held_out.dtype)
    return np.divide(held_out - mean, gap, out=moved, where=gap > 1e-6 * np.abs(best))


def percentile(
    held_out: Scores, sample: Float[np.ndarray, "image picture"], counted: Bool[np.ndarray, "image picture"]
) -> Scores:
    """The share of natural scores below the held-out activation.

    Nearly 1 for every picture that is worth a look, so it orders none of them: there `rise` and `selectivity`'s margin
    go on counting.

    Args:
        sample: scores of photographs for each picture's unit.
        counted: which of them count: all but the picture itself.
    """
    return ((sample < held_out) & counted).sum(axis=0) / counted.sum(axis=0)


def selectivity(
    scores: Float[np.ndarray, "picture unit"],
    unit: Int[np.ndarray, " picture"],
    mean: Float[np.ndarray, " unit"],
    std: Float[np.ndarray, " unit"],
) -> tuple[Int[np.ndarray, " picture"], Scores]:
    """Measures how much more a picture moves its unit than the other units of the tap.

    z_v = (a_v(x) - mean_v) / std_v, 0 for a unit that photographs do not move. The rank is 1 for nearly all pictures of
    a good recipe and orders none of them; the margin does.

    Returns:
        (the rank of z_u among all units, 1 the first; the margin z_u - max of the others).
    """
    z = np.divide(scores - mean, std, out=np.zeros_like(scores), where=std > 0)
    own = np.take_along_axis(z, unit[:, None], axis=1)
    others = np.where(np.arange(z.shape[1]) == unit[:, None], -np.inf, z)
    return (others > own).sum(axis=1) + 1, own[:, 0] - others.max(axis=1)


def log_power(spectrum: Float[np.ndarray, "image radius"]) -> Float[np.ndarray, "image radius"]:
    """The natural logarithm of `radial_spectrum`'s power."""
    return np.log(spectrum + _FLOOR)


def spectral(
    spectrum: Float[np.ndarray, "picture radius"], natural: Float[np.ndarray, " radius"]
) -> tuple[Scores, Scores]:
    """Measures how far a picture's radial spectrum lies from that of photographs, in nats.

    White noise has many times the power of photographs in its highest frequencies, whatever its activation, and an
    empty picture has almost none. But dithering and print have it too, and noise of middling frequencies has not: see
    `noise`.

    Args:
        spectrum: power at each radius, as `vitjax.analysis.ablations.frequency.radial_spectrum` gives.
        natural: E log P, the mean of `log_power` over photographs.

    Returns:
        (distance, the root mean square over radii of log P - E log P; detail, its mean over the upper half of them).
    """
    over = log_power(spectrum) - natural
    return np.sqrt((over**2).mean(axis=1)), over[:, len(natural) // 2 :].mean(axis=1)


def noise(
    floor: Float[np.ndarray, "picture 2 octave"],
    mean: Float[np.ndarray, "2 octave"],
    std: Float[np.ndarray, "2 octave"],
) -> Scores:
    """Measures how much noisier than photographs a picture is, in their standard deviations, at its noisiest octave.

    max over octaves of min over (places, frequencies) of (log E - mean) / std: energy that is everywhere in the picture
    and at every frequency of an octave. Texture and edges leave places quiet, gratings frequencies.

    Args:
        floor: as `vitjax.analysis.report.clarity.noise_floor` gives.
        mean, std: of the same over photographs; a deviation below `SPREAD`, as of few photographs, counts as that.
    """
    return ((floor - mean) / np.maximum(std, SPREAD)).min(axis=1).max(axis=1)


def coarse(spectrum: Float[np.ndarray, "picture radius"], natural: Float[np.ndarray, " radius"]) -> Scores:
    """Measures coarse structure, in nats: the mean of log P - E log P over the lowest eighth of radii.

    Noise of a band and gratings have none. Arguments as of `spectral`.
    """
    return (log_power(spectrum) - natural)[:, : max(1, len(natural) // 8)].mean(axis=1)


def agreement(
    picture: Float[np.ndarray, "picture d"],
    photo: Float[np.ndarray, "photo d"],
    exemplar: Int[np.ndarray, "unit k"],
    unit: Int[np.ndarray, " picture"],
    own: Int[np.ndarray, " picture"],
) -> Int[np.ndarray, " picture"]:
    """Ranks the unit's own exemplars among those of all units of the tap: does the picture lead back to its unit?

    Unit v scores cos(e(x), sum of e(n) / |e(n)| over v's exemplars n); rank 1 is best, and the mean of 1 / rank over
    pictures is the mean reciprocal rank. A picture that is a photograph is left out of the exemplars of every unit.

    Args:
        picture, photo: embeddings e, of any model. One that made the pictures judges itself in part.
        exemplar: rows of `photo`, the best photographs of each unit; `NONE` where there are fewer.
        unit: of each picture.
        own: the row of `photo` that each picture is, or `NONE`.
    """
    picture, photo = (_unit_length(np.asarray(some, np.float64)) for some in (picture, photo))
    there = exemplar != NONE
    sums = sum(photo[exemplar[:, i]] * there[:, i, None] for i in range(exemplar.shape[1]))
    score = picture @ _unit_length(sums).T
    holder, held = np.nonzero(there)
    for place in np.setdiff1d(own, NONE):
        those, without = np.flatnonzero(own == place), np.unique(holder[exemplar[holder, held] == place])
        score[np.ix_(those, without)] = picture[those] @ _unit_length(sums[without] - photo[place]).T
    return 1 + (score > np.take_along_axis(score, unit[:, None], axis=1) + _ALIKE).sum(axis=1)


def stability(
    first: Float[np.ndarray, "picture d"], second: Float[np.ndarray, "picture d"]
) -> tuple[Scores, Int[np.ndarray, " picture"]]:
    """Compares two pictures of each unit by their embeddings: does another seed give the same picture?

    Returns:
        (the cosine of the two; the rank of the second among the second pictures of all units, by that cosine).
    """
    cosine = _unit_length(first) @ _unit_length(second).T
    own = np.diag(cosine)
    return own, 1 + (cosine > own[:, None]).sum(axis=1)


def slope(history: Float[np.ndarray, "picture step"], tail: float = TAIL) -> Scores:
    """Measures how much a picture was still improving: the rise of the line through the last `tail` of its activations.

    In units of the range of the whole history: 0 has converged. A learning rate that falls to 0, as that of all
    recipes does, flattens the end of any history. NaN for a history that never moves. Histories may end with NaN.
    """
    if not history.size:
        return np.full(len(history), np.nan)
    if np.isnan(history).any():  # some took fewer steps than others
        return np.array([slope(row[None, ~np.isnan(row)], tail)[0] for row in history])
    points = max(3, round(tail * history.shape[1]))
    end, at = history[:, -points:], np.arange(min(points, history.shape[1]))
    at = at - at.mean()
    climbed = (end @ at) / max((at**2).sum(), 1) * (len(at) - 1)
    span = np.ptp(history, axis=1)
    return np.divide(climbed, span, out=np.full_like(climbed, np.nan), where=span > 0)


def clipped(images: UInt8[np.ndarray, "picture h w 3"]) -> Scores:
    """The share of values that are 0 or 255. Photographs on white have many, so it condemns nothing alone."""
    return ((images == 0) | (images == 255)).mean(axis=(1, 2, 3))


def colour(images: UInt8[np.ndarray, "picture h w 3"]) -> Scores:
    """The mean over pixels of largest minus smallest channel: 0 is grey, 1 pure colours everywhere."""
    return np.ptp(images, axis=3).mean(axis=(1, 2)) / 255


def contrast(images: UInt8[np.ndarray, "picture h w 3"]) -> Scores:
    """The root mean square of the channels' standard deviations over pixels, white being 1: an even picture has 0."""
    return np.sqrt(images.reshape(len(images), -1, 3).var(axis=1, dtype=np.float64).mean(axis=1)) / 255


def levels(images: UInt8[np.ndarray, "picture h w 3"]) -> Scores:
    """Counts the values that a channel takes, by use: 2 to the mean over channels of the entropy of its values in bits.

    2 for black and white in equal parts, dithered or not; about 6 for print, 50 to 250 for photographs.
    """
    return np.array([2 ** np.mean([_entropy(image[..., channel]) for channel in range(3)]) for image in images])


def copied(
    picture: Float[np.ndarray, "picture pixel"],
    photo: Float[np.ndarray, "photo pixel"],
    own: Int[np.ndarray, " picture"],
) -> Scores:
    """The highest correlation of a picture with a photograph, by their thumbnails: 1 for a copy.

    Args:
        picture, photo: as `vitjax.analysis.report.clarity.thumbnail` gives.
        own: the row of `photo` that each picture is said to be and that does not count, or `NONE`.
    """
    likeness = picture @ photo.T
    likeness[(own != NONE).nonzero()[0], own[own != NONE]] = -1
    return likeness.max(axis=1)


def _entropy(values: UInt8[np.ndarray, "h w"]) -> float:
    share = np.bincount(values.ravel(), minlength=256) / values.size
    return float(-(share * np.log2(np.maximum(share, 1e-12))).sum())


def _unit_length(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)

"""Scores dictionaries of features on images: what they explain, with how many latents, and what the model loses."""

import numpy as np
import pyarrow as pa
from jaxtyping import Float, Int

from vitjax.analysis.dictionaries import dictionary_measures as measures
from vitjax.analysis.dictionaries.dictionary_figures import draw
from vitjax.analysis.dictionaries.dictionary_pass import of, passed
from vitjax.analysis.study.checks import analysis
from vitjax.analysis.study.findings import Findings, settings
from vitjax.data.dataset import Dataset
from vitjax.errors import InputError, nearest
from vitjax.models.core.network import Network
from vitjax.models.dictionaries.dictionary import Dictionary
from vitjax.weights.dictionaries.read import read_dictionary

NAME = "dictionary-score"
CLASSES, COSINE = "cross-entropy of the head's classes, at its own scale of logits", "1 - cosine of the model's output"
LOSSES = ("auto", "classes", "cosine")


@analysis
def run(
    model: Network, data: Dataset, *, taps: list[str] | None = None, beside: str | None = None, loss: str = "auto"
) -> Findings:
    """Scores each dictionary that the model has; the measures are those of `dictionary_measures`.

    The images are seen twice, first for the mean of the tap. `recovered` compares the loss with the dictionary's tokens
    set to zero, `recovered_mean` with them at their mean.

    Args:
        model: with dictionaries.
        data: the images.
        taps: of the dictionaries' latents; default all.
        beside: a file of another dictionary of as many channels: how alike are their latents?
        loss: "classes" (cross-entropy), "cosine" (1 less that of the output with the output of the model as it is), or
            "auto": that of classes where they are known.

    Raises:
        InputError: no dictionary, an unknown tap or loss, no classes where they are asked for, or another dictionary of
            other channels.
    """
    if loss not in LOSSES:
        raise InputError(f"unknown loss {loss!r}{nearest(loss, LOSSES)}: {', '.join(LOSSES)}")
    held = [one.taps[1] for one in model.dictionaries if isinstance(one, Dictionary)]  # and no directions
    if not held:
        raise InputError("the model has no dictionary: give --dictionary TAP=FILE")
    for tap in taps or ():
        if tap not in held:
            raise InputError(f"{tap} is of no dictionary{nearest(tap, held)}: {', '.join(held)}")
    labels, other = _labels(model, data, loss), read_dictionary(beside) if beside else None
    found = {tap: _scored(model, data, tap, labels, other) for tap in taps or held}
    rows = [{"dictionary": tap, **row} for tap, (row, _) in found.items()]
    about = settings(model, data, loss=COSINE if labels is None else CLASSES, beside=other and other.described())
    return Findings(
        NAME, rows, about, {"": draw(found)}, "\n".join(map(_said, rows)), {f"{NAME}-latents": _table(found)}
    )


def _labels(model: Network, data: Dataset, loss: str) -> Int[np.ndarray, " image"] | None:
    if loss == "cosine" or (loss == "auto" and not model.config.classes):
        return None
    try:
        return data.labels_for(model)
    except InputError:
        if loss == "classes":
            raise
        return None


def _scored(
    model: Network, data: Dataset, tap: str, labels: Int[np.ndarray, " image"] | None, other: Dictionary | None
) -> tuple[dict[str, float], dict[str, Float[np.ndarray, " latent"]]]:
    """The row of a dictionary, and {column: of each of its latents}."""
    one = of(model, tap)
    if other is not None and other.channels != one.channels:
        raise InputError(f"the dictionary beside has {other.channels} channels, that of {tap} has {one.channels}")
    summed, losses, (place, score), images = passed(model, data, tap, labels)
    decoder = np.asarray(one.arrays["decoder"][...], np.float32)
    latents = {
        "density": summed.active / summed.tokens,
        "when_active": measures.when_active(summed),
        "coherence": measures.coherence(decoder),
        "shared": measures.shared(place, score > 0, len(data.images)),
    }
    as_is, rebuilt, zero, mean = map(float, losses)
    row = {"images": images, "tokens": summed.tokens, "latents": one.width, **measures.overall(summed)}
    row |= {"loss": as_is, "loss_rebuilt": rebuilt, "loss_zero": zero, "loss_mean": mean}
    row |= {"recovered": measures.recovered(as_is, rebuilt, zero)}
    row |= {"recovered_mean": measures.recovered(as_is, rebuilt, mean)}
    alike = latents["shared"][np.isfinite(latents["shared"])]
    row |= {"coherence": float(latents["coherence"].mean()), "shared": float(alike.mean()) if len(alike) else None}
    if other is not None:
        theirs = np.asarray(other.arrays["decoder"][...], np.float32)
        latents["nearest"] = measures.nearest(decoder, theirs)
        row |= {"nearest": float(latents["nearest"].mean()), "stability": measures.stability(decoder, theirs)}
    return row, latents


def _table(found: dict[str, tuple[dict, dict]]) -> pa.Table:
    parts = [latents for _, latents in found.values()]
    columns = {"dictionary": [tap for tap, (_, latents) in found.items() for _ in latents["density"]]}
    columns["latent"] = np.concatenate([np.arange(len(part["density"])) for part in parts])
    return pa.table(columns | {name: np.concatenate([part[name] for part in parts]) for name in parts[0]})


def _said(row: dict) -> str:
    return (
        f"{row['dictionary']}: {row['explained']:.4f} of the variance with {row['l0']:.1f} latents a token,"
        f" {row['dead']:.1%} dead, {row['recovered']:.4f} of the loss recovered"
    )

"""Scores the units that pictures were made for by an encoder's eyes, and whether the pictures explain them to it."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from vitjax.analysis.photographs.exemplars import Exemplars
from vitjax.analysis.report.grading import Finished
from vitjax.analysis.scores.encoders import Encoder
from vitjax.analysis.scores.evidence import evidence_of, scores_of, told_by_pictures
from vitjax.analysis.study.findings import Value
from vitjax.data.dataset import Dataset
from vitjax.errors import InputError
from vitjax.models.core.network import Network
from vitjax.models.core.preprocess import IMAGE_MODES
from vitjax.optimize.results.record import RECORD, read_record

SCORES = ("monosemanticity", "above_chance", "clarity", "polysemanticity", "task_accuracy")
BY_PICTURES = "picture_accuracy"


def unit_scores(
    entries: Finished,
    found: Exemplars,
    judge: Encoder,
    data: Dataset,
    opposite: Mapping[str, UInt8[np.ndarray, "h w 3"]],
) -> dict[str, dict[str, Value]]:
    """Scores the units of pictures: `SCORES`, of the unit whatever its picture is, and `BY_PICTURES`.

    Args:
        entries: the pictures.
        found: what photographs say of their units.
        judge: the encoder.
        data: the photographs, as the model sees them.
        opposite: {negative of a unit, e.g. "-blocks.3.mlp.hidden:5": its picture}.

    Returns:
        {unit: {score: value}}; in `BY_PICTURES` the share of tasks that are solved where the unit's picture and that of
        its negative take the photographs' place, None without one.
    """
    images = {str(unit): image for unit, image in zip(entries.units, entries.images, strict=True)}
    scores: dict[str, dict[str, Value]] = {}
    for units, known in evidence_of(found, judge, data, entries.units):
        rows = scores_of(units, known)
        scores |= {unit: {name: row[name] for name in SCORES} | {BY_PICTURES: None} for unit, row in rows.items()}
        pairs = [(i, str(unit)) for i, unit in enumerate(units) if str(-unit) in opposite]
        if not pairs:
            continue
        plus = judge(np.stack([images[name] for _, name in pairs]), data.batch)
        minus = judge(np.stack([opposite[str(-units[i])] for i, _ in pairs]), data.batch)
        told = told_by_pictures(known.only([i for i, _ in pairs]), plus, minus)
        for (_, name), value in zip(pairs, told, strict=True):
            scores[name][BY_PICTURES] = None if np.isnan(value) else float(value)
    return scores


def negatives(folder: Path, model: Network) -> dict[str, UInt8[np.ndarray, "h w 3"]]:
    """Reads the pictures of negatives of units that `vitjax visualize --negative` left in a folder, by their names.

    Raises:
        InputError: one cannot be read.
    """
    found = {}
    for row in read_record(folder).get("pictures", ()):
        if row["unit"].startswith("-"):
            path = folder / row["file"]
            try:
                found[row["unit"]] = np.asarray(Image.open(path).convert(IMAGE_MODES[model.config.channels]))
            except OSError:
                raise InputError(f"{path} cannot be read, though {RECORD} lists it") from None
    return found

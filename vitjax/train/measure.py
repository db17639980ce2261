"""Measures the accuracy of what was trained on images that it has not seen."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Int

from vitjax.analysis.ablations.accuracy import evaluate, plain
from vitjax.data.annotations.labels import labelled
from vitjax.data.files.images import Images
from vitjax.data.files.open import open_images
from vitjax.data.pipeline import Batches
from vitjax.models.core.class_names import ClassNames
from vitjax.models.core.network import Network
from vitjax.models.core.preprocess import Input

TOGETHER = 100  # images
Measure = Callable[[Network], Mapping[str, float]]


def accuracy(source: str, split: str | None, classes: int, names: ClassNames, listed: Path | None = None) -> Measure:
    """Opens images with classes, and gives a function that measures a model's top-1 and top-5 on them.

    Args:
        source, split: as of `open_images`.
        classes: how many the model has.
        names: of the classes, as far as they are known.
        listed: a file that says the class of each image.

    Raises:
        InputError: there are no images, or they have other classes, which is said before anything is learned.
    """
    images = open_images(source, split)
    return measuring(images, labelled(images, classes, listed, names).numbers)


def measuring(images: Images, labels: Int[np.ndarray, " image"]) -> Measure:
    """Gives a function that measures a model's top-1 and top-5 on images of these classes."""

    def measure(model: Network) -> Mapping[str, float]:
        found = evaluate(model, Batches(images, Input.of(model), TOGETHER), labels, {"model": plain})["model"].row()
        return {name: found[name] for name in ("images", "top1", "top1_error", "top5", "loss")}

    return measure

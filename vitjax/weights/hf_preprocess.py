"""`preprocessor_config.json` of Hugging Face transformers in, a `Preprocess` out."""

from collections.abc import Mapping
from typing import Any

from vitjax.errors import InputError
from vitjax.models.config import Preprocess

PROCESSOR = "preprocessor_config.json"
FILTERS = ("nearest", "lanczos", "bilinear", "bicubic", "box", "hamming")  # in the order of Pillow's numbers


def preprocess(processor: Mapping[str, Any] | None) -> Preprocess:
    """Reads how pictures are prepared; one that transformers squeezes into a square is cut to a square here.

    Args:
        processor: the settings of `preprocessor_config.json`; None if there is none.

    Raises:
        InputError: no file, no mean or no std in it, or a filter that Pillow does not have.
    """
    if processor is None:
        raise InputError(
            f"there is no {PROCESSOR} beside config.json, and without its mean and std the model would see other"
            " colours; save the image processor too"
        )
    for name in ("image_mean", "image_std"):
        if not processor.get(name):
            raise InputError(f"{PROCESSOR} states no {name}, without which the model would see other colours")
    filter = processor.get("resample", FILTERS.index("bilinear"))
    if filter not in range(len(FILTERS)):
        raise InputError(f"resample={filter!r} in {PROCESSOR} is not one of Pillow's filters, 0 to {len(FILTERS) - 1}")
    cut = processor.get("do_center_crop") and processor.get("crop_size") and processor.get("size")
    return Preprocess(
        mean=tuple(processor["image_mean"]),
        std=tuple(processor["image_std"]),
        crop=min(1.0, _side(processor["crop_size"]) / _side(processor["size"])) if cut else 1.0,
        interpolation=FILTERS[filter],
    )


def _side(size: int | Mapping[str, int]) -> int:
    """The shorter side, in pixels, of a size as the file may state it."""
    return size if isinstance(size, int) else size.get("shortest_edge") or min(size["height"], size["width"])

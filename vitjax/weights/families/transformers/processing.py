"""Reads the settings of an image processor of Hugging Face transformers as a `Preprocess`; no field goes unread.

Source of the facts: transformers 5.24, `image_processing_{base,backends,utils}.py` and the processors of the kinds of
model that are known here. A processor whose class is called "...Fast", and since transformers 5 any where torchvision
is installed, resizes by torchvision; all others by Pillow, as here. `tests/support/preprocessing.csv` says how far the
two are apart.
"""

import math
from collections.abc import Mapping
from math import isqrt
from typing import Any

from vitjax.errors import HERE, InputError, nearest
from vitjax.models.core.preprocess import FILTERS, Preprocess, share
from vitjax.weights.families.transformers.processors import FIELDS, INERT, KINDS, PROCESSORS
from vitjax.weights.rules.channels import per_channel

PROCESSOR = "preprocessor_config.json"
NESTED = "processor_config.json"  # of transformers 5; where it has an image processor, that is the one to take
SECTION = "image_processor"
SIZES, GRID = {"size", "crop_size", "use_square_size"}, {"max_num_patches", "patch_size"}  # what states a size

MENDED = (  # how a folder without is mended, in a line of the shell
    """python -c "from transformers import AutoImageProcessor as P; P.from_pretrained('%s')"""
    f""".save_pretrained('{HERE}')\""""
)

Fields = Mapping[str, Any]
Size = tuple[int, int]  # (height, width)


def preprocess(processor: Fields | None, kind: str, image_size: Size, channels: int = 3, base: str = "") -> Preprocess:
    """Reads how pictures are prepared; what the file does not state is the default of its class in transformers.

    A size that no one states is the model's. A processor that resizes by the shorter side and crops nothing would feed
    the model pictures of another grid each: photographs that do not come to the model's own size are refused then, one
    by one. So are those that SigLIP 2's processor for any size would give another grid, all but squares.

    Args:
        processor: the settings; None if there are none.
        kind: the model's `model_type`, which says the processor's class where the file does not.
        image_size: (height, width) as the model's config states it.
        channels: of the model's images.
        base: the model that this one was made of, if its config says so.

    Returns:
        With a `size`, the processor's or `image_size`.

    Raises:
        InputError: no processor, one of a class that is unknown here, or a field that cannot be followed, by name.
    """
    if processor is None:
        raise InputError(
            f"there is no {PROCESSOR} beside config.json, and without its mean and std the model would see other"
            f" colours; what it was trained with writes it: {MENDED % (base or 'THE-MODEL-YOU-BEGAN-WITH')}"
        )
    stated = {name: value for name, value in processor.items() if value is not None}
    name = _class_of(stated, kind)
    _check(stated, name)
    fields = {**FIELDS, **PROCESSORS[name], **stated}
    mean, std = _normalisation(fields, channels)
    filter = fields["resample"]
    if filter not in range(len(FILTERS)):
        raise _refused("resample", filter, f"one of Pillow's filters, 0 to {len(FILTERS) - 1}")
    read, sizes = (_any_size, GRID) if "max_num_patches" in fields else (_layout, SIZES)
    layout = read(fields)
    if layout["size"] is None or not stated.keys() & sizes:
        layout["size"] = image_size
    return Preprocess(mean=mean, std=std, interpolation=FILTERS[filter], **layout)


def _class_of(stated: Fields, kind: str) -> str:
    """The class of the processor, by its name without what says how it is implemented."""
    named = stated.get("image_processor_type") or stated.get("feature_extractor_type") or KINDS.get(kind)
    name = str(named).replace("FeatureExtractor", "ImageProcessor").removesuffix("Fast").removesuffix("Pil")
    if name not in PROCESSORS:
        hint, known = nearest(name, PROCESSORS), ", ".join(PROCESSORS)
        raise InputError(f"unknown image processor {named!r}{hint}; known are {known}")
    return name


def _check(stated: Fields, name: str) -> None:
    """Raises for a field that this class does not have and for one of the wrong type."""
    own = {**FIELDS, **PROCESSORS[name]}
    for field, value in stated.items():
        switched_off = field.startswith("do_") and value is False
        if field not in own and field not in INERT and not switched_off:
            raise InputError(f"{field}={value!r} of the image processor is not supported{nearest(field, own)}")
        if isinstance(own.get(field), bool) and not isinstance(value, bool):
            raise _refused(field, value, "true or false")
    if stated.get("do_pad") and "pad_size" in stated:
        raise InputError(f"pad_size={stated['pad_size']!r} of the image processor is not supported")


def _normalisation(fields: Fields, channels: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """`mean` and `std` for values in [0, 1] that do what all steps of rescaling and normalising do to [0, 255]."""
    mean, std = (_channels(field, fields[field], channels) for field in ("image_mean", "image_std"))
    factor = fields["rescale_factor"]
    if not _number(factor) or factor <= 0:
        raise _refused("rescale_factor", factor, "a number above 0")
    scale, offset = (255 * factor, float(fields.get("rescale_offset", False))) if fields["do_rescale"] else (255.0, 0.0)
    again = std if fields.get("include_top") else (1.0,) * len(std)  # EfficientNet's divides by std once more
    if not fields["do_normalize"]:
        mean, std = (0.0,) * len(mean), (1.0,) * len(std)
    return (
        tuple((value + offset) / scale for value in mean),
        tuple(value * more / scale for value, more in zip(std, again, strict=True)),
    )


def _layout(fields: Fields) -> dict[str, Any]:
    """The fields of `Preprocess` that say how pictures are resized and cut."""
    if fields.get("use_square_size"):  # of KOSMOS-2: its class's own size, whatever else is stated
        fields = {**fields, "size": 224, "default_to_square": True}
    size = _size("size", fields["size"], fields["default_to_square"]) if fields["do_resize"] else None
    crop = _size("crop_size", fields["crop_size"], True) if fields["do_center_crop"] else None
    if "crop_pct" in fields and size:
        size, crop = _convnext(size, crop, fields["crop_pct"])
    edge = size is not None and "shortest_edge" in size
    if edge and "edge_scale" in fields:  # LeViT's, from which the crop is then cut
        size = {"shortest_edge": int(fields["edge_scale"] * size["shortest_edge"])}
    target = None if size is None else (size["shortest_edge"],) * 2 if edge else (size["height"], size["width"])
    cut = crop and (crop["height"], crop["width"])
    made = cut or target
    mode = "none" if size is None else "crop" if edge else "squash"
    return {
        "mode": mode,
        "crop": share(made, target) if cut and target else 1.0,
        "size": made,
        "cut": cut is not None or mode == "squash",
        "centre": "transformers" if cut else "torchvision",
    }


def _convnext(size: Fields, crop: Fields | None, share: float) -> tuple[Fields, Fields | None]:
    """ConvNeXt's resizing: cut out of a larger picture below 384 pixels, squeezed into a square from there on."""
    if "shortest_edge" not in size:
        raise _refused("size", dict(size), "the shortest_edge that ConvNextImageProcessor needs")
    if not _number(share) or share <= 0:
        raise _refused("crop_pct", share, "a number above 0")
    side = size["shortest_edge"]
    square = {"height": side, "width": side}
    if side >= 384:
        return square, crop
    if crop and crop != square:
        raise _refused("crop_size", dict(crop), f"what is cut out already, {side} pixels")
    return {"shortest_edge": int(side / share)}, square


def _any_size(fields: Fields) -> dict[str, Any]:
    """SigLIP 2's processor for any size, at the grid that it gives a square."""
    patches, patch = fields["max_num_patches"], fields["patch_size"]
    for field, value in (("max_num_patches", patches), ("patch_size", patch)):
        if not _whole(value):
            raise _refused(field, value, "a whole number above 0")
    side = isqrt(patches) * patch
    return {"mode": "crop" if fields["do_resize"] else "none", "crop": 1.0, "size": (side, side), "cut": False}


def _size(field: str, value: Any, square: bool) -> dict[str, int]:
    """A size as transformers understands it: {"height", "width"} or {"shortest_edge"}."""
    if _whole(value):
        return {"height": value, "width": value} if square else {"shortest_edge": value}
    if isinstance(value, list | tuple) and len(value) == 2:
        value = {"height": value[0], "width": value[1]}
    if isinstance(value, Mapping):
        found = {name: side for name, side in value.items() if side is not None}
        if set(found) in ({"height", "width"}, {"shortest_edge"}) and all(map(_whole, found.values())):
            return found
    raise _refused(field, value, 'pixels, [height, width], {"height", "width"} or {"shortest_edge"}')


def _channels(field: str, value: Any, channels: int) -> tuple[float, ...]:
    values = (value,) if _number(value) else value
    if not isinstance(values, list | tuple) or not values or not all(map(_number, values)):
        raise _refused(field, value, "a number, or one for each channel")
    if field == "image_std" and 0 in values:
        raise _refused(field, value, "numbers other than 0")
    return per_channel(tuple(map(float, values)), channels, f"{field} of the image processor")


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _refused(field: str, value: Any, what: str) -> InputError:
    return InputError(f"{field}={value!r} of the image processor is not {what}")

"""Says how a photograph becomes a model's input, as frozen dataclasses: resized, its centre cut out, normalised."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace

from vitjax.errors import InputError, nearest

FILTERS = ("nearest", "lanczos", "bilinear", "bicubic", "box", "hamming")  # in the order of Pillow's numbers
MODES = ("crop", "squash", "border", "none")
CENTRES = ("torchvision", "transformers")
IMAGE_MODES = {1: "L", 3: "RGB", 4: "RGBA"}  # of images with so many channels, by Pillow's names


@dataclass(frozen=True)
class Preprocess:
    """How a photograph becomes the model's input, `vitjax.data.prepare` and the model each their part of it.

    The photograph is resized with Pillow, by the filter `interpolation`, to a target of `size / crop` pixels along
    height and width, each rounded down. `mode` says how: "crop" keeps its proportions and covers the target, "border"
    keeps them and stays within it, "squash" takes the target's, "none" does not resize. Then `size` is cut out of the
    centre, and where that is larger than what there is, the rest has the colour `fill`; unless `cut`, a photograph that
    is of another size once resized is refused. The model applies `mean` and `std` to values in [0, 1].

    Every way of rescaling and normalising that is (a x + b - mean) / std is a `mean` and `std` too. Source of the
    facts: timm 1.0.31, `data/transforms_factory.py`, and transformers 5.24, `image_processing_backends.py`.

    Attributes:
        mean, std: of each channel, for values in [0, 1].
        crop: the share of the target that is cut out, or those of (height, width).
        interpolation: the name of a filter of Pillow.
        mode: "crop", "squash", "border" or "none".
        size: (height, width) of what is cut out; None for the model's image size. One that is larger by less than a
            patch is read from its top left corner, as a convolution leaves out what is beyond the last whole patch.
        cut: whether anything is cut off or added.
        fill: the colour of what is added, in [0, 255].
        centre: whose rounding places the centre, "torchvision" (timm's and OpenCLIP's too) or "transformers".

    Raises:
        InputError: a value that a field cannot have, by name.
    """

    mean: tuple[float, ...] = (0.5, 0.5, 0.5)
    std: tuple[float, ...] = (0.5, 0.5, 0.5)
    crop: float | tuple[float, float] = 0.875
    interpolation: str = "bicubic"
    mode: str = "crop"
    size: tuple[int, int] | None = None
    cut: bool = True
    fill: tuple[int, ...] = (0, 0, 0)
    centre: str = "torchvision"

    def __post_init__(self):
        for name, known in (("interpolation", FILTERS), ("mode", MODES), ("centre", CENTRES)):
            if (value := getattr(self, name)) not in known:
                raise InputError(f"unknown {name} {value!r}{nearest(str(value), known)}; known are {', '.join(known)}")
        if not all(math.isfinite(share) and share > 0 for share in self.crops):
            raise InputError(f"crop is {self.crop!r}, it must be a number above 0 or two of them")
        if len(self.mean) != len(self.std) or not all(map(math.isfinite, (*self.mean, *self.std))) or 0 in self.std:
            raise InputError(f"mean {self.mean} and std {self.std} must be a number for each channel, of std none 0")

    @property
    def crops(self) -> tuple[float, float]:
        """`crop` of height and width."""
        return self.crop if isinstance(self.crop, tuple) else (self.crop, self.crop)

    def of(self, image_size: tuple[int, int]) -> "Preprocess":
        """The same for a model of this image size, `size` None where it is that."""
        return replace(self, size=None) if self.size == image_size else self


class Sizes:
    """What follows from an `image_size`, a `patch_size` and a `preprocess`."""

    @property
    def channels(self) -> int:
        """Channels of an image: 1 (grey), 3 (RGB) or 4 (RGB and one more), as many as have a mean."""
        return len(self.preprocess.mean)

    @property
    def grid(self) -> tuple[int, int]:
        """Patches along (height, width)."""
        return self.image_size[0] // self.patch_size[0], self.image_size[1] // self.patch_size[1]

    @property
    def patches(self) -> int:
        """Number of patches."""
        return self.grid[0] * self.grid[1]


@dataclass(frozen=True)
class Input(Sizes):
    """What a model of any kind reads: all that `vitjax.data` has to know of it. Its config has the same fields.

    Attributes:
        image_size: (height, width) in pixels.
        preprocess: how a photograph becomes an image of that size.
        patch_size: (height, width) of the patches that it is seen in.
    """

    image_size: tuple[int, int] = (224, 224)
    preprocess: Preprocess = field(default_factory=Preprocess)
    patch_size: tuple[int, int] = (16, 16)

    @classmethod
    def of(cls, model: object) -> "Input":
        """Gives what a model reads, by the model or its config; an `Input` is given back as it is.

        Raises:
            InputError: it is none of these.
        """
        config = getattr(model, "config", model)
        if isinstance(config, cls):
            return config
        parts = [getattr(config, part.name, None) for part in fields(cls)]
        if None in parts:
            raise InputError(f"config is of type {type(model).__name__}: give that of a model, model.config")
        return cls(*parts)


def share(part: Sequence[int], whole: Sequence[int]) -> float | tuple[float, float]:
    """The `crop` whose target is exactly `whole`: `part / whole`, a hair less where rounding down would miss it.

    Args:
        part: (height, width) that is cut out.
        whole: (height, width) of the target.
    """
    shares = tuple(map(_share, part, whole))
    return shares[0] if shares[0] == shares[1] else shares


def _share(part: int, whole: int) -> float:
    found = part / whole
    while math.floor(part / found) < whole:
        found = math.nextafter(found, 0)
    return found

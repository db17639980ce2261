"""Says how a training shows its images: cropped, mirrored, changed."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from vitjax.errors import InputError
from vitjax.models.core.preprocess import Input
from vitjax.train.feed.augment import erased, jittered, randaugment
from vitjax.train.feed.crops import random_view

AFFINE = {"nearest", "bilinear", "bicubic"}  # filters that turn pictures, too


@dataclass(frozen=True)
class Views:
    """How a training shows its images; fields as of `vitjax.train.settings.Settings`."""

    least_crop: float = 0.2
    mirror: bool = True
    randaugment: float = 0.0
    jitter: float = 0.0
    erase: float = 0.0

    def check(self, config: Input) -> None:
        """Checks that such models' images can be changed so.

        Raises:
            InputError: they cannot.
        """
        if (self.randaugment or self.jitter) and config.channels not in (1, 3):
            raise InputError(
                f"RandAugment and jitter change images of 1 or 3 channels, this model reads {config.channels}"
            )

    def draw(self, rng: np.random.Generator, image: Image.Image, config: Input) -> UInt8[np.ndarray, "h w color"]:
        """One view of an image, at random.

        Args:
            rng: that draws: what it gives depends on nothing else.
            image: of any size.
            config: what the model reads.
        """
        pixels = random_view(rng, image, config, self.least_crop, self.mirror)
        fill = tuple(min(255, round(255 * mean)) for mean in config.preprocess.mean[: config.channels])
        if self.randaugment or self.jitter:
            grey, filter = config.channels == 1, config.preprocess.interpolation
            image = Image.fromarray(pixels[..., 0] if grey else pixels)
            filter = Image.Resampling[(filter if filter in AFFINE else "bicubic").upper()]
            if self.randaugment:
                image = randaugment(rng, image, self.randaugment, fill[0] if grey else fill, filter)
            if self.jitter:
                image = jittered(rng, image, self.jitter)
            pixels = np.asarray(image).reshape(pixels.shape)
        return erased(rng, pixels, self.erase, fill) if self.erase else pixels

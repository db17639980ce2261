"""Random pictures with random classes, and random models that cost no compilation, all held in memory."""

import io
import re

import numpy as np
from PIL import Image

from tests.support import small
from vitjax.data.dataset import Dataset
from vitjax.data.files.images import Images
from vitjax.models.core.config import ViTConfig
from vitjax.models.vit import ViT
from vitjax.weights.parameters import build, shapes


def dataset(count: int, batch: int, config: ViTConfig = small.CONFIG, order: np.ndarray | None = None) -> Dataset:
    """`count` random pictures; `order` gives some of them, by number."""
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (count, 40, 40, 3), np.uint8)
    classes = rng.integers(0, config.classes, count)
    images = Images("noise", tuple(f"{i}.png" for i in range(count)), lambda i: _png(pictures[i]), column=classes)
    return Dataset(images if order is None else images.take(order), config, batch)


def pixels(data: Dataset) -> np.ndarray:
    """The pictures of a data set as the model gets them: [image, height, width, 3] in [0, 1]."""
    return np.concatenate([batch.images[batch.place >= 0] for batch in data.batches()]).astype(np.float32) / 255


def model(config: ViTConfig) -> ViT:
    """A model whose every parameter is random, norms and biases too."""
    rng = np.random.default_rng(1)
    return build(config, {name: rng.normal(0, 0.3, shape).astype(np.float32) for name, shape in shapes(config).items()})


def randomise(model, ones: str, seed: int = 0) -> None:
    """Draws every parameter of a model of torch, those around 1 whose names match the pattern `ones`."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        if re.search(ones, name):
            noise = 1 + 0.3 * noise
        elif name.endswith("weight"):
            noise = 1.5 * noise / parameter[0].numel() ** 0.5
        parameter.data = 0.5 * noise


def _png(picture: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, format="png")
    return file.getvalue()

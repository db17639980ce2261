"""Paints a unit by Lucent and by Horama: their default recipes, by their own packages.

All is the packages' default, but for this, most of it to their advantage:

    model       frozen, and without the blocks behind the unit; their own examples run and differentiate all of it
    pixels      normalised by the model's own mean and std: Lucent's ImageNet statistics are left out
                (`preprocess=False`), Horama optimises in (-1, 1), from where its pictures are moved to [0, 1]
    spectrum    Horama loads MACO's amplitudes from the web; here they follow the law that vitjax fitted to photographs
    RoI align   is `crops`, where torchvision's compiled operator does not load

Lucent's 128 pixels are enlarged to the model's size, as it does at every step. Horama shows the model crops of 25 to
30 % of its 1280 pixels (its `box_size` says 20 to 25): its picture is kept whole, as people look at it, and as its
middle, at the scale of the crops.
"""

import contextlib
import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import jax
import numpy as np
import torch

from converters.referees.timm_vit import import_timm
from vitjax.models.core.config import ViTConfig
from vitjax.models.core.vocabulary import split_tap
from vitjax.models.flops import operations
from vitjax.models.registry import abstract
from vitjax.optimize.cost import COUNTED
from vitjax.optimize.parametrize import magnitudes
from vitjax.units.units import Unit

INSTALL = 'pip install --no-deps torch-lucent "kornia<=0.4.1" decorator future horama einops && pip install ipython'
ENDINGS = {"torch-lucent": ("",), "horama": ("", "-middle")}
MIDDLE = 0.275  # of Horama's canvas: what a crop shows on average


class Neuron:
    """A frozen model of timm's up to the block of one MLP unit; called with images [n, 3, h, w] in [0, 1].

    Attributes:
        history: the unit's activation at every call, after the GELU, averaged over patch tokens and images.
    """

    def __init__(self, folder: Path, config: ViTConfig, unit: Unit):
        described = json.loads((folder / "config.json").read_text())
        weights = {"checkpoint_path": folder / "model.safetensors"} | described.get("model_args", {})
        self.net = import_timm().create_model(described["architecture"], **weights)
        self.block, (self.index,), self.prefix = split_tap(unit.tap).block, unit.index, config.prefix
        self.net.blocks = self.net.blocks[: self.block + 1]
        self.net.eval().requires_grad_(False)
        self.net.blocks[-1].mlp.act.register_forward_hook(lambda _, __, hidden: setattr(self, "hidden", hidden))
        self.mean, self.std = torch.tensor([config.preprocess.mean, config.preprocess.std])[..., None, None]
        self.history: list[float] = []

    def normalised(self, images: torch.Tensor) -> torch.Tensor:
        """Pixels as the model takes them."""
        return (images - self.mean) / self.std

    def read(self, hidden: torch.Tensor) -> torch.Tensor:
        """The activation in the values [n, token, unit] behind the GELU."""
        value = hidden[:, self.prefix :, self.index].mean()
        self.history.append(float(value.detach()))
        return value

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        self.net(self.normalised(images))
        return self.read(self.hidden)


@dataclass(frozen=True)
class Peer:
    """A peer's default recipe, as `pictures.json` records it.

    Attributes:
        package: on PyPI.
        method: the package's function.
        canvas: side of the picture that it optimises, in pixels.
        steps, views: updates, and images that the model sees at each.
        tokens: those that count, as in `Recipe.tokens`.
    """

    package: str
    method: str
    canvas: int
    steps: int
    views: int
    tokens: str = "patches"

    def flops(self, config: ViTConfig, tap: str) -> float:
        """Operations of one picture: to the end of the tap's block, and from the tap back to the pixels."""
        image = jax.ShapeDtypeStruct((1, *config.image_size, config.channels), "float32")
        model, read = abstract(config), lambda images, model, tap: model(images, tap, execution=COUNTED)[tap].sum()
        forward = lambda tap: operations(partial(read, tap=tap), image, model)
        both = operations(jax.grad(partial(read, tap=tap)), image, model)
        return self.steps * self.views * (forward(tap.replace("mlp.hidden", "resid_post")) + both - forward(tap))

    def paint(self, neuron: Neuron, seed: int) -> dict[str, np.ndarray]:
        """The picture, and what else of it is kept: {name's ending: [h, w, 3] in [0, 1]}, as in `ENDINGS`."""
        torch.manual_seed(seed)
        np.random.seed(seed)  # Lucent draws its transforms from here
        return dict(zip(ENDINGS[self.package], PAINTERS[self.package](self, neuron), strict=True))


PEERS = {
    "lucent": Peer("torch-lucent", "render_vis", canvas=128, steps=512, views=1),
    "horama-maco": Peer("horama", "maco", canvas=1280, steps=1000, views=6),
    "horama-fourier": Peer("horama", "fourier", canvas=1280, steps=1000, views=6),
}


def lucent_picture(peer: Peer, neuron: Neuron) -> list[np.ndarray]:
    """Lucent's picture."""
    from lucent.optvis import param, render, transform

    layer = f"blocks_{neuron.block}_mlp_act"
    (images,) = render.render_vis(
        neuron.net,
        lambda layers: -neuron.read(layers(layer)),
        param_f=lambda: param.image(peer.canvas),
        transforms=[*transform.standard_transforms, neuron.normalised],
        preprocess=False,
        thresholds=(peer.steps,),
        show_image=False,
        progress=False,
    )
    return list(images)


def horama_pictures(peer: Peer, neuron: Neuron) -> list[np.ndarray]:
    """Horama's picture, and its middle."""
    import horama
    from torchvision.extension import _has_ops

    if not _has_ops():
        horama.common.roi_align = crops
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        np.save(horama.maco_fv.MACO_SPECTRUM_FILENAME, np.moveaxis(magnitudes((peer.canvas, peer.canvas)), -1, 0))
        image, _ = getattr(horama, peer.method)(
            lambda images: neuron((images + 1) / 2),
            total_steps=peer.steps,
            image_size=peer.canvas,
            crops_per_iteration=peer.views,
            values_range=(-1, 1),
            device="cpu",
        )
    image = (image.detach().permute(1, 2, 0).numpy() + 1) / 2
    edge = round(peer.canvas * (1 - MIDDLE) / 2)
    return [image, image[edge:-edge, edge:-edge]]


def crops(image: torch.Tensor, boxes: torch.Tensor, output_size: tuple[int, int]) -> torch.Tensor:
    """What torchvision's `roi_align` gives for boxes no larger than the output: one sample a pixel.

    Args:
        image: [1, channel, h, w].
        boxes: [box, (0, x0, y0, x1, y1)].
        output_size: height and width.

    Returns:
        [box, channel, *output_size]; 0 more than a pixel outside the image.
    """
    places, inside = [], []
    for axis, (count, side) in enumerate(zip(output_size[::-1], image.shape[:1:-1], strict=True), start=1):
        start, end = boxes[:, axis, None], boxes[:, axis + 2, None]
        place = start + (end - start).clamp(min=1) * (torch.arange(count) + 0.5) / count
        places.append(place * 2 / (side - 1) - 1)
        inside.append((place >= -1) & (place <= side))
    rows, columns = (..., slice(None), None), (..., None, slice(None))
    grid = torch.stack(torch.broadcast_tensors(places[0][columns], places[1][rows]), -1)
    seen = torch.nn.functional.grid_sample(image, grid.flatten(0, 1)[None], padding_mode="border", align_corners=True)
    return seen[0].unflatten(1, grid.shape[:2]).transpose(0, 1) * (inside[0][columns] & inside[1][rows])[:, None]


PAINTERS: dict[str, Callable[[Peer, Neuron], list[np.ndarray]]] = {
    "torch-lucent": lucent_picture,
    "horama": horama_pictures,
}

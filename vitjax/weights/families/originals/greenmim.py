"""The `.pth` files of Swins that were pretrained on masked images and published by GreenMIM's authors in May 2022.

They are files of Microsoft's names under `encoder.`, beside a decoder, with norms of 1e-6. Their code of that time
merged the four tokens of a cell row by row, Swin does column by column: the middle two of four blocks of the merging's
norm and of its linear map change places. That is said by the code's history, no file says it: one trained by their
code since January 2023 has Swin's order, and is to be loaded without its decoder, as Microsoft's.
Source of the facts: LayneH/GreenMIM, `modeling/green_swin_models.py`, commit b981012, `util/extract_backbone.py`.
"""

from collections.abc import Mapping
from dataclasses import replace
from math import isqrt
from pathlib import Path

import numpy as np

from vitjax.models.hierarchical.swin import SwinConfig
from vitjax.weights.families.family import Family, Settings, Shapes
from vitjax.weights.families.originals import microsoft
from vitjax.weights.families.timm.hierarchical.swin import swin_table, swin_tensors
from vitjax.weights.formats.open import open_file
from vitjax.weights.formats.tensors import Tensors, shapes_of

KEY, UNITS = "greenmim", "units"  # settings: the file's name, and units along a side of an image
ENCODER, DECODER = f"encoder.{microsoft.MARK}", "decoder_pos_embed"  # as they stand in the file
NORM_EPS = 1e-6
MERGING = ".downsample."
COLUMNS = (0, 2, 1, 3)  # of the four tokens of a cell, row by row, as Swin has them


def settings_of(path: Path, tensors: Tensors) -> Settings | None:
    """Knows a file by what stands beside its encoder, whose tensors alone are given."""
    if "head.weight" in tensors or microsoft.settings_of(path, tensors) is None:
        return None
    whole = open_file(path)
    units = [shape[1] for name, shape in whole.shapes.items() if name.split(".")[-1] == DECODER]
    if not units or not any(name.endswith(ENCODER) for name in whole):
        return None
    return {KEY: path.stem, UNITS: isqrt(units[0])}


def config(settings: Settings, shapes: Shapes) -> SwinConfig:
    """Reads the model's config off its tensors' shapes, the image size off those of the decoder's positions."""
    stages = 1 + max(int(name.split(".")[1]) for name in shapes if name.startswith("layers."))
    side = settings[UNITS] * shapes[microsoft.MARK][2] * 2 ** (stages - 1)
    named = {microsoft.KEY: f"{settings[KEY]}_window0_{side}"}  # the windows are known by their tables
    return replace(microsoft.config(named, shapes), norm_eps=NORM_EPS)


def tensors_of(tensors: Mapping[str, np.ndarray], settings: Settings) -> Mapping[str, np.ndarray]:
    """Gives the tensors by timm's names, of merging in Swin's order."""
    shapes = shapes_of(tensors)

    def read(name: str) -> np.ndarray:
        tensor = tensors[name]
        if MERGING not in name:
            return tensor
        four = tensor.reshape(*tensor.shape[:-1], 4, -1)
        return four[..., COLUMNS, :].reshape(tensor.shape)

    return swin_tensors(Tensors((), shapes, read), config(settings, shapes))


GREENMIM = Family(
    name="greenmim",
    match=lambda settings: KEY in settings,
    config=config,
    table=lambda config, settings, shapes: swin_table(config),
    tensors=tensors_of,
    files=settings_of,
    marks={microsoft.MARK: ()},
    architecture=lambda settings: settings[KEY],
)

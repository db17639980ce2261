"""The `.pth` files that ResMLP was published as.

The files come without a config: all stands in the tensors' shapes, and images are squares. Source of the facts:
facebookresearch/deit, `resmlp_models.py` and `datasets.py`.
"""

from collections.abc import Mapping
from math import isqrt
from pathlib import Path

import numpy as np

from vitjax.errors import InputError
from vitjax.models.core.preprocess import Preprocess
from vitjax.models.mixer import MixerConfig
from vitjax.weights.families.family import Family, Settings, Shapes
from vitjax.weights.families.timm.hierarchical.mixer import MIXER_MARK, MIXING, resmlp_table, resmlp_tensors
from vitjax.weights.formats.tensors import Tensors

KEY = "resmlp"  # the setting that holds the name of the file
ENDINGS = (".pth", ".pt")
OWN = ("patch_embed.proj.weight", "blocks.0.norm1.alpha", "blocks.0.attn.weight", "blocks.0.mlp.fc1.weight")
PREPROCESS = Preprocess((0.485, 0.456, 0.406), (0.229, 0.224, 0.225), crop=0.875, interpolation="bicubic")


def settings_of(path: Path, tensors: Tensors) -> Settings | None:
    """Knows a file by its tensors."""
    return {KEY: path.stem} if path.suffix in ENDINGS and all(name in tensors for name in OWN) else None


def config(settings: Settings, shapes: Shapes) -> MixerConfig:
    """Reads the model's config off its tensors' shapes, by timm's names.

    Raises:
        InputError: tensors that are no ResMLP's, or patches that are no square.
    """
    first, mixed = shapes[MIXER_MARK], shapes[MIXING[1]]
    if len(first) != 4 or first[1] != len(PREPROCESS.mean):
        raise InputError(f"the patch embedding is {first}, in ResMLP's own files it reads 3 channels")
    width, _, *patch = first
    side = isqrt(mixed[-1])
    if side * side != mixed[-1]:
        raise InputError(f"blocks.0.attn.weight mixes {mixed[-1]} patches, which are no square")
    return MixerConfig(
        image_size=(side * patch[0], side * patch[1]),
        patch_size=tuple(patch),
        width=width,
        depth=len({name.split(".")[1] for name in shapes if name.startswith("blocks.")}),
        token_width=0,
        mlp_width=shapes["blocks.0.mlp_channels.fc1.weight"][0],
        classes=shapes.get("head.weight", (0,))[0],
        layer_scale=True,
        norm="affine",
        preprocess=PREPROCESS,
    )


def tensors_of(tensors: Mapping[str, np.ndarray], settings: Settings) -> Mapping[str, np.ndarray]:
    """Gives the tensors by timm's names."""
    return resmlp_tensors(tensors)


DEIT = Family(
    name="resmlp",
    match=lambda settings: KEY in settings,
    config=config,
    table=lambda config, settings, shapes: resmlp_table(config),
    tensors=tensors_of,
    files=settings_of,
    marks={OWN[0]: ()},
    architecture=lambda settings: settings[KEY],
)

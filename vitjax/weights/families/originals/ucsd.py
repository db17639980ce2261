"""The `.pth` files that CoaT and CoaT-Lite were published as.

The files come without a config: all but the image size stands in the tensors' shapes, and that in the names of files
that are not for 224 pixels. Names of tensors are timm's. Source of the facts: mlpc-ucsd/CoaT, `src/models/coat.py`,
`src/datasets.py` and the names of its files.
"""

import re
from pathlib import Path

from vitjax.errors import InputError
from vitjax.models.core.preprocess import Preprocess
from vitjax.models.hierarchical.coat import STAGES, CoatConfig
from vitjax.weights.families.family import Family, Settings, Shapes
from vitjax.weights.families.timm.hierarchical.coat import MARK, coat_table
from vitjax.weights.formats.tensors import Tensors

KEY = "coat"  # the setting that holds the name of the file
ENDINGS = (".pth", ".pt")
OWN = "cpe1.proj.weight"  # which no other model with the mark has
SIZE = re.compile(r"_(\d{2,4})x\1(?:_|$)")  # in the name of a file
PREPROCESS = Preprocess((0.485, 0.456, 0.406), (0.229, 0.224, 0.225), crop=224 / 256, interpolation="bicubic")


def settings_of(path: Path, tensors: Tensors) -> Settings | None:
    """Knows a file by its tensors."""
    return {KEY: path.stem} if path.suffix in ENDINGS and MARK in tensors and OWN in tensors else None


def config(settings: Settings, shapes: Shapes) -> CoatConfig:
    """Reads the model's config off its tensors' shapes.

    Raises:
        InputError: a tensor that every CoaT has is missing, or colours are not three.
    """
    scales = range(1, STAGES + 1)
    mlps = [f"serial_blocks{scale}.0.mlp.fc1.weight" for scale in scales]
    if missing := [name for name in (*mlps, MARK) if len(shapes.get(name, ())) < 2]:
        raise InputError(f"no tensor {missing[0]}: this is no CoaT")
    _, channels, *patch = shapes[MARK]
    if channels != len(PREPROCESS.mean):
        raise InputError(f"the first convolution reads {channels} channels, in CoaT's own files it reads 3")
    side = int(found[1]) if (found := SIZE.search(settings[KEY])) else 224
    return CoatConfig(
        image_size=(side, side),
        patch_size=tuple(patch),
        widths=tuple(shapes[name][1] for name in mlps),
        depths=tuple(_count(f"serial_blocks{scale}", shapes) for scale in scales),
        mlp_widths=tuple(shapes[name][0] for name in mlps),
        parallel=_count("parallel_blocks", shapes),
        classes=shapes.get("head.weight", (0,))[0],
        preprocess=PREPROCESS,
    )


def _count(stack: str, shapes: Shapes) -> int:
    return len({name.split(".")[1] for name in shapes if name.startswith(f"{stack}.")})


UCSD = Family(
    name="coat",
    match=lambda settings: KEY in settings,
    config=config,
    table=lambda config, settings, shapes: coat_table(config),
    files=settings_of,
    marks={MARK: ()},
    architecture=lambda settings: settings[KEY],
)

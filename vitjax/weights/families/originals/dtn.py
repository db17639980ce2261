"""The `.pth` files of Vision Transformers with Dynamic Token Normalization, by its authors' names.

They have timm's names, with a class token that joins after the blocks whose norms are DTN's, and positions of patches
alone. The files come without a config: all stands in the tensors' shapes. A bias of what P is made of is in them too;
it changes nothing, for a softmax takes it away. Source of the facts: wqshao126/DTN, `models/normkit/norms/dtn.py` and
`vit_norm_mix.py`. Nothing says what is added to the variance in the LayerNorms of the last blocks; it is taken to be
DTN's 1e-5.
"""

from math import isqrt
from pathlib import Path

from vitjax.errors import InputError
from vitjax.models.core.config import ViTConfig
from vitjax.models.core.preprocess import Preprocess
from vitjax.weights.families.family import Family, Settings, Shapes
from vitjax.weights.families.timm import plain
from vitjax.weights.formats.tensors import Tensors
from vitjax.weights.rules.layouts import Rule, drop, same

KEY = "dtn"  # the setting that holds the name of the file
ENDINGS = (".pth", ".pt", ".tar")
PATCH, POSITIONS, MIX = "patch_embed.proj.weight", "pos_embed", "mean_norm_weight"
HEADS = f"blocks.0.norm1.{MIX}"
PREPROCESS = Preprocess((0.485, 0.456, 0.406), (0.229, 0.224, 0.225), crop=0.875, interpolation="bicubic")


def settings_of(path: Path, tensors: Tensors) -> Settings | None:
    """Knows a file by its tensors."""
    own = (PATCH, POSITIONS, HEADS, "blocks.0.norm1.pos_proj.weight")
    return {KEY: path.stem} if path.suffix in ENDINGS and all(name in tensors for name in own) else None


def config(settings: Settings, shapes: Shapes) -> ViTConfig:
    """Reads the model's config off its tensors' shapes.

    Raises:
        InputError: patches of another rank or number of channels, or positions that are no square of them.
    """
    patch, places = shapes[PATCH], shapes[POSITIONS][1]
    if len(patch) != 4 or patch[1] != len(PREPROCESS.mean):
        raise InputError(f"the patch embedding is {patch}, in DTN's own files it reads 3 channels")
    if (side := isqrt(places)) ** 2 != places:
        raise InputError(f"{places} positions are not a square of patches: the class token has none in DTN's own files")
    blocks = {int(name.split(".")[1]) for name in shapes if name.startswith("blocks.")}
    return ViTConfig(
        image_size=(side * patch[2], side * patch[3]),
        patch_size=patch[2:],
        width=patch[0],
        depth=len(blocks),
        heads=shapes[HEADS][0],
        mlp_width=shapes["blocks.0.mlp.fc1.weight"][0],
        classes=shapes.get("head.weight", (0,))[0],
        qkv_bias="blocks.0.attn.qkv.bias" in shapes,
        norm="dtn-reference",
        norm_eps=1e-5,
        joins=sum(f"blocks.{block}.norm1.{MIX}" in shapes for block in blocks),
        preprocess=PREPROCESS,
    )


def table(config: ViTConfig) -> list[Rule]:
    """Lists the rules."""
    norms = []
    for norm in ("norm1", "norm2"):
        theirs, ours = f"blocks.{{i}}.{norm}", f"blocks.{norm}"
        norms += [
            *same(f"{theirs}.{MIX}", f"{ours}.mix_mean"),
            *same(f"{theirs}.var_norm_weight", f"{ours}.mix_variance"),
            *same(f"{theirs}.pos_proj.weight", f"{ours}.position"),
        ]
    return [*plain.table(config), *norms, *drop("blocks.*.pos_proj.bias")]


DTN = Family(
    name="dtn",
    match=lambda settings: KEY in settings,
    config=config,
    table=lambda config, settings, shapes: table(config),
    covered=lambda config, settings, shapes: 0,
    files=settings_of,
    marks={PATCH: ()},
    architecture=lambda settings: settings[KEY],
)

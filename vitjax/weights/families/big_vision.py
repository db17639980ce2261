"""big_vision's `.npz` files: ViT, the image towers of SigLIP and LiT.

As in Google's older files everything stands in the shapes. New are: positions of the patches alone, pooling by their
mean or by an attention head where there is no class token, and blocks that are scanned, kept as one array each. GELU is
big_vision's own, which is Flax's default and so the approximation by tanh, as transformers runs SigLIP; pixels go to
[-1, 1]. Source of the facts: google-research/big_vision, `models/vit.py` and `models/proj/image_text/two_towers.py`.
"""

from collections.abc import Mapping
from functools import lru_cache
from math import isqrt
from pathlib import Path

import numpy as np

from vitjax.errors import InputError
from vitjax.models.core.config import ViTConfig
from vitjax.weights.families.family import Family, Settings, Shapes
from vitjax.weights.families.google import dense, norm, preprocess
from vitjax.weights.formats.tensors import Tensors, shapes_of
from vitjax.weights.rules.layouts import Layout, Rule, Shape, parted, same
from vitjax.weights.rules.resize import Resampling

DEEPEST = 1000  # blocks of a scanned array; no model has more
KEY = "big_vision"  # the one setting of files that come without a config: their name

_SCANNED, _BLOCK = "Transformer/encoderblock/", "Transformer/encoderblock_{i}"
_ATTENTION, _MLP = "MultiHeadDotProductAttention_0", "MlpBlock_0"
_POOL = "MAPHead_0"


def settings_of(path: Path, tensors: Tensors) -> Settings | None:
    """Knows a file by the MLP of a block, which is its first, in Google's older files its third layer."""
    return {KEY: path.stem} if path.suffix == ".npz" and any(f"{_MLP}/" in name for name in tensors) else None


def table(config: ViTConfig, settings: Settings, shapes: Shapes) -> list[Rule]:
    """Lists the rules, for blocks that stand one by one."""
    qkv = ("query", "key", "value")
    return [
        *dense("embedding", "patch", Layout(lambda ours: (*config.patch_size, config.channels, ours[1]))),
        *same("cls", "tokens.class", leading=1),
        *same("pos_embedding", "tokens.position", leading=1),
        *norm(f"{_BLOCK}/LayerNorm_0", "blocks.norm1"),
        *(
            rule
            for index, name in enumerate(qkv)
            for rule in parted(dense(f"{_BLOCK}/{_ATTENTION}/{name}", "blocks.attn.qkv"), index)
        ),
        *dense(f"{_BLOCK}/{_ATTENTION}/out", "blocks.attn.proj"),
        *norm(f"{_BLOCK}/LayerNorm_1", "blocks.norm2"),
        *dense(f"{_BLOCK}/{_MLP}/Dense_0", "blocks.mlp.fc1"),
        *dense(f"{_BLOCK}/{_MLP}/Dense_1", "blocks.mlp.fc2"),
        *norm("Transformer/encoder_norm", "norm"),
        *same(f"{_POOL}/probe", "pool.latent", leading=2),
        *dense(f"{_POOL}/{_ATTENTION}/query", "pool.q"),
        *(
            rule
            for index, name in enumerate(qkv[1:])
            for rule in parted(dense(f"{_POOL}/{_ATTENTION}/{name}", "pool.kv"), index)
        ),
        *dense(f"{_POOL}/{_ATTENTION}/out", "pool.proj"),
        *norm(f"{_POOL}/LayerNorm_0", "pool.norm"),
        *dense(f"{_POOL}/{_MLP}/Dense_0", "pool.mlp.fc1"),
        *dense(f"{_POOL}/{_MLP}/Dense_1", "pool.mlp.fc2"),
        *dense("pre_logits", "pre_logits"),
        *dense("head", "head"),
    ]


def config(settings: Settings, found: Shapes) -> ViTConfig:
    """Reads the model's config off its arrays' shapes; one with neither class token nor attention head has the mean.

    Raises:
        InputError: an array that every ViT of these has is missing or of another rank, or positions do not fill a
            square.
    """

    def shape(name: str, rank: int) -> Shape:
        if name == "pos_embedding" and name not in found:
            raise InputError("no array pos_embedding: fixed sines for positions do not say the image size")
        if len(known := found.get(name, ())) != rank:
            raise InputError(f"{name} is {known or 'missing'}, in a ViT of big_vision it has {rank} axes")
        return known

    *patch, channels, width = shape("embedding/kernel", 4)
    positions, token = shape("pos_embedding", 3)[1], "cls" in found
    patches = positions - (token and isqrt(positions) ** 2 != positions)  # old files have one for the class token
    if isqrt(patches) ** 2 != patches:
        raise InputError(f"{patches} positions are not a square of patches")
    optional = {name: shape(f"{name}/kernel", 2)[1] for name in ("pre_logits", "head") if f"{name}/kernel" in found}
    heads, pool = shape(f"{_BLOCK.format(i=0)}/{_ATTENTION}/query/kernel", 3)[1], f"{_POOL}/probe" in found
    return ViTConfig(
        image_size=tuple(isqrt(patches) * side for side in patch),
        patch_size=tuple(patch),
        width=width,
        depth=len({name.split("/")[1] for name in found if name.startswith(_BLOCK[:-3])}),
        heads=heads,
        mlp_width=shape(f"{_BLOCK.format(i=0)}/{_MLP}/Dense_0/kernel", 2)[1],
        classes=optional.get("head", 0),
        class_token=token,
        pool="attention" if pool else "token" if token else "mean",
        pre_logits=optional.get("pre_logits", 0),
        activation="gelu_tanh",
        preprocess=preprocess(channels),
    )


def _unscanned_shapes(shapes: Shapes) -> dict[str, Shape]:
    """Gives the shapes of the arrays with those of scanned blocks, whose first axis is the block, one by one."""
    found = {}
    for name, shape in shapes.items():
        if not name.startswith(_SCANNED):
            found[name] = shape
            continue
        if not shape or not 0 < shape[0] <= DEEPEST:
            raise InputError(f"{name} is {shape}, whose first axis is no number of blocks")
        found |= {f"{_BLOCK.format(i=i)}/{name.removeprefix(_SCANNED)}": shape[1:] for i in range(shape[0])}
    return found


def unscanned(tensors: Mapping[str, np.ndarray], settings: Settings) -> Tensors:
    """Gives the arrays with each scanned one as several, one for each block."""
    places, found = {}, shapes_of(tensors)
    single = _unscanned_shapes(found)
    for name in (name for name in found if name.startswith(_SCANNED)):
        own = name.removeprefix(_SCANNED)
        places |= {f"{_BLOCK.format(i=i)}/{own}": (name, i) for i in range(found[name][0])}
    whole = lru_cache(maxsize=1)(tensors.__getitem__)  # a table goes through the blocks of one array after the other

    def read(name: str) -> np.ndarray:
        source, i = places.get(name, (name, None))
        return whole(source) if i is None else whole(source)[i]

    return Tensors((), single, read)


BIG_VISION = Family(
    name="big_vision",
    match=lambda settings: KEY in settings,
    config=config,
    table=table,
    covered=lambda config, settings, shapes: shapes["pos_embedding"][1] - config.patches,
    tensors=unscanned,
    resampling=lambda settings: Resampling("bilinear"),  # as timm; big_vision's own code holds the corners fast
    files=settings_of,
    marks={"embedding/kernel": ()},
    architecture=lambda settings: settings[KEY],
)

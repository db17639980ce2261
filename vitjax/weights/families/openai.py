"""The files of OpenAI's CLIP (`ViT-B-32.pt`, TorchScript), which hold two towers.

Everything about the model stands in the tensors' shapes but its heads, which have 64 channels each, its QuickGELU, and
how pictures were prepared. Source of the facts: openai/CLIP, `clip/model.py` and `clip/clip.py`.
"""

from math import isqrt
from pathlib import Path
from typing import Any

from vitjax.errors import InputError
from vitjax.models.core.config import Preprocess, TextConfig, ViTConfig
from vitjax.weights.families.family import Family, Settings, Shapes, Tower
from vitjax.weights.formats.tensors import Tensors
from vitjax.weights.formats.torch_zip import SCRIPT
from vitjax.weights.rules.layouts import FLAT, Rule, Shape, dense, drop, linear, merge, norm, patch_conv, same
from vitjax.weights.rules.resize import Resampling

KEY = "clip"  # the one setting of files that come without a config: their name
HEAD = 64  # channels of a head
PREPROCESS = Preprocess(mean=(0.48145466, 0.4578275, 0.40821073), std=(0.26862954, 0.26130258, 0.27577711), crop=1.0)
VISUAL = "visual."
TEXT = ("token_embedding.weight", "positional_embedding", "text_projection", "transformer.*", "ln_final.*", "text.*")
NUMBERS = ("logit_scale", "logit_bias", "input_resolution", "context_length", "vocab_size")


def settings_of(path: Path, tensors: Tensors) -> Settings | None:
    """Knows OpenAI's own files. OpenCLIP has the same names for models that may have the exact GELU."""
    return {KEY: path.stem} if SCRIPT in tensors.metadata and "visual.conv1.weight" in tensors else None


def table(config: ViTConfig) -> list[Rule]:
    """Lists the rules of the image tower."""
    return [
        *patch_conv(f"{VISUAL}conv1", "patch", config.patch_size),
        Rule(f"{VISUAL}class_embedding", "tokens.class", FLAT),
        *same(f"{VISUAL}positional_embedding", "tokens.position"),
        *norm(f"{VISUAL}ln_pre", "pre_norm"),
        *_blocks(VISUAL),
        *norm(f"{VISUAL}ln_post", "norm"),
        *same(f"{VISUAL}proj", "projection.kernel"),
        *drop(*TEXT, *NUMBERS),
    ]


def text_config(settings: Settings, shapes: Shapes) -> TextConfig:
    """Reads the text tower's config off its tensors' shapes; errors as of `config`."""
    vocabulary, width = _shape(shapes, "token_embedding.weight", 2)
    return TextConfig(
        **_stack(shapes, "", width),
        vocabulary=vocabulary,
        context=_shape(shapes, "positional_embedding", 2)[0],
        eos=vocabulary - 1,
        projection=_shape(shapes, "text_projection", 2)[1],
    )


def text_table(p: str = "") -> list[Rule]:
    """Lists the rules of the text tower, whose names begin with `p`."""
    return [
        *same(f"{p}token_embedding.weight", "token"),
        *same(f"{p}positional_embedding", "position"),
        *_blocks(p),
        *norm(f"{p}ln_final", "norm"),
        *same(f"{p}text_projection", "projection.kernel"),
        *linear(f"{p}text_projection", "projection"),  # OpenCLIP's, where it has a bias
        *drop(f"{VISUAL}*", f"{p}attn_mask", *NUMBERS),
    ]


def config(settings: Settings, shapes: Shapes) -> ViTConfig:
    """Reads the image tower's config off its tensors' shapes.

    Raises:
        InputError: a tensor that CLIP's Vision Transformers have is missing or of another rank, as in its ResNets.
    """
    width, projection = _shape(shapes, f"{VISUAL}proj", 2)
    patch = _shape(shapes, f"{VISUAL}conv1.weight", 4)[2:]
    rows = isqrt(_shape(shapes, f"{VISUAL}positional_embedding", 2)[0] - 1)
    return ViTConfig(
        **_stack(shapes, VISUAL, width),
        image_size=(rows * patch[0], rows * patch[1]),
        patch_size=patch,
        classes=0,
        projection=projection,
        pre_norm=True,
        patch_bias=False,
        final_norm="pooled",
        preprocess=PREPROCESS,
    )


def _shape(shapes: Shapes, name: str, rank: int) -> Shape:
    found = shapes.get(name, ())
    if len(found) != rank:
        raise InputError(f"no tensor {name} of {rank} axes: this is not a CLIP of OpenAI's with a Vision Transformer")
    return found


def _stack(shapes: Shapes, p: str, width: int) -> dict[str, Any]:
    """Gives the fields of a tower's blocks; `p` is what the names of its tensors begin with."""
    start = f"{p}transformer.resblocks."
    return {
        "width": width,
        "depth": len({name.removeprefix(start).split(".")[0] for name in shapes if name.startswith(start)}),
        "heads": max(1, width // HEAD),
        "mlp_width": _shape(shapes, f"{start}0.mlp.c_fc.weight", 2)[0],
        "activation": "quick_gelu",
        "norm_eps": 1e-5,
    }


def _blocks(p: str) -> list[Rule]:
    block = f"{p}transformer.resblocks.{{i}}."
    return [
        *norm(f"{block}ln_1", "blocks.norm1"),
        *dense(f"{block}attn.in_proj", "blocks.attn.qkv", weight="_weight", bias="_bias"),
        *merge(f"{block}attn.out_proj", "blocks.attn.proj"),
        *same(f"{block}ls_1.gamma", "blocks.scale1"),
        *norm(f"{block}ln_2", "blocks.norm2"),
        *linear(f"{block}mlp.c_fc", "blocks.mlp.fc1"),
        *linear(f"{block}mlp.c_proj", "blocks.mlp.fc2"),
        *same(f"{block}ls_2.gamma", "blocks.scale2"),
    ]


MARKS = {"visual.conv1.weight": ()}
OPENAI = Family(
    name="openai",
    match=lambda settings: KEY in settings,
    config=config,
    table=lambda config, settings, shapes: table(config),
    covered=lambda config, settings, shapes: 1,
    resampling=lambda settings: Resampling("bicubic"),  # as OpenCLIP and timm; OpenAI's own code keeps to one size
    files=settings_of,
    marks=MARKS,
    architecture=lambda settings: settings[KEY],
    referee="timm",
    text=Tower(text_config, lambda config, settings, shapes: text_table()),
)

"""OpenCLIP's checkpoints, which hold two towers and say in `open_clip_config.json` what these are.

The names are OpenAI's; the config says what theirs leave open: whether QuickGELU, how wide a head, how pictures are
prepared. An image tower may be one of timm's, behind `visual.trunk.`. Source of the facts: mlfoundations/open_clip,
`src/open_clip/{model,transformer,timm_model,transform}.py`.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from vitjax.errors import InputError, nearest
from vitjax.models.core.config import TextConfig, ViTConfig
from vitjax.models.core.preprocess import Preprocess
from vitjax.weights.families import openai
from vitjax.weights.families.family import Family, Settings, Shapes, Tower
from vitjax.weights.families.timm import models as timm
from vitjax.weights.families.timm.arguments import arguments
from vitjax.weights.formats.tensors import Tensors, shapes_of
from vitjax.weights.rules.layouts import KERNEL, Rule, Shape
from vitjax.weights.rules.resize import Resampling

KEY = "model_cfg"  # the setting of OpenCLIP's configs alone
TRUNK, HEAD, PROJECTION = "visual.trunk.", "visual.head.proj.weight", "projection.weight"
TEXT = "text."  # before the names of a text tower that is a module of its own

_TOWER = {"layers": 12, "mlp_ratio": 4.0, "ls_init_value": None, "norm_kwargs": None, "act_kwargs": None}
VISION = _TOWER | {
    "width": 768, "head_width": 64, "patch_size": 16, "image_size": 224, "no_ln_pre": False, "pool_type": "tok",
    "final_ln_after_pool": False, "timm_model_name": None, "timm_pool": "avg", "timm_proj": "linear",
}  # fmt: skip
TEXTUAL = _TOWER | {
    "width": 512, "heads": 8, "context_length": 77, "vocab_size": 49408, "no_causal_mask": False, "pool_type": "argmax",
    "proj_bias": False,
}  # fmt: skip
# What changes training or the outputs beside the embedding; every other setting must be off.
INERT = frozenset(
    "attn_pooler_heads attn_pooler_queries block_type hf_tokenizer_name tokenizer_kwargs tokenizer_mode output_tokens"
    " pad_id patch_dropout pos_embed_type proj_type text_mask timm_drop timm_drop_path timm_model_pretrained".split()
)
CHOICES = {"pos_embed_type": ("learnable",), "block_type": (None, "default"), "proj_type": ("linear",)}
POOLS = {"tok": "token", "avg": "mean"}
RESIZES = {"shortest": "crop", "squash": "squash", "longest": "border"}


def table(config: ViTConfig, settings: Settings, shapes: Shapes) -> list[Rule]:
    """Lists the rules of the image tower."""
    if not _of_timm(settings):
        return openai.table(config)
    return [*timm.TIMM.table(config, _timm_json(settings), shapes), Rule(PROJECTION, "projection.kernel", KERNEL)]


def covered(config: ViTConfig, settings: Settings, shapes: Shapes) -> int | None:
    """Counts the tokens before the patches that have a position."""
    return timm.TIMM.covered(config, _timm_json(settings), shapes) if _of_timm(settings) else 1


def tensors(tensors: Mapping[str, np.ndarray], settings: Settings) -> Mapping[str, np.ndarray]:
    """Gives an image tower of timm's by timm's own names; of other checkpoints all tensors as they are."""
    if not _of_timm(settings):
        return tensors
    source = lambda name: HEAD if name == PROJECTION else TRUNK + name
    return Tensors((), _trunk_shapes(shapes_of(tensors)), lambda name: tensors[source(name)])


def config(settings: Settings, shapes: Shapes) -> ViTConfig:
    """Reads the image tower's config off the settings.

    Raises:
        InputError: a ResNet, or a setting that cannot be followed.
    """
    fields = _fields(settings, "vision_cfg", VISION)
    if fields["timm_model_name"]:
        found, size = timm.config(_timm_json(settings), shapes), fields["image_size"]
        projection = 0 if fields["timm_proj"] == "none" else settings[KEY]["embed_dim"]
        prepared = _preprocess(settings, _pair(size)).of(found.image_size)
        return replace(found, classes=0, projection=projection, preprocess=prepared)
    if isinstance(fields["layers"], list):
        raise InputError("the image tower is a ResNet, and of OpenCLIP's only Vision Transformers are read")
    if fields["pool_type"] not in POOLS:
        raise InputError(f"pool_type={fields['pool_type']!r} is not supported, only {', '.join(POOLS)}")
    width, size = fields["width"], _pair(fields["image_size"])
    return ViTConfig(
        **_stack(fields, settings),
        image_size=size,
        patch_size=_pair(fields["patch_size"]),
        heads=width // fields["head_width"],
        classes=0,
        pool=POOLS[fields["pool_type"]],
        projection=settings[KEY]["embed_dim"],
        pre_norm=not fields["no_ln_pre"],
        patch_bias=False,
        # Of the class token alone it is the same number, and the place where OpenAI has it.
        final_norm="pooled" if fields["final_ln_after_pool"] or fields["pool_type"] == "tok" else "tokens",
        preprocess=_preprocess(settings, size).of(size),
    )


def text_config(settings: Settings, shapes: Shapes) -> TextConfig:
    """Reads the text tower's config off the settings.

    Raises:
        InputError: a tower of another library, or a setting that cannot be followed.
    """
    fields = _fields(settings, "text_cfg", TEXTUAL)
    pools = {("argmax", False): fields["vocab_size"] - 1, ("last", True): None}
    if (how := (fields["pool_type"], fields["no_causal_mask"])) not in pools:
        raise InputError(f"pool_type={how[0]!r} with no_causal_mask={how[1]} is not supported of a text tower")
    return TextConfig(
        **_stack(fields, settings),
        heads=fields["heads"],
        vocabulary=fields["vocab_size"],
        context=fields["context_length"],
        causal=not fields["no_causal_mask"],
        eos=pools[how],
        projection=settings[KEY]["embed_dim"],
        projection_bias=fields["proj_bias"],
    )


def text_table(config: TextConfig, settings: Settings, shapes: Shapes) -> list[Rule]:
    """Lists the rules of the text tower, which may be a module of its own."""
    return openai.text_table(TEXT if any(name.startswith(TEXT) for name in shapes) else "")


def architecture(settings: Settings) -> str:
    """Names the kind of image tower, as its config says it."""
    fields = _fields(settings, "vision_cfg", VISION)
    return fields["timm_model_name"] or f"open_clip_vit_width{fields['width']}_patch{_pair(fields['patch_size'])[0]}"


def _of_timm(settings: Settings) -> bool:
    return bool(_fields(settings, "vision_cfg", VISION)["timm_model_name"])


def _fields(settings: Settings, tower: str, defaults: Settings) -> dict[str, Any]:
    """A tower's settings, what is not stated filled in as OpenCLIP does."""
    model = settings[KEY]
    if "multimodal_cfg" in model:
        raise InputError("a CoCa of OpenCLIP, with a third tower, is not supported")
    stated = {key: value for key, value in model[tower].items() if value is not None}
    known = [*defaults, *INERT]
    for key, value in stated.items():
        if key not in known and value:
            raise InputError(f"{key}={value!r} in {tower} is not supported{nearest(key, known)}")
        if key in CHOICES and value not in CHOICES[key]:
            raise InputError(f"{key}={value!r} in {tower} is not supported, only {CHOICES[key][-1]!r}")
    return {**defaults, **{key: value for key, value in stated.items() if key in defaults}}


def _stack(fields: Settings, settings: Settings) -> dict[str, Any]:
    """The config fields of a tower's blocks."""
    return {
        "width": fields["width"],
        "depth": fields["layers"],
        "mlp_width": int(fields["width"] * fields["mlp_ratio"]),
        "layer_scale": fields["ls_init_value"] is not None,
        "activation": _activation(fields, settings),
        "norm_eps": _only(fields["norm_kwargs"], "norm_kwargs", "eps", 1e-5),
    }


def _activation(fields: Settings, settings: Settings) -> str:
    if settings[KEY].get("quick_gelu"):
        return "quick_gelu"
    approximate = _only(fields["act_kwargs"], "act_kwargs", "approximate", "none")
    if approximate not in ("none", "tanh"):
        raise InputError(f"approximate={approximate!r} in act_kwargs is not supported, only 'none' and 'tanh'")
    return "gelu_tanh" if approximate == "tanh" else "gelu"


def _only(given: Settings | None, where: str, key: str, default: Any) -> Any:
    """The one setting that an object of settings may have."""
    if unknown := [name for name in given or {} if name != key]:
        raise InputError(f"{unknown[0]} in {where} is not supported, only {key}")
    return (given or {}).get(key, default)


def _preprocess(settings: Settings, size: tuple[int, int]) -> Preprocess:
    """How pictures are prepared; what is not stated is OpenAI's."""
    stated = {key: value for key, value in (settings.get("preprocess_cfg") or {}).items() if value is not None}
    known = ("mean", "std", "interpolation", "resize_mode", "size", "mode", "fill_color")
    for key in stated:
        if key not in known:
            raise InputError(f"{key} in preprocess_cfg is not supported{nearest(key, known)}")
    if stated.get("mode", "RGB") != "RGB":
        raise InputError(f"mode={stated['mode']!r} in preprocess_cfg is not supported, only 'RGB'")
    if (resize := stated.get("resize_mode", "shortest")) not in RESIZES:
        raise InputError(f"resize_mode={resize!r} in preprocess_cfg is unknown{nearest(str(resize), RESIZES)}")
    filter = stated.get("interpolation", "bicubic")
    return Preprocess(
        mean=tuple(stated.get("mean", openai.PREPROCESS.mean)),
        std=tuple(stated.get("std", openai.PREPROCESS.std)),
        crop=1.0,
        interpolation="bicubic" if filter == "random" else filter,  # random is of training
        mode=RESIZES[resize],
        size=_pair(stated["size"]) if "size" in stated else size,
        fill=(stated.get("fill_color", 0),) * 3,
    )


def _timm_json(settings: Settings) -> dict[str, Any]:
    """The settings of a tower of timm's, as timm would write them, all but how pictures are prepared."""
    fields, name = _fields(settings, "vision_cfg", VISION), "timm_model_name"
    json = {"architecture": fields[name], "num_classes": 0, "pretrained_cfg": {"mean": (0.5,), "std": (0.5,)}}
    if timm.class_of(json) is timm.CONVNET:
        raise InputError(f"{name}={fields[name]!r} is not supported: it is no Vision Transformer")
    usual, pool, projection = arguments(json)["global_pool"], fields["timm_pool"], fields["timm_proj"]
    # With a projection of its own OpenCLIP changes the pooling of a model that is made already, norms and all.
    if projection not in ("linear", "none") or (projection == "linear" and pool not in ("", usual)):
        raise InputError(f"timm_pool={pool!r} with timm_proj={projection!r} is not supported for {fields[name]}")
    stated = json["pretrained_cfg"] | {"input_size": [3, *_pair(fields["image_size"])]}
    return {**json, "global_pool": pool or usual, "pretrained_cfg": stated}


def _trunk_shapes(shapes: Shapes) -> dict[str, Shape]:
    """The shapes of an image tower of timm's by timm's own names."""
    renamed = {name: PROJECTION if name == HEAD else name.removeprefix(TRUNK) for name in shapes}
    visual = (name for name in shapes if name.startswith(openai.VISUAL))
    return {renamed[name]: shapes[name] for name in visual}


def _pair(size: int | list[int]) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else (size[0], size[1])


OPEN_CLIP = Family(
    name="open_clip",
    match=lambda settings: KEY in settings,
    config=config,
    table=table,
    covered=covered,
    tensors=tensors,
    resampling=lambda settings: Resampling("bicubic"),
    marks={**openai.MARKS, timm.MARK: (TRUNK.rstrip("."),)},
    architecture=architecture,
    text=Tower(text_config, text_table),
)

"""Reads every argument of a model and of its preprocessing off a `config.json` of timm, and checks it."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from vitjax.errors import InputError, nearest
from vitjax.models.core.config import whole
from vitjax.models.core.preprocess import FILTERS, Preprocess
from vitjax.models.parts.mlp import ACTIVATIONS
from vitjax.weights.families.timm.architectures import KNOWN, RELATIVES
from vitjax.weights.families.timm.eva_architectures import EVA_UNSUPPORTED
from vitjax.weights.families.timm.inert import INERT_CFG, INERT_TOP
from vitjax.weights.families.timm.plain_architectures import UNSUPPORTED
from vitjax.weights.rules.channels import per_channel

# timm's name: ours
POOLS = {"token": "token", "avg": "mean", "map": "attention"}
PREPROCESS = {"mean": "mean", "std": "std", "crop_pct": "crop", "interpolation": "interpolation"}
CROP_MODES = {"center": "crop", "squash": "squash", "border": "border"}
READ = (*PREPROCESS, "crop_mode", "input_size", "num_classes")  # of the fields of `pretrained_cfg`

# Arguments that this model has in some forms only, among them those of timm that no architecture here changes.
CHOICES: dict[str, tuple[Any, ...]] = {
    "act_layer": tuple(ACTIVATIONS),
    "global_pool": (*POOLS, ""),
    "pos_embed": ("learn",),
    "proj_bias": (True,),
    "mlp_layer": ("mlp", "swiglu"),
    "norm_layer": (None, "layernorm"),
    "attn_type": ("eva", "rope"),
    "stem_type": ("s16", "s8"),
    "crop_mode": tuple(CROP_MODES),
    "interpolation": FILTERS,
    "rope_type": ("cat", "dinov3"),
    "rope_grid_indexing": ("ij", "xy"),
    "num_kv_heads": (None,),
    "attn_only_layer_scale": (False,),
    "always_partition": (False,),
    "head_dim": (None,),
    "use_pos_embed": (True,),
    "use_post_norm": (False,),
    "use_shared_rel_pos_bias": (False,),
}

# Arguments of timm that change training or the class that reads the images, never the arithmetic of a trained model.
INERT = frozenset(
    {f"{part}drop_rate" for part in ("", "attn_", "patch_", "pos_", "proj_")}
    | {f"rope_{change}_coords" for change in ("shift", "jitter", "rescale")}
    | {
        "drop_path_rate",
        "dynamic_img_size",
        "fix_init",
        "head_init_scale",
        "locality_strength",
        "qkv_fused",
        "strict_img_size",
        "weight_init",
    }
)


def _whole(value: Any, least: int = 1) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _row(value: Any, length: int, fits: Callable[[Any], bool]) -> bool:
    return isinstance(value, list | tuple) and len(value) == length and all(map(fits, value))


def _channels(value: Any, fits: Callable[[Any], bool]) -> bool:
    return isinstance(value, list | tuple) and len(value) > 0 and all(map(fits, value))


def _positive(value: Any) -> bool:
    return _number(value) and value > 0


def _windows(value: Any) -> bool:
    """One for all stages, or one for each, of which each may be [rows, columns]; two numbers are those of all."""
    each = value if isinstance(value, list | tuple) and value else [value]
    return all(_whole(window) or _row(window, 2, _whole) for window in each)


_KINDS: tuple[tuple[str, str, Callable[[Any], bool]], ...] = (
    ("embed_dim depth num_blocks num_heads key_dim local_up_to_layer stride", "a whole number above 0", _whole),
    (
        "num_classes parallel_depth reg_tokens num_reg_tokens swiglu_align_to",
        "a whole number",
        lambda value: _whole(value, least=0),
    ),
    ("attn_pool_num_heads", "a whole number above 0 or null", lambda value: value is None or _whole(value)),
    ("layers block_config", "four whole numbers above 0", lambda value: _row(value, 4, _whole)),
    ("mlp_ratio norm_eps crop_pct rope_temperature", "a number above 0", _positive),
    ("rope_grid_offset", "a number", _number),
    ("window_size", "a whole number above 0 or [rows, columns], one or one for each stage", _windows),
    (
        "pretrained_window_sizes",
        "whole numbers, one for each stage",
        lambda value: _channels(value, lambda window: _whole(window, least=0)),
    ),
    ("init_values attn_pool_mlp_ratio", "a number or null", lambda value: value is None or _number(value)),
    (
        "ref_feat_shape",
        "patches, [rows, columns] or null",
        lambda value: value is None or _whole(value) or _row(value, 2, _whole),
    ),
    ("img_size patch_size", "pixels or [height, width]", lambda value: _whole(value) or _row(value, 2, _whole)),
    ("in_chans", "a whole number above 0 or null", lambda value: value is None or _whole(value)),
    ("mean", "numbers, one for each channel", lambda value: _channels(value, _number)),
    ("std", "numbers above 0, one for each channel", lambda value: _channels(value, _positive)),
    (
        "fc_norm use_fc_norm use_post_transformer_norm",
        "true, false or null",
        lambda value: value is None or isinstance(value, bool),
    ),
    (
        "class_token distilled no_embed_class pre_norm final_norm pool_include_prefix qkv_bias qk_norm scale_attn_norm"
        " scale_mlp_norm swiglu_mlp scale_mlp scale_attn_inner use_abs_pos_emb use_rot_pos_emb rope_rotate_half"
        " use_rel_pos_bias use_pre_transformer_norm use_conv linear",
        "true or false",
        lambda value: isinstance(value, bool),
    ),
)


def arguments(config_json: Mapping[str, Any]) -> dict[str, Any]:
    """Reads every argument: `model_args` come before what else the file states, and that before the architecture's row.

    Returns:
        {timm's name: value}: those of a row of `KNOWN`, and mean, std, crop_pct, crop_mode and interpolation, where
        not stated as `timm.data.resolve_data_config` fills them in (center, 0.875 and bicubic).

    Raises:
        InputError: an unknown architecture, argument or field of `pretrained_cfg`, a value that it cannot have, or no
            mean and std: timm itself has two answers then, ImageNet's and those of the architecture's first weights.
    """
    cfg = _section(config_json, "pretrained_cfg")
    fields = [*READ, *INERT_CFG]
    if not cfg:  # timm's first form had everything at the top
        cfg, fields = config_json, [*fields, *INERT_TOP]
    for key, value in cfg.items():
        if key not in fields and value is not None:
            raise InputError(f"unknown {key} in config.json's pretrained_cfg{nearest(key, fields)}")
    given = _section(config_json, "model_args")
    row = _row_of(name_of(config_json))
    known = [*row, "in_chans", *CHOICES, *INERT]
    for key in given:
        if key not in known:
            raise InputError(f"unknown model_args.{key}{nearest(key, known)}")
    size = cfg.get("input_size")
    stated = {
        "crop_pct": cfg.get("crop_pct"),
        "interpolation": cfg.get("interpolation"),
        "crop_mode": cfg.get("crop_mode"),
        "img_size": size[1:] if isinstance(size, list | tuple) else size,
        "num_classes": config_json.get("num_classes", cfg.get("num_classes")),
        "global_pool": config_json.get("global_pool"),
    }
    defaults = {theirs: getattr(Preprocess, ours) for theirs, ours in PREPROCESS.items()} | {"crop_mode": "center"}
    defaults["in_chans"] = None
    args = defaults | row | {key: value for key, value in stated.items() if value is not None} | given
    for key in ("mean", "std"):  # a guess would change every picture
        if cfg.get(key) is None:
            raise InputError(f"config.json states no {key}, without which the model would see other colours")
        args[key] = cfg[key]
    _check(args, row)
    return args


def name_of(config_json: Mapping[str, Any]) -> str:
    """Gives the name of the architecture, without what may stand after its dot."""
    return str(config_json.get("architecture", "")).split(".")[0]


def image_size(args: Mapping[str, Any]) -> tuple[int, int]:
    """Gives (height, width) without the pixels beyond the last whole patch, which a convolution leaves out."""
    return whole(pair(args["img_size"]), pair(args["patch_size"]))


def preprocess(args: Mapping[str, Any], channels: int) -> Preprocess:
    """Says how pictures are prepared; a crop_pct is of the size that the model is made for, as in timm.

    What a border adds has the colour of the mean; a crop_pct above 1 adds black in the other modes.

    Args:
        args: as `arguments` gives them.
        channels: that the model's first convolution reads.

    Raises:
        InputError: another `in_chans`, or another count of means.
    """
    if args["in_chans"] not in (None, channels):
        raise InputError(f"the config says in_chans={args['in_chans']}, the first convolution reads {channels}")
    stated = {ours: args[theirs] for theirs, ours in PREPROCESS.items()}
    stated |= {name: per_channel(stated[name], channels, f"{name} in config.json") for name in ("mean", "std")}
    mode, size = CROP_MODES[args["crop_mode"]], pair(args["img_size"])
    fill = tuple(round(255 * value) for value in stated["mean"]) if mode == "border" else Preprocess.fill
    return Preprocess(**stated, mode=mode, fill=fill, size=size).of(image_size(args) if "patch_size" in args else size)


def pair(size: int | list[int]) -> tuple[int, int]:
    """Gives a size as (height, width)."""
    return (size, size) if isinstance(size, int) else (size[0], size[1])


def _section(config_json: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    section = config_json.get(name) or {}
    if not isinstance(section, Mapping):
        raise InputError(f"{name} in config.json is {section!r}, not an object of settings")
    return section


def _row_of(name: str) -> dict[str, Any]:
    unsupported = UNSUPPORTED | EVA_UNSUPPORTED
    if name in unsupported:
        raise InputError(f"{name} is not a plain Vision Transformer: it has {unsupported[name]}")
    if name in RELATIVES:
        raise InputError(f"{name} is not supported: it is {RELATIVES[name]}")
    if name not in KNOWN:
        raise InputError(f"unknown architecture {name!r}{nearest(name, KNOWN)}")
    return KNOWN[name]


def _check(args: Mapping[str, Any], row: Mapping[str, Any]) -> None:
    """Raises unless every argument is of the kind that timm's class takes, of which the architecture's row is one."""
    for key, allowed in CHOICES.items():
        if key in args and args[key] not in allowed:
            raise InputError(f"{key}={args[key]!r} is not supported, only {', '.join(map(repr, allowed))}")
    of_stages = set()
    for keys, what, fits in _KINDS:
        for key in keys.split():
            if isinstance(row.get(key), tuple) and not fits(row[key]):
                of_stages.add(key)
            elif key in args and not fits(args[key]):
                raise InputError(f"{key}={args[key]!r} in config.json is not {what}")
    named = {key for keys, _, _ in _KINDS for key in keys.split()}
    for key in of_stages | {key for key, value in row.items() if isinstance(value, tuple) and key not in named}:
        fits = _whole if isinstance(row[key][0], int) else _number
        if not isinstance(args[key], list | tuple) or not args[key] or not all(map(fits, args[key])):
            what = "whole numbers above 0" if fits is _whole else "numbers"
            raise InputError(f"{key}={args[key]!r} in config.json is not {what}, one for each stage")

"""A checkpoint's `config.json` of timm in, every argument of the model and of its preprocessing out, checked."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from vitjax.errors import InputError, nearest
from vitjax.models.config import Preprocess
from vitjax.models.layers import ACTIVATIONS
from vitjax.weights.timm_architectures import ARCHITECTURES, UNSUPPORTED

POOLS = {"token": "token", "avg": "mean", "map": "attention"}  # timm's name: ours

# Arguments that this model has in some forms only, among them those of timm that no architecture here changes.
CHOICES: dict[str, tuple[Any, ...]] = {
    "act_layer": tuple(ACTIVATIONS),
    "global_pool": (*POOLS, ""),
    "in_chans": (3,),
    "pos_embed": ("learn",),
    "qk_norm": (False,),
    "scale_attn_norm": (False,),
    "scale_mlp_norm": (False,),
    "proj_bias": (True,),
    "norm_layer": (None, "layernorm"),
}

# Arguments of timm that change training or the class that reads the images, never the arithmetic of a trained model.
INERT = frozenset(
    {f"{part}drop_rate" for part in ("", "attn_", "patch_", "pos_", "proj_")}
    | {"drop_path_rate", "dynamic_img_size", "fix_init", "strict_img_size", "weight_init"}
)

PREPROCESS = {"mean": "mean", "std": "std", "crop_pct": "crop", "interpolation": "interpolation"}  # timm's name: ours


def _whole(value: Any, least: int = 1) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _row(value: Any, length: int, fits: Callable[[Any], bool]) -> bool:
    return isinstance(value, list | tuple) and len(value) == length and all(map(fits, value))


def _positive(value: Any) -> bool:
    return _number(value) and value > 0


_KINDS: tuple[tuple[str, str, Callable[[Any], bool]], ...] = (
    ("embed_dim depth num_heads", "a whole number above 0", _whole),
    ("num_classes reg_tokens", "a whole number", lambda value: _whole(value, least=0)),
    ("mlp_ratio norm_eps crop_pct", "a number above 0", _positive),
    ("init_values", "a number or null", lambda value: value is None or _number(value)),
    ("img_size patch_size", "pixels or [height, width]", lambda value: _whole(value) or _row(value, 2, _whole)),
    ("mean", "three numbers, one for each channel", lambda value: _row(value, 3, _number)),
    ("std", "three numbers above 0, one for each channel", lambda value: _row(value, 3, _positive)),
    ("interpolation", "a name", lambda value: isinstance(value, str)),
    ("fc_norm", "true, false or null", lambda value: value is None or isinstance(value, bool)),
    (
        "class_token distilled no_embed_class pre_norm final_norm pool_include_prefix qkv_bias",
        "true or false",
        lambda value: isinstance(value, bool),
    ),
)


def arguments(config_json: Mapping[str, Any]) -> dict[str, Any]:
    """Reads every argument: `model_args` come before what else the file states, and that before the architecture's row.

    Returns:
        {timm's name: value}: those of a row of `ARCHITECTURES`, and mean, std, crop_pct and interpolation.

    Raises:
        InputError: an unknown architecture or argument, a value that it cannot have, or no mean and std.
    """
    cfg = _section(config_json, "pretrained_cfg") or config_json  # timm's first form had everything at the top
    given = _section(config_json, "model_args")
    row = _row_of(config_json.get("architecture", ""))
    known = {**row, **CHOICES}
    for key in given:
        if key not in known and key not in INERT:
            raise InputError(f"unknown model_args.{key}{nearest(key, [*known, *INERT])}")
    size = cfg.get("input_size")
    stated = {
        "crop_pct": cfg.get("crop_pct"),
        "interpolation": cfg.get("interpolation"),
        "img_size": size[1:] if isinstance(size, list | tuple) else size,
        "num_classes": config_json.get("num_classes", cfg.get("num_classes")),
        "global_pool": config_json.get("global_pool"),
    }
    defaults = {theirs: getattr(Preprocess, ours) for theirs, ours in PREPROCESS.items()}
    args = defaults | row | {key: value for key, value in stated.items() if value is not None} | given
    for key in ("mean", "std"):  # a guess would change every picture
        if cfg.get(key) is None:
            raise InputError(f"config.json states no {key}, without which the model would see other colours")
        args[key] = cfg[key]
    _check(args)
    return args


def _section(config_json: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    section = config_json.get(name) or {}
    if not isinstance(section, Mapping):
        raise InputError(f"{name} in config.json is {section!r}, not an object of settings")
    return section


def _row_of(architecture: Any) -> dict[str, Any]:
    name = str(architecture).split(".")[0]
    if name in UNSUPPORTED:
        raise InputError(f"{name} is not a plain Vision Transformer: it has {UNSUPPORTED[name]}")
    if name not in ARCHITECTURES:
        raise InputError(f"unknown architecture {name!r}{nearest(name, ARCHITECTURES)}")
    return ARCHITECTURES[name]


def _check(args: Mapping[str, Any]) -> None:
    for key, allowed in CHOICES.items():
        if key in args and args[key] not in allowed:
            raise InputError(f"{key}={args[key]!r} is not supported, only {', '.join(map(repr, allowed))}")
    for keys, what, fits in _KINDS:
        for key in keys.split():
            if not fits(args[key]):
                raise InputError(f"{key}={args[key]!r} in config.json is not {what}")

"""Adds a LoRA adapter, as the library PEFT saves it, to the weights that it was trained on: W + alpha / r · B A.

Source of the facts: Hu et al. 2021 (arXiv 2106.09685); Kalajdzievski 2023 (arXiv 2312.03732) for alpha / sqrt(r); PEFT,
`tuners/lora/{config,layer}.py` and `utils/save_and_load.py`.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from vitjax.errors import InputError, nearest
from vitjax.weights.formats.names import ADAPTER_CONFIG as CONFIG
from vitjax.weights.formats.tensors import Tensors

BASE = "base_model_name_or_path"
PREFIX = "base_model.model."  # of all names in an adapter

# Settings that are followed, or change nothing in weights that are trained; every other one must be off.
KNOWN = frozenset(
    f"{BASE} alpha_pattern arrow_config auto_mapping bias corda_config ensure_weight_tying eva_config exclude_modules"
    " fan_in_fan_out inference_mode init_lora_weights layers_pattern layers_to_transform loftq_config lora_alpha"
    " lora_dropout megatron_core modules_to_save peft_type peft_version qalora_group_size r rank_pattern revision"
    " runtime_config target_modules task_type use_rslora".split()
)
MOVING = ("pissa", "olora", "corda", "loftq", "lora_ga")  # ways to begin that change the base's own weights first
_PAIR = re.compile(r"(.+)\.lora_([AB])(?:\.default)?\.weight")
_WHOLE = re.compile(r"(.+?)(?:\.modules_to_save(?:\.default)?|\.base_layer)?\.(weight|bias)")


def merged(base: Tensors, adapter: Tensors, config: Mapping[str, Any]) -> Tensors:
    """Adds an adapter to the base's tensors.

    Tensors that the adapter has whole, such as a new classifier, stand in for the base's.

    Args:
        base: by the names of the model.
        adapter: by the adapter's own names.
        config: its `adapter_config.json`.

    Raises:
        InputError: another kind of adapter than LoRA, a setting that cannot be followed, or tensors that do not fit
            the base, by name.
    """
    _check(config)
    pairs: dict[str, dict[str, str]] = {}
    whole: dict[str, str] = {}
    for name in adapter:
        own = name.removeprefix(PREFIX)
        if match := _PAIR.fullmatch(own):
            pairs.setdefault(_target(f"{match[1]}.weight", base), {})[match[2]] = name
        elif "lora_" not in own and (match := _WHOLE.fullmatch(own)):
            place = f"{match[1]}.{match[2]}"
            whole[_target(place, base) if _fits(place, base) else place] = name
        else:
            raise InputError(f"the adapter holds {name}, which is not of a plain LoRA")
    rank = config["r"]
    scale = config["lora_alpha"] / (rank**0.5 if config.get("use_rslora") else rank)
    for target, pair in pairs.items():
        if set(pair) != {"A", "B"}:
            raise InputError(f"the adapter has only one of lora_A and lora_B for {target}")
        wanted, (a, b) = base.shapes[target], (adapter.shapes[pair[side]] for side in "AB")
        rows, columns = wanted[:1], wanted[1:]
        if config.get("fan_in_fan_out"):
            rows, columns = columns, rows
        if (b[:1], a) != (rows, (rank, *columns)) or prod(b) != b[0] * rank:
            raise InputError(f"the adapter's {pair['A']} {a} and lora_B {b} do not fit the base's {target} {wanted}")

    def read(name: str) -> np.ndarray:
        if name in whole:
            return adapter[whole[name]]
        if name not in pairs:
            return base.read(name)
        a, b = (adapter[pairs[name][side]].astype(np.float32) for side in "AB")
        change = scale * (b.reshape(len(b), -1) @ a.reshape(len(a), -1))
        weight = base[name].astype(np.float32)
        return weight + (change.T if config.get("fan_in_fan_out") else change.reshape(weight.shape))

    shapes = {**base.shapes, **{name: adapter.shapes[theirs] for name, theirs in whole.items()}}
    return replace(base, files=(*adapter.files, *base.files), shapes=shapes, read=read)


def _check(config: Mapping[str, Any]) -> None:
    kind = config.get("peft_type")
    if str(kind).upper() != "LORA":
        raise InputError(f"peft_type={kind!r} in {CONFIG} is not supported, only 'LORA'")
    for key, value in config.items():
        if value and (key not in KNOWN or key in ("rank_pattern", "alpha_pattern")):
            raise InputError(f"{key}={value!r} in {CONFIG} is not supported")
    if str(start := config.get("init_lora_weights")).startswith(MOVING):
        raise InputError(f"init_lora_weights={start!r} in {CONFIG} is not supported: it changes the base's weights")
    for key in ("r", "lora_alpha"):
        if not isinstance(value := config.get(key), int | float) or isinstance(value, bool) or not value > 0:
            raise InputError(f"{key}={value!r} in {CONFIG} is not a number above 0")


def _fits(name: str, base: Tensors) -> list[str]:
    """The base's tensors of this name, with or without the word that transformers puts before it."""
    return [name] if name in base else [one for one in base if one.endswith(f".{name}") or name.endswith(f".{one}")]


def _target(name: str, base: Tensors) -> str:
    found = _fits(name, base)
    if len(found) != 1:
        what = "several tensors" if found else "no tensor"
        raise InputError(f"the base has {what} {name}, which the adapter is for{nearest(name, base)}")
    return found[0]

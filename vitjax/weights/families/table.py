"""A checkpoint's settings in, the family that wrote it out: who reads its config, ports its tensors, resamples them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vitjax.errors import InputError
from vitjax.models.core.config import TextConfig
from vitjax.models.registry import Config
from vitjax.weights.families import big_vision, dino, google, open_clip, openai, torchvision
from vitjax.weights.families.timm import plain as timm
from vitjax.weights.families.transformers import text_towers as hf_text
from vitjax.weights.families.transformers import towers as hf
from vitjax.weights.formats.tensors import Tensors
from vitjax.weights.rules.layouts import Shape
from vitjax.weights.rules.resize import Resampling

Settings = Mapping[str, Any]


@dataclass(frozen=True)
class Family:
    """A source of checkpoints; each function takes the settings of its `config.json`.

    `config` and `port` also take the tensors, `config` by their shapes alone; `text` is `port` for the text tower, if
    there is any.
    """

    name: str
    config: Callable[[Settings, Mapping[str, Shape]], Config]
    port: Callable[[Mapping[str, np.ndarray], Settings], tuple[Config, dict[str, np.ndarray]]]
    resampling: Callable[[Settings], Resampling]
    architecture: Callable[[Settings], str]
    text: Callable[[Mapping[str, np.ndarray], Settings], tuple[TextConfig, dict[str, np.ndarray]]] | None = None


# By the setting that only a family's own files have.
FAMILIES: dict[str, Family] = {
    "architecture": Family("timm", timm.config_from_timm, timm.port, timm.resampling, timm.architecture),
    "model_type": Family("transformers", hf.config_from_hf, hf.port, hf.resampling, hf.architecture, hf_text.port),
    open_clip.KEY: Family(
        "open_clip",
        open_clip.config_from_open_clip,
        open_clip.port,
        open_clip.resampling,
        open_clip.architecture,
        open_clip.port_text,
    ),
    torchvision.KEY: Family(
        "torchvision", torchvision.config, torchvision.port, torchvision.resampling, torchvision.architecture
    ),
    google.KEY: Family("google", google.config_from_google, google.port, google.resampling, google.architecture),
    big_vision.KEY: Family(
        "big_vision",
        big_vision.config_from_big_vision,
        big_vision.port,
        big_vision.resampling,
        big_vision.architecture,
    ),
    dino.KEY: Family("dino", dino.config_from_dino, dino.port, dino.resampling, dino.architecture),
    openai.KEY: Family(
        "openai", openai.config_from_openai, openai.port, openai.resampling, openai.architecture, openai.port_text
    ),
}


def settings_of_file(weights: Path, tensors: Tensors) -> Settings | None:
    """The settings of a file that needs no `config.json` beside it; None if it is no such file.

    Args:
        weights: its path.
        tensors: what it holds.
    """
    if weights.suffix == ".npz":
        return {big_vision.KEY if big_vision.knows(tensors) else google.KEY: weights.stem}
    if torchvision.knows(weights.stem):
        return {torchvision.KEY: weights.stem}
    if openai.is_clip(tensors):
        return {openai.KEY: weights.stem}
    return dino.settings(weights.stem, tensors) if weights.suffix in dino.ENDINGS else None


def family_of(settings: Settings) -> Family:
    """Finds out whose checkpoint it is.

    Raises:
        InputError: the settings are no family's.
    """
    for key, family in FAMILIES.items():
        if key in settings:
            return family
    raise InputError("config.json names neither an architecture of timm nor a model_type of transformers")

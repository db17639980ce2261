"""A checkpoint's settings in, the family that wrote it out: who reads its config, ports its tensors, resamples them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from vitjax.errors import InputError
from vitjax.models.config import ViTConfig
from vitjax.weights import google, hf, timm
from vitjax.weights.layouts import Shape
from vitjax.weights.resize import Resampling

Settings = Mapping[str, Any]


@dataclass(frozen=True)
class Family:
    """A source of checkpoints; each function takes the settings of its `config.json`.

    `config` and `port` also take the tensors, `config` by their shapes alone.
    """

    name: str
    config: Callable[[Settings, Mapping[str, Shape]], ViTConfig]
    port: Callable[[Mapping[str, np.ndarray], Settings], tuple[ViTConfig, dict[str, np.ndarray]]]
    resampling: Callable[[Settings], Resampling]
    architecture: Callable[[Settings], str]


# By the setting that only a family's own files have.
FAMILIES: dict[str, Family] = {
    "architecture": Family("timm", timm.config_from_timm, timm.port, timm.resampling, timm.architecture),
    "model_type": Family("transformers", hf.config_from_hf, hf.port, hf.resampling, hf.architecture),
    google.KEY: Family("google", google.config_from_google, google.port, google.resampling, google.architecture),
}


def family_of(settings: Settings) -> Family:
    """Finds out whose checkpoint it is.

    Raises:
        InputError: the settings are no family's.
    """
    for key, family in FAMILIES.items():
        if key in settings:
            return family
    raise InputError("config.json names neither an architecture of timm nor a model_type of transformers")

"""What a kind of model of transformers is that has stages, and so a config of its own."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from vitjax.models.core.preprocess import Preprocess
from vitjax.models.registry import Config
from vitjax.weights.families.family import Settings, Shapes
from vitjax.weights.families.transformers.kinds import PLAIN
from vitjax.weights.rules.layouts import Rule
from vitjax.weights.rules.resize import Resampling


@dataclass(frozen=True)
class Staged:
    """One `model_type` with stages; see `vitjax.weights.families.transformers.kinds.Kind`.

    Attributes:
        config: makes the model's config of its settings, the shapes of its tensors, the prefix of their names, and how
            pictures are prepared.
        rules: its table, from the config, the settings and the prefix.
        prefix: what the names of its tensors begin with in a model that has more than it.
        defaults: what its settings are unless stated.
        resampling: for another image size.
        tensors: makes those that config and rules know of those in the file.
    """

    config: Callable[[Settings, Shapes, str, Preprocess], Config]
    rules: Callable[[Any, Settings, str], list[Rule]]
    prefix: str
    defaults: Mapping[str, Any] = field(default_factory=dict)
    resampling: Resampling = PLAIN
    tensors: Callable[[Mapping[str, np.ndarray]], Mapping[str, np.ndarray]] = lambda tensors: tensors

"""What one of timm's classes of models is ported by: its config, its rule table, and how its files are known."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from vitjax.models.registry import Config
from vitjax.weights.families.family import Shapes, no_names
from vitjax.weights.rules.layouts import Rule

MARK = "patch_embed.proj.weight"  # of Vision Transformers and many of their relatives
Arguments = Mapping[str, Any]  # as `vitjax.weights.families.timm.arguments.arguments` gives them


@dataclass(frozen=True)
class ModelClass:
    """One of timm's classes of models.

    Attributes:
        config: reads the model's config off the arguments and the shapes of the tensors.
        table: the rules for a model of this config and the arguments.
        covered: how many tokens before the patches have a position; see `Family.covered`.
        tensors: the tensors by the names, and in the form, that `table` knows, of files of any age; from the arguments.
        mark: the tensor by which a model of the class is known, whatever stands before its name.
    """

    config: Callable[[Arguments, Shapes], Config]
    table: Callable[[Any, Arguments], list[Rule]]
    covered: Callable[[Any, Shapes], int | None] = lambda config, shapes: None
    tensors: Callable[[Mapping[str, np.ndarray], Arguments], Mapping[str, np.ndarray]] = no_names
    mark: str = MARK

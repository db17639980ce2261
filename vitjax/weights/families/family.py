"""Ports a checkpoint of any family, as a source of checkpoints is called here, by the rule table of the family.

A family is a module with one value of `Family` in it, and a row of `vitjax.weights.families.registry`.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from vitjax.errors import InputError
from vitjax.models.core.config import TextConfig
from vitjax.models.registry import Config
from vitjax.weights import parameters
from vitjax.weights.formats.tensors import Tensors, shapes_of
from vitjax.weights.rules.convert import convert
from vitjax.weights.rules.layouts import Rule, Shape
from vitjax.weights.rules.parts import Marks
from vitjax.weights.rules.prefix_tokens import fold, unfolded
from vitjax.weights.rules.resize import Resampling

Settings = Mapping[str, Any]  # of a checkpoint's config.json and what stands beside it
Shapes = Mapping[str, Shape]  # of a checkpoint's tensors
Arrays = dict[str, np.ndarray]  # a model's, by dotted name


@dataclass(frozen=True)
class Beside:
    """Settings that a family keeps in a file of its own, beside its config.json.

    Attributes:
        key: by which they stand among the settings.
        files: {name: key of the part of it that is meant, "" for the whole}; the first that has such a part is taken.
    """

    key: str
    files: Mapping[str, str]


@dataclass(frozen=True)
class Tower:
    """How a text tower beside the image tower is read: `config` and `table` as those of a `Family`."""

    config: Callable[[Settings, Shapes], TextConfig]
    table: Callable[[TextConfig, Settings, Shapes], list[Rule]]


def no_names(tensors: Mapping[str, np.ndarray], settings: Settings) -> Mapping[str, np.ndarray]:
    """Leaves the tensors as they are."""
    return tensors


def stated_licence(settings: Settings) -> str:
    """Gives the licence that settings state at the top."""
    return str(settings.get("license") or "")


@dataclass(frozen=True)
class Family:
    """A source of checkpoints: how they are known, and how their settings and tensors become a model's.

    Attributes:
        name: as it stands on a model's card.
        match: whether settings are a checkpoint's of this family.
        config: reads the model's config off the settings and the shapes of the tensors.
        table: the rules for a model of this config; they name the tensors as `tensors` gives them.
        covered: how many tokens before the patches have a row in the source's table of positions, of a source that
            keeps tokens apart (see `vitjax.weights.rules.prefix_tokens`); None where the rules fill the model's arrays
            as they are.
        tensors: the tensors by the names that config and table know, e.g. without what tells scanned blocks.
        resampling: how the source resamples for another image size.
        files: settings of a file of weights that needs no config.json, from its path and its tensors; None if it is
            none of this family's.
        beside: settings in a file of their own.
        marks: the tensors that each model has exactly once; see `vitjax.weights.rules.parts`.
        names: what its models are called, for hints.
        licence: of the weights, as the settings state it; "" if they do not.
        architecture: the model's name in the source library.
        referee: the library whose model of the same weights the port is held against, by `converters/port_NAME.py`;
            "" where tests alone do it.
        text: the text tower, if there is any.
    """

    name: str
    match: Callable[[Settings], bool]
    config: Callable[[Settings, Shapes], Config]
    table: Callable[[Any, Settings, Shapes], list[Rule]]
    covered: Callable[[Any, Settings, Shapes], int | None] = lambda config, settings, shapes: None
    tensors: Callable[[Mapping[str, np.ndarray], Settings], Mapping[str, np.ndarray]] = no_names
    resampling: Callable[[Settings], Resampling] = lambda settings: Resampling()
    files: Callable[[Path, Tensors], Settings | None] = lambda path, tensors: None
    beside: Beside | None = None
    marks: Marks = field(default_factory=dict)
    names: Collection[str] = ()
    licence: Callable[[Settings], str] = stated_licence
    architecture: Callable[[Settings], str] = lambda settings: ""
    referee: str = ""
    text: Tower | None = None


def port(family: Family, tensors: Mapping[str, np.ndarray], settings: Settings) -> tuple[Config, Arrays]:
    """Turns a checkpoint into a config and the float32 arrays of a model, which `parameters.build` takes.

    Args:
        family: whose it is.
        tensors: {the source's name: tensor}, of the image tower alone or with what else the file holds.
        settings: of its config.json.

    Returns:
        Config and arrays for the checkpoint's own image size.

    Raises:
        InputError: a setting or a tensor that does not fit, by name.
    """
    config = config_of(family, tensors, settings)
    return config, arrays_of(family, tensors, settings, config)


def config_of(family: Family, tensors: Mapping[str, np.ndarray], settings: Settings) -> Config:
    """Reads the config alone, without any tensor's data; arguments and errors as of `port`."""
    try:
        return family.config(settings, shapes_of(family.tensors(tensors, settings)))
    except InputError:
        raise
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise InputError(f"config.json has a value that is not what it should be: {error}") from error


def arrays_of(family: Family, tensors: Mapping[str, np.ndarray], settings: Settings, config: Config) -> Arrays:
    """Makes the arrays of a model whose config `config_of` gave; arguments and errors as of `port`."""
    tensors = family.tensors(tensors, settings)
    found, wanted, stacks = shapes_of(tensors), parameters.shapes(config), parameters.stacks(config)
    table, covered = family.table(config, settings, found), family.covered(config, settings, found)
    if covered is None:
        return convert(tensors, table, wanted, stacks)
    return fold(convert(tensors, table, unfolded(wanted, config, covered), stacks), config)


def port_text(tower: Tower, tensors: Mapping[str, np.ndarray], settings: Settings) -> tuple[TextConfig, Arrays]:
    """Does for a text tower what `port` does for a model of images."""
    found = shapes_of(tensors)
    config = tower.config(settings, found)
    table = tower.table(config, settings, found)
    return config, convert(tensors, table, parameters.shapes(config), parameters.stacks(config))

"""Lists a model's parameters by dotted name, gives their values, and builds a model of such values."""

import hashlib
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import NamedTuple

import jax
import numpy as np
from flax import nnx

from vitjax.models import registry, text_tower
from vitjax.models.core.config import TextConfig
from vitjax.models.registry import Config
from vitjax.weights.rules.faults import hinted, refuse
from vitjax.weights.rules.layouts import Shape
from vitjax.weights.rules.places import Stacks
from vitjax.weights.rules.resize import GridArrays, Resampling, resized


def shapes(config: Config | TextConfig) -> dict[str, Shape]:
    """Lists the parameters of a model with this config: {dotted name: shape}."""
    return dict(_described(config).shapes)


def values(model: nnx.Module) -> dict[str, np.ndarray]:
    """Gives the parameters of a model, {dotted name: array}, as `build` takes them."""
    return {name: np.asarray(variable[...]) for name, variable in _variables(nnx.state(model)).items()}


def digest(model: nnx.Module) -> str:
    """Gives 64 hexadecimal digits that tell a model's parameters from others."""
    arrays = values(model)
    return hashlib.sha256(b"".join(arrays[name].tobytes() for name in sorted(arrays))).hexdigest()


def build(config: Config | TextConfig, arrays: Mapping[str, np.ndarray]) -> nnx.Module:
    """Makes a model of the config's kind with these parameters, without initialising any.

    Raises:
        InputError: names or shapes other than those of `shapes(config)`.
    """
    graph, state = nnx.split(_abstract(config))
    variables = _variables(state)
    refuse(
        {
            "unknown arrays": hinted([name for name in arrays if name not in variables], variables),
            "missing arrays": [name for name in variables if name not in arrays],
            "arrays of the wrong shape": [
                f"{name} is {arrays[name].shape} instead of {variable.shape}"
                for name, variable in variables.items()
                if name in arrays and arrays[name].shape != variable.shape
            ],
        }
    )
    filled = [(path, variable.replace(_held(arrays[_dotted(path)]))) for path, variable in nnx.to_flat_state(state)]
    return nnx.merge(graph, nnx.from_flat_state(filled))


def stacks(config: Config | TextConfig) -> Stacks:
    """Lists where the parameters of the blocks of each stack are, see `vitjax.weights.rules.places`."""
    return _described(config).stacks


def grid_arrays(config: Config) -> GridArrays:
    """Lists which parameters hold something for each place of a grid, see `vitjax.weights.rules.resize`."""
    return _described(config).grid_arrays


def fitted(model: nnx.Module, config: Config, how: Resampling | None = None) -> nnx.Module:
    """Makes a model of another config of the same kind, e.g. for another image size, with this model's parameters.

    Those that are not resampled stay where they are, and are shared.

    Args:
        model: of images.
        config: of what it shall be.
        how: the conventions by which what depends on the image size is resampled; default timm's.

    Raises:
        InputError: parameters that do not fit the config.
    """
    old, new = grid_arrays(model.config), grid_arrays(config)
    arrays = {name: variable[...] for name, variable in _variables(nnx.state(model)).items()}
    arrays |= {name: np.asarray(arrays[name]) for name, (_, grid) in old.items() if grid != new[name][1]}
    other = build(config, resized(arrays, old, new, how or Resampling()))
    other.card, other.class_names, other.resampling = model.card, model.class_names, model.resampling
    return other.with_dictionary(*model.dictionaries) if model.dictionaries else other


class _Described(NamedTuple):
    shapes: dict[str, Shape]
    stacks: Stacks
    grid_arrays: GridArrays


@lru_cache(maxsize=64)  # a convolutional network takes up to a second to trace
def _described(config: Config | TextConfig) -> _Described:
    model = _abstract(config)
    found = {name: variable.shape for name, variable in _variables(nnx.state(model)).items()}
    return _Described(found, model.rows, getattr(model, "grid_arrays", {}))  # a text tower has no grid


def _abstract(config: Config | TextConfig) -> nnx.Module:
    return text_tower.abstract(config) if isinstance(config, TextConfig) else registry.abstract(config)


def _variables(state: nnx.State) -> dict[str, nnx.Variable]:
    return {_dotted(path): variable for path, variable in nnx.to_flat_state(state) if path[0] != "dictionaries"}


def _held(array: np.ndarray | jax.Array) -> jax.Array:
    """A copy on the device; an array of JAX stays where it is. `jnp.asarray` would compile a program for each shape."""
    return array if isinstance(array, jax.Array) else jax.device_put(np.array(array))


def _dotted(path: Iterable[str | int]) -> str:
    return ".".join(map(str, path))

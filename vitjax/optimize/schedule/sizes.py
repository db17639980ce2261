"""Finds the image sizes at which a model can be run beside its own, and gives it at one of them."""

from dataclasses import replace
from functools import lru_cache

import jax

from vitjax.errors import InputError
from vitjax.models.core.network import Network
from vitjax.models.registry import Config, abstract
from vitjax.weights import parameters

FIXED = ("fixed", "fixed positions")  # kinds of arrays on a grid that nothing resamples
STEPS = 64  # sizes between nothing and the whole that are looked at where patches allow more


@lru_cache(maxsize=256)
def smaller(config: Config, share: float) -> Config:
    """Gives the config at the size nearest to a share of its sides at which the model can be run with its weights.

    The sides keep their proportion as far as patches allow. It is the config itself where no size is nearer.
    """
    for size in _sizes(config, share):
        if size == config.image_size:
            return config
        if (found := _at(config, size)) is not None:
            return found
    return config


def at_size(model: Network, config: Config) -> Network:
    """Gives a model at another size, a config of `smaller`: it shares all arrays that do not depend on the size."""
    return model if config == model.config else parameters.fitted(model, config, model.resampling)


class Models:
    """A model at the sizes that are asked for, each of them made once, on one device."""

    def __init__(self, model: Network, device: jax.Device):
        self.own = jax.device_put(model, device)
        self.others: dict[Config, Network] = {}
        self.device = device

    def at(self, config: Config) -> Network:
        """Gives the model of a config of `smaller`."""
        if config == self.own.config:
            return self.own
        if config not in self.others:
            self.others[config] = jax.device_put(at_size(self.own, config), self.device)
        return self.others[config]


def _sizes(config: Config, share: float) -> list[tuple[int, int]]:
    """Sizes up to the model's own, the nearest to the share first."""
    patch = getattr(config, "patch_size", (1, 1))
    rows, columns = (side // p for side, p in zip(config.image_size, patch, strict=True))
    count = min(STEPS, max(rows, columns))
    sizes = {config.image_size: 1.0}
    for part in range(1, count):
        grid = (max(1, round(places * part / count)) for places in (rows, columns))
        size = tuple(places * p for places, p in zip(grid, patch, strict=True))
        sizes.setdefault(size, part / count)
    return sorted(sizes, key=lambda size: (abs(sizes[size] - share), -sizes[size]))


def _at(config: Config, size: tuple[int, int]) -> Config | None:
    """The config at a size; None where the model is not made for it."""
    try:
        other = replace(config, image_size=size, preprocess=replace(config.preprocess, size=None))
        before, after = (parameters.grid_arrays(one) for one in (config, other))
        differ = {name for name, (_, grid) in before.items() if after.get(name, (None, None))[1] != grid}
        if any(before[name][0] in FIXED for name in differ) or before.keys() != after.keys():
            return None
        shapes, others = (parameters.shapes(one) for one in (config, other))
        alike = all(others.get(name) == shape for name, shape in shapes.items() if name not in differ)
        if not alike or shapes.keys() != others.keys():
            return None
        abstract(other).taps()  # last, as it takes the longest
    except InputError:
        return None
    return other

"""Rule tables: a source's tensors by name in, the model's arrays by dotted name out, all of them or none.

Rules (see `vitjax.weights.rules.layouts`) whose target the model at hand lacks do not apply: their tensors count as
unknown.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import jax.numpy as jnp
import numpy as np
from flax import nnx

from vitjax.errors import InputError, nearest
from vitjax.models import registry as kinds
from vitjax.models import text_tower as text
from vitjax.models.core.config import TextConfig
from vitjax.models.registry import Config
from vitjax.weights.formats import host
from vitjax.weights.formats.tensors import shapes_of
from vitjax.weights.rules.layouts import Layout, Rule, Shape

NAMED = 4  # how many tensors an error names before it counts the rest


@dataclass(frozen=True)
class _Place:
    """Where one tensor of the source goes; block None stands for an array that has none, or for all its blocks."""

    target: str
    block: int | None
    layout: Layout
    part: tuple[int, int] | None

    def of(self, arrays: Mapping[str, np.ndarray]) -> np.ndarray:
        """A view of the place."""
        array = arrays[self.target][... if self.block is None else self.block]
        return array if self.part is None else np.moveaxis(array, self.part[0], 0)[self.part[1]]


def convert(
    source: Mapping[str, np.ndarray],
    rules: Sequence[Rule],
    target_shapes: Mapping[str, Shape],
    dtype: np.typing.DTypeLike = np.float32,
) -> dict[str, np.ndarray]:
    """Fills every target from the source's tensors, or says what is wrong.

    Args:
        source: {name: tensor}, of any float type; each is read once.
        rules: the source's rule table.
        target_shapes: {dotted name: shape}, those under `blocks.` with a leading depth axis; see `shapes`.
        dtype: of the result.

    Returns:
        {dotted name: array} with exactly the names and shapes of `target_shapes`.

    Raises:
        InputError: unknown, missing, doubled, wrongly shaped or non-finite tensors, by name.
    """
    dropped = tuple(rule.source for rule in rules if rule.target is None)
    rules = [rule for rule in rules if rule.target in target_shapes]
    cells = _cells(rules, target_shapes)
    places = [named for rule in rules for named in _places(rule, target_shapes)]
    plan: dict[str, list[_Place]] = {}
    for name, place in places:
        if name:
            plan.setdefault(name, []).append(place)
    arrays = {target: host.empty(shape, dtype) for target, shape in target_shapes.items()}
    owners: dict[tuple, str] = {}
    found = shapes_of(source)
    doubled, misshapen, infinite = [], [], []
    for name in filter(source.__contains__, plan):
        wanted = [cell for place in plan[name] for cell in cells(place)]
        if rival := next((owners[cell] for cell in wanted if cell in owners), None):
            doubled.append(f"{rival} and {name}")
            continue
        owners |= dict.fromkeys(wanted, name)
        tensor = None  # read only if its shape is right: what a file declares may be larger than memory
        for place in plan[name]:
            ours = place.of(arrays)
            if found[name] != (theirs := place.layout.shape(ours.shape)):
                misshapen.append(f"{name} is {found[name]} instead of {theirs}")
                break
            tensor = np.asarray(source[name]) if tensor is None else tensor
            with np.errstate(over="ignore"):  # what the dtype cannot hold is found below
                host.fill(ours, place.layout.read(tensor))
            if not np.isfinite(ours).all():
                infinite.append(name)
    for name, place in places:
        if name is None and not any(cell in owners for cell in cells(place)):
            owners |= dict.fromkeys(cells(place), "zeros")
            place.of(arrays)[...] = 0

    unknown = [name for name in source if name not in plan and not any(fnmatchcase(name, known) for known in dropped)]
    spellings: dict[tuple, list[str]] = {}
    for name, place in places:
        for cell in cells(place):
            spellings.setdefault(cell, []).append(name)
    layers = {name.rpartition(".")[0] for name in source}  # of several spellings, the one that the source uses
    missing = [
        next((name for name in names if name and name.rpartition(".")[0] in layers), names[0])
        for cell, names in spellings.items()
        if cell not in owners
    ]
    missing = list(dict.fromkeys(missing))
    missing += [f"any for {target}" for target in target_shapes.keys() - {rule.target for rule in rules}]
    _refuse(
        {
            "unknown tensors": _hinted(unknown, missing or plan),
            "missing tensors": missing,
            "tensors given twice": doubled,
            "tensors of the wrong shape": misshapen,
            "tensors with values that are not finite": infinite,
        }
    )
    return arrays


def shapes(config: Config | TextConfig) -> dict[str, Shape]:
    """Lists the model's parameters: {dotted name: shape}."""
    return {name: variable.shape for name, variable in _variables(nnx.state(_abstract(config))).items()}


def _abstract(config: Config | TextConfig) -> nnx.Module:
    return text.abstract(config) if isinstance(config, TextConfig) else kinds.abstract(config)


def parameters(model: nnx.Module) -> dict[str, np.ndarray]:
    """The model's parameters as {dotted name: array}, what `build` takes."""
    return {name: np.asarray(variable[...]) for name, variable in _variables(nnx.state(model)).items()}


def build(config: Config | TextConfig, arrays: Mapping[str, np.ndarray]) -> nnx.Module:
    """A model of the config's kind with these parameters, without initialising any.

    Raises:
        InputError: names or shapes other than those of `shapes(config)`.
    """
    graph, state = nnx.split(_abstract(config))
    variables = _variables(state)
    _refuse(
        {
            "unknown arrays": _hinted([name for name in arrays if name not in variables], variables),
            "missing arrays": [name for name in variables if name not in arrays],
            "arrays of the wrong shape": [
                f"{name} is {arrays[name].shape} instead of {variable.shape}"
                for name, variable in variables.items()
                if name in arrays and arrays[name].shape != variable.shape
            ],
        }
    )
    filled = [
        (path, variable.replace(jnp.asarray(arrays[_dotted(path)]))) for path, variable in nnx.to_flat_state(state)
    ]
    return nnx.merge(graph, nnx.from_flat_state(filled))


def _variables(state: nnx.State) -> dict[str, nnx.Variable]:
    return {_dotted(path): variable for path, variable in nnx.to_flat_state(state)}


def _dotted(path: Iterable[str | int]) -> str:
    return ".".join(map(str, path))


def _places(rule: Rule, target_shapes: Mapping[str, Shape]) -> Iterator[tuple[str | None, _Place]]:
    """Writes a rule out block by block: (source name, place)."""
    each = rule.source is None or "{i}" in rule.source
    blocks = range(target_shapes[rule.target][0]) if each and _stacked(rule.target) else [None]
    for block in blocks:
        yield rule.source and rule.source.format(i=block), _Place(rule.target, block, rule.layout, rule.part)


def _cells(rules: Iterable[Rule], target_shapes: Mapping[str, Shape]) -> Callable[[_Place], list[tuple]]:
    """A function that lists what a place covers, in the smallest pieces that any rule fills."""
    parts = {
        rule.target: target_shapes[rule.target][rule.part[0] + _stacked(rule.target)] for rule in rules if rule.part
    }

    def cells(place: _Place) -> list[tuple]:
        every = place.block is None and _stacked(place.target)
        blocks = range(target_shapes[place.target][0]) if every else [place.block]
        pieces = [place.part[1]] if place.part else range(parts.get(place.target, 1))
        return [(place.target, block, piece) for block in blocks for piece in pieces]

    return cells


def _stacked(target: str) -> bool:
    """Whether a target has a leading depth axis."""
    return target.startswith("blocks.")


def _hinted(names: list[str], choices: Iterable[str]) -> list[str]:
    return [names[0] + nearest(names[0], choices), *names[1:]] if names else []


def _refuse(faults: Mapping[str, list[str]]) -> None:
    """Raises one line for all faults, each naming its first few tensors; nothing if there are none."""
    lines = []
    for what, names in faults.items():
        if names:
            rest = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
            lines.append(f"{what}: {', '.join(names[:NAMED])}{rest}")
    if lines:
        raise InputError("; ".join(lines))

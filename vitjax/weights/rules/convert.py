"""Fills a model's arrays from a source's tensors by a rule table, all of them or none; and the other way round.

Rules (see `vitjax.weights.rules.layouts`) whose target the model at hand lacks do not apply: their tensors count as
unknown.
"""

from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase

import numpy as np

from vitjax.weights.formats import host
from vitjax.weights.formats.tensors import shapes_of
from vitjax.weights.rules.faults import hinted, refuse
from vitjax.weights.rules.layouts import Layout, Rule, Shape
from vitjax.weights.rules.places import Cell, Place, Stacks, Targets


def convert(
    source: Mapping[str, np.ndarray],
    table: Sequence[Rule],
    shapes: Mapping[str, Shape],
    stacks: Stacks,
    dtype: np.typing.DTypeLike = np.float32,
) -> dict[str, np.ndarray]:
    """Fills every array from the source's tensors, or says what is wrong.

    Args:
        source: {name: tensor}, of any float type; each is read once.
        table: the source's rules.
        shapes: of the arrays, {dotted name: shape}; see `vitjax.weights.parameters.shapes`.
        stacks: where among them those of blocks are; see `vitjax.weights.parameters.stacks`.
        dtype: of the result.

    Returns:
        {dotted name: array} with exactly the names and shapes of `shapes`.

    Raises:
        InputError: unknown, missing, doubled, wrongly shaped or non-finite tensors, or some that should repeat others
            and do not, by name.
    """
    targets = Targets(shapes, stacks)
    places = [named for rule in table if rule.target is not None for named in targets.written(rule)]
    cells = targets.cells(place for _, place in places)
    plan: dict[str, list[Place]] = {}
    for name, place in places:
        if name:
            plan.setdefault(name, []).append(place)
    arrays = {array: host.empty(shape, dtype) for array, shape in shapes.items()}
    owners: dict[Cell, str] = {}
    found = shapes_of(source)
    doubled, misshapen, infinite = [], [], []
    for name in filter(source.__contains__, plan):
        wanted = [cell for place in plan[name] for cell in cells[place]]
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
        if name is None and not any(cell in owners for cell in cells[place]):
            owners |= dict.fromkeys(cells[place], "zeros")
            place.of(arrays)[...] = 0

    repeats = [(rule.source, rule.repeats) for rule in table if rule.repeats in source and rule.source in source]
    differing = [f"{name} is not {of}" for name, of in repeats if not np.array_equal(source[name], source[of])]
    dropped = [rule.source for rule in table if rule.target is None]
    unknown = [name for name in source if name not in plan and not any(fnmatchcase(name, known) for known in dropped)]
    spellings: dict[Cell, list[str]] = {}
    for name, place in places:
        for cell in cells[place]:
            spellings.setdefault(cell, []).append(name)
    layers = {name.rpartition(".")[0] for name in source}  # of several spellings, the one that the source uses
    missing = [
        next((name for name in names if name and name.rpartition(".")[0] in layers), names[0])
        for cell, names in spellings.items()
        if cell not in owners
    ]
    missing = list(dict.fromkeys(missing))
    missing += [f"any for {array}" for array in shapes.keys() - {place.array for _, place in places}]
    refuse(
        {
            "unknown tensors": hinted(unknown, missing or plan),
            "missing tensors": missing,
            "tensors given twice": doubled,
            "tensors of the wrong shape": misshapen,
            "tensors with values that are not finite": infinite,
            "tensors that should repeat others": differing,
        }
    )
    return arrays


def unconvert(arrays: Mapping[str, np.ndarray], table: Iterable[Rule], stacks: Stacks) -> dict[str, np.ndarray]:
    """Gives the source's tensors that `convert` would make these arrays of; of several spellings the table's first."""
    targets = Targets({name: array.shape for name, array in arrays.items()}, stacks)
    tensors: dict[str, np.ndarray] = {}
    done: set[str] = set()
    for rule in table:
        if rule.source and rule.target and rule.target not in done:
            found = {name: _unread(place.layout, place.of(arrays)) for name, place in targets.written(rule)}
            tensors |= found
            done |= {rule.target} if found else set()
    return tensors


def _unread(layout: Layout, ours: np.ndarray) -> np.ndarray:
    """Puts an array back as the source keeps it: a layout only moves elements, so it is asked where each came from."""
    shape = layout.shape(ours.shape)
    order = layout.read(np.arange(ours.size).reshape(shape)).reshape(-1)
    tensor = np.empty(ours.size, ours.dtype)
    tensor[order] = ours.reshape(-1)
    return tensor.reshape(shape)

"""Rule tables: a source's tensors by name in, the model's arrays by dotted name out, all of them or none.

A table is a list of rules with the source's literal names, `{i}` standing for the block; targets name the stacked
arrays of `vitjax.models.vit.ViT`, such as `blocks.attn.qkv.kernel`. Rules whose target the model at hand lacks do not
apply: their tensors count as unknown. Several rules may name one target, for spellings that changed over time.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import prod

import jax.numpy as jnp
import numpy as np
from flax import nnx

from vitjax.errors import InputError, nearest
from vitjax.models.config import ViTConfig
from vitjax.models.vit import ViT, abstract

Shape = tuple[int, ...]
NAMED = 4  # how many tensors an error names before it counts the rest


@dataclass(frozen=True)
class Layout:
    """How a source keeps a tensor: its shape there, given the shape here, and what to do before reshaping to ours."""

    shape: Callable[[Shape], Shape]
    read: Callable[[np.ndarray], np.ndarray] = np.asarray


@dataclass(frozen=True)
class Rule:
    """One tensor of the source and the array it fills; with target None it is known and left out."""

    source: str
    target: str | None
    layout: Layout


FLAT = Layout(lambda ours: (prod(ours),))
KERNEL = Layout(lambda ours: (prod(ours[1:]), ours[0]), np.transpose)
MERGE = Layout(lambda ours: (ours[-1], prod(ours[:-1])), np.transpose)


def same(source: str, target: str, leading: int = 0) -> list[Rule]:
    """A tensor kept as it is, with `leading` axes of length one before it."""
    return [Rule(source, target, Layout(lambda ours: (1,) * leading + ours))]


def drop(*sources: str) -> list[Rule]:
    """Tensors that the model has no use for; they may be absent."""
    return [Rule(source, None, FLAT) for source in sources]


def linear(source: str, target: str) -> list[Rule]:
    """A dense layer stored [out, in]; the outputs here may be split, e.g. into (3, heads, channels)."""
    return [Rule(f"{source}.weight", f"{target}.kernel", KERNEL), Rule(f"{source}.bias", f"{target}.bias", FLAT)]


def merge(source: str, target: str) -> list[Rule]:
    """A dense layer stored [out, in] whose inputs here are split into (heads, channels)."""
    return [Rule(f"{source}.weight", f"{target}.kernel", MERGE), Rule(f"{source}.bias", f"{target}.bias", FLAT)]


def norm(source: str, target: str) -> list[Rule]:
    """A LayerNorm's weight and bias."""
    return [Rule(f"{source}.weight", f"{target}.scale", FLAT), Rule(f"{source}.bias", f"{target}.bias", FLAT)]


def patch_conv(source: str, target: str, patch_size: tuple[int, int]) -> list[Rule]:
    """The patch embedding, stored as a convolution [out, channel, row, column]; here rows, columns, channels flat."""
    kernel = Layout(lambda ours: (ours[1], 3, *patch_size), lambda tensor: tensor.transpose(2, 3, 1, 0))
    return [Rule(f"{source}.weight", f"{target}.kernel", kernel), Rule(f"{source}.bias", f"{target}.bias", FLAT)]


def convert(
    source: Mapping[str, np.ndarray],
    rules: Iterable[Rule],
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
    plan = _plan(rules, target_shapes)
    arrays = {target: np.empty(shape, dtype) for target, shape in target_shapes.items()}
    filled: dict[tuple[str, int | None], str] = {}
    doubled, misshapen, infinite = [], [], []
    for name, (target, block, layout) in plan.items():
        if name not in source or target is None:
            continue
        if (target, block) in filled:
            doubled.append(f"{filled[target, block]} and {name}")
            continue
        filled[target, block] = name
        tensor, ours = source[name], target_shapes[target][0 if block is None else 1 :]
        if tensor.shape != layout.shape(ours):
            misshapen.append(f"{name} is {tensor.shape} instead of {layout.shape(ours)}")
            continue
        with np.errstate(over="ignore"):  # what the dtype cannot hold is found below
            value = layout.read(np.asarray(tensor)).reshape(ours).astype(dtype)
        if not np.isfinite(value).all():
            infinite.append(name)
        arrays[target][... if block is None else block] = value

    unknown = [name for name in source if name not in plan]
    slots: dict[tuple[str, int | None], str] = {}
    for name, (target, block, _) in plan.items():
        if target is not None:
            slots.setdefault((target, block), name)
    missing = [name for slot, name in slots.items() if slot not in filled]
    missing += [f"any for {target}" for target in target_shapes.keys() - {target for target, _ in slots}]
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


def shapes(config: ViTConfig) -> dict[str, Shape]:
    """Lists the model's parameters: {dotted name: shape}."""
    return {name: variable.shape for name, variable in _variables(nnx.state(abstract(config))).items()}


def parameters(model: nnx.Module) -> dict[str, np.ndarray]:
    """The model's parameters as {dotted name: array}, what `build` takes."""
    return {name: np.asarray(variable[...]) for name, variable in _variables(nnx.state(model)).items()}


def build(config: ViTConfig, arrays: Mapping[str, np.ndarray]) -> ViT:
    """A model with these parameters, without initialising any.

    Raises:
        InputError: names or shapes other than those of `shapes(config)`.
    """
    graph, state = nnx.split(abstract(config))
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
        (path, variable.replace(jnp.asarray(arrays[".".join(path)]))) for path, variable in nnx.to_flat_state(state)
    ]
    return nnx.merge(graph, nnx.from_flat_state(filled))


def _variables(state: nnx.State) -> dict[str, nnx.Variable]:
    return {".".join(path): variable for path, variable in nnx.to_flat_state(state)}


def _plan(
    rules: Iterable[Rule], target_shapes: Mapping[str, Shape]
) -> dict[str, tuple[str | None, int | None, Layout]]:
    """Writes the rules out block by block: {source name: (target, block, layout)}."""
    depth = next((shape[0] for target, shape in target_shapes.items() if target.startswith("blocks.")), 0)
    plan = {}
    for rule in rules:
        if rule.target is None or rule.target in target_shapes:
            blocks = range(depth) if "{i}" in rule.source else [None]
            plan |= {rule.source.format(i=block): (rule.target, block, rule.layout) for block in blocks}
    return plan


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

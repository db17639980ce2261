"""Folds batch norms into the dense layers and convolutions beside them: at inference they are affine maps.

With g = weight / √(running variance + eps), the product before a norm becomes g · W with the bias β − mean · g, and
one that reads what a norm gives becomes W · g with the bias b + W (β − mean · g). All in float64: it is exact but for
the last rounding.
"""

from collections.abc import Iterator, Mapping

import numpy as np

from vitjax.weights.formats.tensors import Tensors, shapes_of
from vitjax.weights.rules.faults import refuse
from vitjax.weights.rules.layouts import Shape

EPS = 1e-5  # of torch's batch norms, unless said
PARTS = ("weight", "bias", "running_mean", "running_var")


def folded(tensors: Mapping[str, np.ndarray], norm: str, products: tuple[str, ...]) -> Tensors:
    """Gives the tensors without batch norms, each product by its own name with a weight and a bias.

    A product without a bias comes before its norm, one with a bias after it. A convolution of one place becomes the
    matrix that it is.

    Args:
        tensors: by their names in the source.
        norm: what a norm is called, within the layer that holds it beside a product.
        products: what a product is called there.

    Raises:
        InputError: a product without its norm, or a norm of another length, by name.
    """
    shapes = shapes_of(tensors)
    pairs = dict(_pairs(shapes, norm, products))
    _check(shapes, pairs)
    within = {f"{beside}.{part}" for beside in pairs.values() for part in PARTS}
    found: dict[str, Shape] = {name: shape for name, shape in shapes.items() if name not in within}
    for product in pairs:
        shape = shapes[f"{product}.weight"]
        found[f"{product}.weight"] = shape[:2] if shape[2:] == (1, 1) else shape
        found[f"{product}.bias"] = shape[:1]

    def read(name: str) -> np.ndarray:
        product, _, part = name.rpartition(".")
        if product not in pairs:
            return tensors[name]
        weight, bias = _folded(tensors, product, pairs[product])
        return (bias if part == "bias" else weight).reshape(found[name])

    return Tensors((), found, read)


def _pairs(shapes: Mapping[str, Shape], norm: str, products: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """The name of each product, and of its norm."""
    for name in shapes:
        layer, _, last = name.removesuffix(".weight").rpartition(".")
        if name.endswith(".weight") and last in products:
            yield f"{layer}.{last}", f"{layer}.{norm}"


def _check(shapes: Mapping[str, Shape], pairs: Mapping[str, str]) -> None:
    missing, misshapen = [], []
    for product, beside in pairs.items():
        due = (shapes[f"{product}.weight"][int(f"{product}.bias" in shapes)],)
        for part in (f"{beside}.{part}" for part in PARTS):
            if part not in shapes:
                missing.append(part)
            elif shapes[part] != due:
                misshapen.append(f"{part} is {shapes[part]} instead of {due}")
    refuse({"missing tensors": missing, "tensors of the wrong shape": misshapen})


def _folded(tensors: Mapping[str, np.ndarray], product: str, norm: str) -> tuple[np.ndarray, np.ndarray]:
    """The weight and bias of a product with its norm in it."""
    weight = np.asarray(tensors[f"{product}.weight"], np.float64)
    scale, shift, mean, variance = (np.asarray(tensors[f"{norm}.{part}"], np.float64) for part in PARTS)
    with np.errstate(invalid="ignore"):  # a variance below 0 gives what is no number, which is refused by its name
        gain = scale / np.sqrt(variance + EPS)
    shift = shift - mean * gain
    if f"{product}.bias" in tensors:
        return weight * gain, np.asarray(tensors[f"{product}.bias"], np.float64) + weight @ shift
    return weight * gain.reshape(-1, *[1] * (weight.ndim - 1)), shift

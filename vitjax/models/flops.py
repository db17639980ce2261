"""Counts the floating-point operations of a computation: the products of matrices and the convolutions in its trace.

Multiply-adds count twice; all else, a few per cent in these models, does not count. The body of a scan counts as often
as it runs, which XLA's own count leaves out.
"""

import math
from collections.abc import Callable
from typing import Any

import jax
from jax.extend.core import Jaxpr, JaxprEqn
from jax.interpreters.partial_eval import dce_jaxpr


def operations(function: Callable[..., Any], *args: Any) -> float:
    """Counts the operations of `function(*args)`, which is traced and not run; what no result needs does not count.

    Args:
        function: any that JAX can trace.
        args: arrays, or their shapes.
    """
    jaxpr = jax.make_jaxpr(function)(*args).jaxpr
    return count(dce_jaxpr(jaxpr, [True] * len(jaxpr.outvars))[0])


def count(jaxpr: Jaxpr) -> float:
    """Counts the operations of a trace."""
    return sum(_COUNTS.get(eqn.primitive.name, _within)(eqn) for eqn in jaxpr.eqns)


def _product(eqn: JaxprEqn) -> float:
    (contracted, _), _ = eqn.params["dimension_numbers"]
    return 2 * eqn.outvars[0].aval.size * math.prod(eqn.invars[0].aval.shape[axis] for axis in contracted)


def _convolution(eqn: JaxprEqn) -> float:
    kernel, numbers = eqn.invars[1].aval, eqn.params["dimension_numbers"]
    zeros = math.prod(eqn.params["lhs_dilation"])  # put between the places, by the gradient of a stride
    return 2 * eqn.outvars[0].aval.size * kernel.size / kernel.shape[numbers.rhs_spec[0]] / zeros


def _scan(eqn: JaxprEqn) -> float:
    return eqn.params["length"] * count(eqn.params["jaxpr"].jaxpr)


def _branches(eqn: JaxprEqn) -> float:
    """Those of the dearest branch; where platforms have one each, of the one that is not for some by name."""
    platforms = eqn.params.get("branches_platforms") or [None] * len(eqn.params["branches"])
    branches = zip(eqn.params["branches"], platforms, strict=True)
    return max(count(branch.jaxpr) for branch, names in branches if names is None)


def _within(eqn: JaxprEqn) -> float:
    """The operations of the traces that an equation runs once."""
    inner = (getattr(value, "jaxpr", value) for value in eqn.params.values())
    return sum(count(jaxpr) for jaxpr in inner if isinstance(jaxpr, Jaxpr))


_COUNTS: dict[str, Callable[[JaxprEqn], float]] = {
    "dot_general": _product,
    "conv_general_dilated": _convolution,
    "scan": _scan,
    "cond": _branches,
}

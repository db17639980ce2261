"""Checks what an analysis is given, and that the model has what the catalog says it needs, before it runs."""

import math
from collections.abc import Callable, Iterable, Sequence, Sized
from functools import wraps
from inspect import signature
from numbers import Real
from os import PathLike
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, ParamSpec, TypeVar, get_args, get_origin

from vitjax.analysis.study.blocks import same_tokens
from vitjax.analysis.study.catalog import ANALYSES
from vitjax.analysis.study.entry import SAME
from vitjax.data.dataset import Dataset
from vitjax.errors import InputError
from vitjax.models.core.network import Network
from vitjax.models.core.surroundings import standard
from vitjax.ranges import COUNT, SEED, Range
from vitjax.units.in_files import attached

P, R = ParamSpec("P"), TypeVar("R")
ROOM = "vitjax.analysis"


def analysis(function: Callable[P, R]) -> Callable[P, R]:
    """Holds the arguments of an analysis, a function of (model, data, …), against their annotations.

    A list may not be empty, a number of things is at least 1, and no number is a text, NaN or a bool. The model has
    what the catalog says that the analysis needs. As a decorator.

    Raises:
        InputError: what does not fit, by its name, or what the model lacks.
    """
    expected, place = signature(function), (function.__module__, function.__name__)
    name = next((name for name, one in ANALYSES.items() if (f"{ROOM}.{one.module}", one.function) == place), None)

    @wraps(function)
    def checked(*args: P.args, **options: P.kwargs) -> R:
        given = expected.bind(*args, **options)
        for key, value in given.arguments.items():
            given.arguments[key] = _checked(key, value, expected.parameters[key].annotation)
        _attach(given.arguments)
        if name:
            check_facts(name, next(iter(given.arguments.values())))
        with standard():
            return function(*given.args, **given.kwargs)

    return checked


def _attach(given: dict[str, Any]) -> None:
    """Makes the directions of files that units or taps are named by part of the model, the first argument."""
    first = next(iter(given), None)
    for name in UNITS & given.keys():
        given[first], given[name] = attached(given[first], given[name])


def check_facts(name: str, model: Network) -> None:
    """Raises an InputError if a model lacks what an analysis needs; models of somebody else's making are not asked."""
    if not hasattr(model, "facts"):
        return
    facts = model.facts | ({SAME} if same_tokens(model) else set())
    if lacking := ANALYSES[name].needs - facts:
        able = ", ".join(other for other, one in ANALYSES.items() if one.needs <= facts)
        raise InputError(f"{name} needs a model with {' and '.join(sorted(lacking))}; this one can do: {able}")


def _checked(name: str, value: Any, hint: Any) -> Any:
    """The value if it fits the annotation; a path as a Path."""
    kinds = get_args(hint) if isinstance(hint, UnionType) else (hint,)
    bare = tuple(get_origin(kind) or kind for kind in kinds)
    if (value is None and NoneType in bare) or (isinstance(value, str) and str in bare):
        return value
    if issubclass(bare[0], Network) and _is_model(value, bare[0]):
        return value
    if Path in bare and isinstance(value, str | PathLike):
        return Path(value)
    if bool not in bare and (int in bare or float in bare):
        return _number(name, value, int in bare)
    lists = {kind: get_args(kind)[0] for kind in kinds if get_origin(kind) in (Iterable, Sequence, list)}
    if isinstance(value, tuple(get_origin(kind) or kind for kind in kinds if kind not in lists)):
        return value
    if not lists:
        raise InputError(f"{name} is {_of(value)}, it must be {_wanted(bare)}")
    _check_list(name, value, next(iter(lists.values())))
    return value


def _is_model(value: Any, kind: type[Network]) -> bool:
    """Whether it is a model of this kind, or of somebody else's making that has taps and a config."""
    if isinstance(value, Network):
        return isinstance(value, kind)
    return callable(value) and callable(getattr(value, "taps", None)) and hasattr(value, "config")


# Whole numbers, by their name; any other may be 0.
COUNTS = ("k", "count", "sample", "groups")
UNITS = {"units", "taps"}  # arguments that may name files of directions
ANY = Range(-(2**31), 2**31 - 1, whole=True)
MAY_BE_EMPTY = ("ignored",)


def _number(name: str, value: Any, whole: bool) -> Any:
    if whole:
        return (COUNT if name in COUNTS else SEED).check(name, value)
    if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value):
        raise InputError(f"{name} is {value!r}, it must be a number")
    return value


def _check_list(name: str, values: Any, kind: Any) -> None:
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise InputError(f"{name} is {_of(values)}, give a list")
    if not isinstance(values, Sized):  # to look into an iterator would be to use it up
        return
    if not len(values) and name not in MAY_BE_EMPTY:
        raise InputError(f"{name} is empty: give some, or leave it out")
    for value in values:
        if kind is int:
            ANY.check(f"one of {name}", value)
        elif kind is float:
            _number(f"one of {name}", value, whole=False)
        elif kind is str and not isinstance(value, str):
            raise InputError(f"one of {name} is {_of(value)}, it must be a text")


def _wanted(kinds: tuple) -> str:
    """What an argument must be, in words."""
    kind = next(kind for kind in kinds if kind is not NoneType)
    if issubclass(kind, Network):
        return f"a {kind.__name__} as vitjax.load gives it"
    return "a data set: open it by vitjax.data.dataset.open_dataset" if kind is Dataset else f"a {kind.__name__}"


def _of(value: Any) -> str:
    return "None" if value is None else f"of type {type(value).__name__}"

"""Finds the model among the tensors of a checkpoint, whatever a training script put before their names.

Every source has one tensor that each of its models has exactly once, its patch embedding or first convolution. What
stands before that name is not the model's: `module.`, `_orig_mod.`, `state_dict.model.`, any word. Where it stands
several times there are several copies of the model, and `part` says which is meant.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from vitjax.errors import InputError, nearest, remark
from vitjax.weights.formats.tensors import Tensors
from vitjax.weights.rules.faults import some

# The tensor by which a model is known, and the words before it that are its own in models with more than a tower.
Marks = Mapping[str, tuple[str, ...]]

# Of several copies the first that bears one of these words, as timm's loader has it: averages over steps come first.
PREFERRED = (
    *("state_dict_ema", "model_ema", "ema_state_dict", "params_ema", "ema_model", "teacher"),
    *("state_dict", "model_state_dict", "model", "module", "params"),
)
WRAPPERS = (*PREFERRED, "_orig_mod", "net", "weights")  # what comes off a file without any model known here
TRAINING = ("optimizer", "state")  # an optimizer's, which nobody expects in a model
BARE = "."  # how the copy is called that has no word before its names


def bare(tensors: Tensors, marks: Marks, part: str | None = None) -> Tensors:
    """Gives the tensors of the model alone, by the names that they have in it.

    What else stands beside them, such as the weights of a loss, is left out and named in a remark; so is the choice
    where it was made by `PREFERRED`.

    Args:
        tensors: of a file, containers of a training script as words before their names.
        marks: of all models that are known.
        part: which of several copies, by the words before its names, e.g. "state_dict_ema"; one of them is enough if
            it tells the copies apart.

    Raises:
        InputError: several copies and no `part`, or a `part` that is not there.
    """
    file = tensors.files[0]
    marked = [(name[: -len(mark)], own) for mark, own in marks.items() for name in tensors if _ends(name, mark)]
    copies = list(dict.fromkeys(_without(prefix, own) for prefix, own in marked))
    if not copies and part is not None:
        raise InputError(f"part={part!r}: {file} holds no model that is known here, so none of its parts either")
    if not copies:
        return _under(tensors, _shared(tensors), ())
    usual = _preferred(copies)
    chosen = usual if part is None else _named(part, copies, file)
    if chosen is None:
        raise InputError(f"{file} holds several models, choose one with part=: {_listed(copies)}")
    others = [prefix for prefix in copies if prefix != chosen]
    if part is None and others:
        remark(f"{file}: taking {_called(chosen)}; part= takes another: {_listed(others)}")
    if beside := _beside(tensors, chosen, others):
        remark(f"{file}: left out, as outside of {_called(chosen)}: {some(beside)}")
    return replace(_under(tensors, chosen, others), part="" if chosen == usual else _called(chosen))


def _ends(name: str, mark: str) -> bool:
    return name.endswith(mark) and name[: -len(mark)][-1:] in ("", ".", "/")


def _words(prefix: str) -> list[str]:
    return prefix.replace("/", ".").split(".")[:-1]


def _called(prefix: str) -> str:
    return prefix[:-1] or BARE


def _listed(prefixes: Iterable[str]) -> str:
    return ", ".join(sorted(map(_called, prefixes)))


def _without(prefix: str, own: tuple[str, ...]) -> str:
    """What stands before a model's names, without the word that is its own."""
    ends = [f"{word}." for word in own if f".{prefix}".endswith(f".{word}.")]
    return prefix.removesuffix(ends[0]) if ends else prefix


def _preferred(prefixes: list[str]) -> str | None:
    """The copy that is taken unless another is named; None if no word tells them apart."""
    if len(prefixes) == 1:
        return prefixes[0]
    for word in PREFERRED:
        bearing = [prefix for prefix in prefixes if word in _words(prefix)]
        if len(bearing) == 1:
            return bearing[0]
        prefixes = bearing or prefixes
    return None


def _named(part: str, prefixes: list[str], file: Path) -> str:
    wanted = "" if part == BARE else part.replace("/", ".").strip(".")
    exact = [prefix for prefix in prefixes if ".".join(_words(prefix)) == wanted]
    fitting = exact or [prefix for prefix in prefixes if f".{wanted}." in f".{'.'.join(_words(prefix))}."]
    if len(fitting) != 1:
        what = "stands for several" if fitting else f"is not there{nearest(part, map(_called, prefixes))}"
        raise InputError(f"part={part!r} {what}; {file} has {_listed(fitting or prefixes)}")
    return fitting[0]


def _beside(names: Iterable[str], chosen: str, others: list[str]) -> list[str]:
    """What stands in the same container as the model and is not of it, nor of another copy."""
    if "" in others:  # what has no word before it is that copy's
        return []
    *outer, _ = _words(chosen) or [""]
    container = chosen[: len(".".join(outer)) + 1] if outer else ""
    near = (name for name in names if name.startswith(container) and not name.startswith(chosen))
    return [
        name
        for name in near
        if not any(map(name.startswith, others)) and _words(f"{name[len(container) :]}.")[0] not in TRAINING
    ]


def _shared(names: Iterable[str]) -> str:
    """The known words that all names begin with."""
    prefix, names = "", list(names)
    while word := next((w for w in WRAPPERS if names and all(n.startswith(f"{prefix}{w}.") for n in names)), None):
        prefix += f"{word}."
    return prefix


def _under(tensors: Tensors, prefix: str, others: Iterable[str]) -> Tensors:
    """The tensors whose names begin with a prefix, without it, but those of copies within."""
    inside = [other for other in others if other.startswith(prefix)]
    shapes = {
        name.removeprefix(prefix): shape
        for name, shape in tensors.shapes.items()
        if name.startswith(prefix) and not any(map(name.startswith, inside))
    }
    return replace(tensors, shapes=shapes, read=lambda name: tensors.read(prefix + name))

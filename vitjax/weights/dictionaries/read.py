"""Reads a dictionary of features from a file of any format that is known, and says of which tap it is."""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from vitjax.errors import InputError, nearest
from vitjax.models.dictionaries.dictionary import Dictionary
from vitjax.models.dictionaries.directions import Directions
from vitjax.models.dictionaries.form import Form
from vitjax.weights.cache import digest
from vitjax.weights.dictionaries import (
    ours,
    overcomplete,
    patchsae,
    prisma,
    sae_for_vlm,
    saelens,
    saev,
    sparsify,
)
from vitjax.weights.dictionaries.fetch import fetched
from vitjax.weights.dictionaries.held import Held, Parts, open_held
from vitjax.weights.directions import is_directions, read_directions

THRESHOLD = "threshold"  # of all latents, that a state dict lacks
_OPTION = re.compile(r"(.+),(\w+)=([^,=]*)", re.DOTALL)
_HUB = re.compile(r"([\w.-]+/[\w.-]+?)(?:@([\w.-]+))?:([^:]+)")
_TAP = re.compile(r"([\w.]+)(?:@(\w+))?=(.+)", re.DOTALL)


class Format(NamedTuple):
    """How files of one kind are known and read."""

    known: Callable[[Held], bool]
    read: Callable[[Held], Parts]


# By name; the first that knows a file reads it.
FORMATS: dict[str, Format] = {
    "vitjax": Format(ours.known, ours.read),
    "saev": Format(saev.known, saev.read),
    "prisma": Format(prisma.known, prisma.read),
    "patchsae": Format(patchsae.known, patchsae.read),
    "overcomplete": Format(overcomplete.known, overcomplete.read),
    "sae-for-vlm": Format(sae_for_vlm.known, sae_for_vlm.read),
    "sparsify": Format(sparsify.known, sparsify.read),
    "saelens": Format(saelens.known, saelens.read),
}


@dataclass(frozen=True)
class Origin:
    """Where a dictionary came from: its file, the name of its format, and the sha256 of the file."""

    source: str
    format: str
    sha256: str


@dataclass(frozen=True)
class Named:
    """A dictionary as it was typed: a file on disk or in a repository of the hub, and what is said of it."""

    file: str
    form: dict[str, str]
    repo: str | None = None
    revision: str | None = None

    @cached_property
    def path(self) -> Path:
        """Of the file, which is downloaded if it has to be."""
        return fetched(self.repo, self.file, self.revision) if self.repo else Path(os.path.expanduser(self.file))

    def __str__(self) -> str:
        return f"{self.repo}:{self.file}" if self.repo else self.file


def parse(text: str | os.PathLike[str]) -> Named:
    """Reads `[TAP[@NAME]=]FILE[,FIELD=VALUE]...`; looks at no file but to see that it is there, not at the hub.

    Raises:
        InputError: a field that dictionaries lack, or no such file.
    """
    rest, form = os.fspath(text), {}
    known = [*(field.name for field in fields(Form)), THRESHOLD]
    while found := _OPTION.fullmatch(rest):
        rest, name, value = found.groups()
        if name not in known:
            raise InputError(f"{name!r} is nothing that is said of a dictionary{nearest(name, known)}")
        form[name] = value
    if not os.path.exists(rest) and (found := _TAP.fullmatch(rest)):
        form |= {"tap": found[1], "name": found[2] or ""}
        rest = found[3]
    if not os.path.exists(os.path.expanduser(rest)):
        if found := _HUB.fullmatch(rest):
            return Named(found[3], form, found[1], found[2])
        raise InputError(f"the dictionary {rest} does not exist: write TAP=FILE, e.g. blocks.9.resid_post=sae.pt")
    return Named(rest, form)


def read_dictionary(source: str | os.PathLike[str], **form: Any) -> Dictionary | Directions:
    """Reads a dictionary: ours, or one of saev, Prisma, PatchSAE, overcomplete, sae-for-vlm, sparsify or SAELens.

    A file of directions (`vitjax analyze directions`) is read, too.

    Nothing in a file is executed: of pickles tensors and plain values are taken.

    Args:
        source: a file or folder, or a file on the hub, OWNER/NAME:FILE or OWNER/NAME@REVISION:FILE; `TAP=` or
            `TAP@NAME=` before it, and `,FIELD=VALUE` after it for fields of `Form` that the file does not say:
            `blocks.9.resid_post=ra.pt,activation=topk,k=32`.
        form: the same fields, which overrule the file; `threshold` is that of all latents.

    Raises:
        InputError: no such file, a format that is not known, no tap said, pickles that name anything but tensors,
            containers and notes, or a dictionary that is none (`Dictionary`).
    """
    named = parse(source)
    if is_directions(named.path):
        return _directions(named, form)
    held = open_held(named.path)
    kind = next((name for name, one in FORMATS.items() if one.known(held)), None)
    if kind is None:
        names = ", ".join(sorted(held.names)[:6])
        raise InputError(f"{held.path} is no dictionary of {', '.join(FORMATS)}: it has the tensors {names}")
    found, arrays = FORMATS[kind].read(held)
    found |= {name: _typed(name, value) for name, value in (named.form | form).items()}
    if (level := found.pop(THRESHOLD, None)) is not None:
        arrays[THRESHOLD] = np.full(len(arrays["decoder"]), level, np.float32)
        found.setdefault("activation", "threshold")
    if not found.get("tap"):
        raise InputError(f"{named} does not say of which tap it is: write TAP={named}")
    try:
        return Dictionary(Form(**found), arrays, Origin(str(named), kind, digest(held.path)))
    except InputError as error:
        raise InputError(f"{named}: {error}") from None


def _directions(named: Named, form: Mapping[str, Any]) -> Directions:
    """A file of directions, which says all itself but how the set is called."""
    said = named.form | form
    found = read_directions(named.path, said.pop("name", None) or None)
    if (tap := said.pop("tap", found.form.tap)) != found.form.tap:
        raise InputError(f"{named}: the directions are in {found.form.tap}, not in {tap}")
    if said:
        raise InputError(f"{named} is a file of directions, which have no {next(iter(said))}")
    return found


def _typed(name: str, value: Any) -> Any:
    """A field's value as its type, of a text as it was typed."""
    kind = float if name == THRESHOLD else type(Form("").__dict__[name])
    try:
        if kind is bool and isinstance(value, str):
            return {"true": True, "false": False}[value.lower()]
        return kind(value)
    except (KeyError, ValueError):
        raise InputError(f"{name}={value} of a dictionary is no {kind.__name__}") from None

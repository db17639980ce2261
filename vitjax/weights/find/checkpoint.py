"""Opens a checkpoint: finds or downloads its files, reads tensors and settings, adds an adapter, takes digests."""

import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from vitjax import files
from vitjax.errors import HERE, InputError
from vitjax.weights import cache
from vitjax.weights.families import registry
from vitjax.weights.families.family import Beside
from vitjax.weights.find.source import Source, parse
from vitjax.weights.formats.names import ADAPTER_CONFIG, PROVENANCE, WEIGHTS_OF
from vitjax.weights.formats.open import open_file, read_config, read_json
from vitjax.weights.formats.tensors import Tensors
from vitjax.weights.rules import lora
from vitjax.weights.rules.parts import bare

ADAPTERS = WEIGHTS_OF[ADAPTER_CONFIG]
Opened = tuple[Tensors, dict[str, Any]]  # a checkpoint's tensors and settings


def opened(source: Source, base: str | os.PathLike[str] | None = None) -> Opened:
    """Opens a checkpoint: its tensors and its settings; those of a LoRA adapter are its base's with the adapter added.

    Raises:
        InputError: files that cannot be read, an adapter without its base, or a base without an adapter.
    """
    if source.weights.name not in ADAPTERS:
        if base is not None:
            raise InputError(f"base={os.fspath(base)!r} has no meaning for {source.name}: only LoRA adapters have one")
        tensors = open_tensors(source.weights, source.part)
        return tensors, settings_of(source, tensors)
    if source.config is None:
        raise InputError(f"there is no adapter_config.json beside {source.weights}, the settings of a LoRA adapter")
    config = read_json(source.config)
    stated = config.get(lora.BASE)
    if base is None and not (isinstance(stated, str) and stated and os.path.exists(os.path.expanduser(stated))):
        raise InputError(f"{source.name} is a LoRA adapter of {stated or 'a model that it does not name'}: give base=")
    under = fetched(parse(stated if base is None else base, part=source.part))
    if under.weights.name in (PROVENANCE, *ADAPTERS):
        raise InputError(f"{under.name} is no checkpoint that an adapter can be added to")
    tensors, settings = opened(under)
    with naming(source):
        both = lora.merged(tensors, open_file(source.weights), config)
    return replace(both, files=(*both.files, source.config)), settings  # whose settings are a part of the weights


def open_tensors(path: Path, part: str | None = None) -> Tensors:
    """Opens a file of weights: safetensors, `.npz`, torch's `.pth`, `.pt`, `.bin` and `.ckpt`, or an index of several.

    The names are those that the tensors have in the model itself, see `vitjax.weights.rules.parts`.

    Args:
        path: of the file.
        part: which of several copies of the model in it, e.g. "state_dict_ema"; default the average over steps.

    Raises:
        InputError: as `vitjax.weights.formats.open.open_file`, or several models of which none is the usual one.
    """
    return bare(open_file(path), registry.marks(), part)


def settings_of(source: Source, tensors: Tensors) -> dict[str, Any]:
    """Reads the settings that come with a checkpoint's tensors."""
    if not source.config and (known := registry.settings_of_file(source.weights, tensors)):
        return dict(known)
    settings = read_config(source.config, source.weights, tensors.metadata)
    family = registry.known_as(settings)
    if source.config and family and family.beside and (found := read_beside(source.config.parent, family.beside)):
        settings[family.beside.key] = found
    return settings


def read_beside(folder: Path, beside: Beside) -> dict[str, Any] | None:
    """Reads settings that stand in a file of their own, from the folder of a checkpoint; None if there are none.

    Raises:
        InputError: a file that is no JSON object.
    """
    for name, part in beside.files.items():
        if (folder / name).exists():
            found = files.read_json(folder / name)
            if isinstance(found := found.get(part) if part else found, dict):
                return found
    return None


def fetched(source: Source) -> Source:
    """Downloads a source's files if they are the hub's; gives the source with all of them on disk."""
    if not source.repo:
        return source
    from vitjax.weights.find import hub  # a fifth of a second, for hub models only

    return hub.fetch(source)


def digest_of(source: Source, tensors: Tensors, remember: bool) -> str:
    """Takes the joint sha256 of a checkpoint's files, and of the part of them that is meant, if not the usual."""
    part = [hashlib.sha256(tensors.part.encode()).hexdigest()] if tensors.part else []
    return cache.joint_digest(digests_of(source, tensors.files, remember) + part)


def digests_of(source: Source, files: Sequence[Path], remember: bool) -> list[str]:
    """Takes the sha256 of each file of a checkpoint, which must be the hub's if they come from there."""
    digests = [cache.digest(path, remember) for path in files]
    if source.repo:
        from vitjax.weights.find import hub

        hub.check(files, digests)
    return digests


@contextmanager
def naming(source: Source) -> Iterator[None]:
    """Says in every complaint about a checkpoint which one it is."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{source.name}: {error}".replace(HERE, source.name)) from None

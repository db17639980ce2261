"""Opens a checkpoint: finds or downloads its files, reads tensors and settings, adds an adapter, takes digests."""

import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from vitjax.errors import InputError
from vitjax.weights.families.table import settings_of_file
from vitjax.weights.families.transformers.processing import read_processor
from vitjax.weights.find.source import ADAPTER_NAMES, PROVENANCE, Source, parse
from vitjax.weights.formats.open import open_file, open_tensors, read_config, read_json
from vitjax.weights.formats.tensors import Tensors
from vitjax.weights.publish import cache as disk
from vitjax.weights.rules import lora

Opened = tuple[Tensors, dict[str, Any]]  # a checkpoint's tensors and settings


def opened(source: Source, base: str | os.PathLike[str] | None = None) -> Opened:
    """The tensors of a checkpoint and its settings; those of a LoRA adapter are its base's with the adapter added.

    Raises:
        InputError: files that cannot be read, an adapter without its base, or a base without an adapter.
    """
    if source.weights.name not in ADAPTER_NAMES:
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
    if under.weights.name in (PROVENANCE, *ADAPTER_NAMES):
        raise InputError(f"{under.name} is no checkpoint that an adapter can be added to")
    tensors, settings = opened(under)
    with naming(source):
        both = lora.merged(tensors, open_file(source.weights), config)
    return replace(both, files=(*both.files, source.config)), settings  # whose settings are a part of the weights


def settings_of(source: Source, tensors: Tensors) -> dict[str, Any]:
    """The settings that come with a checkpoint's tensors."""
    if not source.config and (known := settings_of_file(source.weights, tensors)):
        return dict(known)
    settings = read_config(source.config, source.weights, tensors.metadata)
    if source.config and (processor := read_processor(source.config.parent)):
        settings["preprocessor"] = processor
    return settings


def fetched(source: Source) -> Source:
    """The source with its files on disk, downloaded if they are the hub's."""
    if not source.repo:
        return source
    from vitjax.weights.find import hub  # a fifth of a second, for hub models only

    return hub.fetch(source)


def digest_of(source: Source, tensors: Tensors, remember: bool) -> str:
    """The joint sha256 of a checkpoint's files, and of the part of them that was asked for, if it is not the usual."""
    part = [hashlib.sha256(tensors.part.encode()).hexdigest()] if tensors.part else []
    return disk.joint_digest(digests_of(source, tensors.files, remember) + part)


def digests_of(source: Source, files: Sequence[Path], remember: bool) -> list[str]:
    """The sha256 of each file of a checkpoint, which must be the hub's if they come from there."""
    digests = [disk.digest(path, remember) for path in files]
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
        raise InputError(f"{source.name}: {error}") from None

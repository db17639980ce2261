"""Finds out which files on disk or on the hub the user means by what was typed for a model."""

import os
import re
from dataclasses import dataclass, replace
from pathlib import Path

from vitjax.errors import InputError, nearest
from vitjax.weights.families.timm.architectures import KNOWN
from vitjax.weights.formats.names import (
    CLIP_CONFIG,
    CONFIG,
    FOREIGN,
    PROVENANCE,
    READABLE,
    RESULT,
    RUN,
    SETTINGS_OF,
    WEIGHTS,
    WEIGHTS_OF,
)

DEMO = Path(__file__).parents[2] / "demo"
TIMM = "timm"  # the organisation whose names are the hub's even where a folder is called so
ACCEPTED = '"demo", a hub id OWNER/NAME, a file of weights such as .safetensors, or a folder'

_HUB = re.compile(r"(?:hf[-_]hub:)?([\w.-]+/[\w.-]+)(?:@([\w./-]+))?")
_STEP = re.compile(r"checkpoint-(\d{1,18})")  # a folder of transformers' Trainer
_PATH_START = ("~", ".", os.sep, "/")


@dataclass(frozen=True)
class Source:
    """Where a model's two files are: on disk (`weights`, `config`) or in a repository on the hub (`repo`, `revision`).

    `name` is how to call the model: what the user typed, without the revision. A `config` of None means that the
    weights file must name its architecture itself; a `revision` of None means the hub's newest; a `part` of None the
    usual one of several copies of a model in a file.
    """

    name: str
    weights: Path | None = None
    config: Path | None = None
    repo: str | None = None
    revision: str | None = None
    part: str | None = None


def parse(text: str | os.PathLike[str], revision: str | None = None, part: str | None = None) -> Source:
    """Finds out what a model's name means; looks at the disk, never at the network.

    Args:
        text: "demo", a hub id `OWNER/NAME` (also `hf-hub:OWNER/NAME`, and with `@REVISION`), a file of weights
            (.safetensors, .npz, .pth, .pt, .bin, .ckpt, or the .index.json of several) or a folder with one,
            `config.json` beside it; each with `#PART` after it where a part is meant. What is on disk comes before the
            hub, but for the owner `timm`: a folder of that name is reached with `./timm/...`.
        revision: branch, tag or commit on the hub.
        part: which of several copies of the model in a file, e.g. "state_dict_ema".

    Raises:
        InputError: nothing of the kind, a path that does not exist, or a format not supported yet.
    """
    for what, value, kinds in (
        ("a model's name", text, str | os.PathLike),
        ("revision", revision, str | None),
        ("part", part, str | None),
    ):
        if not isinstance(value, kinds):
            raise InputError(
                f"{what} is of type {type(value).__name__}; give {ACCEPTED if value is text else 'a text'}"
            )
    typed = str(os.fspath(text)).strip()
    if "#" in typed and not os.path.exists(os.path.expanduser(typed)):
        typed, _, named = typed.rpartition("#")
        part = _one("parts", "#", named, part)
    return replace(_parsed(typed, revision, hub=isinstance(text, str)), part=part)


def _parsed(typed: str, revision: str | None, hub: bool) -> Source:
    hub = hub and _HUB.fullmatch(typed)
    if hub and _on_hub(typed, hub[1]):
        return Source(hub[1], repo=hub[1], revision=_one("revisions", "@", hub[2], revision))
    source = Source("demo", DEMO / WEIGHTS, DEMO / CONFIG) if typed == "demo" else _on_disk(typed)
    if revision is not None:
        raise InputError(f"revision={revision!r} has no meaning for {source.name}: only hub models have revisions")
    return source


def _on_hub(typed: str, repo: str) -> bool:
    """Whether a name that looks like a hub id is one, and not a path."""
    is_path = typed.startswith(_PATH_START) or repo.endswith((*READABLE, *FOREIGN)) or os.path.exists(repo)
    return repo.startswith(f"{TIMM}/") or not is_path


def _on_disk(typed: str) -> Source:
    path = Path(os.path.expanduser(typed))
    if not typed or not os.path.exists(path):
        raise InputError(_why_not(typed, path))
    if path.is_dir():
        return _in_folder(typed, path)
    if path.name.endswith(FOREIGN):
        raise InputError(f"{typed}: {path.suffix} files are not supported; convert it to safetensors")
    return Source(typed, path, _config_beside(path))


def _in_folder(typed: str, folder: Path) -> Source:
    files = _names(folder)
    if PROVENANCE in files:
        return Source(typed, folder / PROVENANCE)
    if os.path.exists(result := folder / RESULT / PROVENANCE):
        return Source(typed, result)
    if RUN in files:
        raise InputError(f"{typed} is a training that is not finished: go on with it first")
    kept = [name for name in files if name.endswith(READABLE)]
    kinds = (CONFIG, CLIP_CONFIG) if CONFIG in files or CLIP_CONFIG not in files else (CLIP_CONFIG, CONFIG)
    usual = [name for kind in kinds for name in WEIGHTS_OF[kind]]
    found = next((name for name in usual if name in files), kept[0] if len(kept) == 1 else None)
    if found:
        return Source(typed, folder / found, _config_beside(folder / found))
    if kept:
        raise InputError(f"the folder {typed} has several files of weights, give one of them: {', '.join(kept[:3])}")
    there = lambda name: any(one in WEIGHTS_OF[CONFIG] for one in _names(folder / name))
    if steps := {int(step[1]): name for name in files if (step := _STEP.fullmatch(name)) and there(name)}:
        last = os.path.join(typed, steps[max(steps)])
        raise InputError(f"{typed} is the folder of a training by transformers' Trainer: give {last}")
    others = [name for name in files if name.endswith(FOREIGN)]
    hint = f" (it has {', '.join(others[:3])})" if others else ""
    raise InputError(f"the folder {typed} has no {WEIGHTS} or other file of weights{hint}")


def _config_beside(weights: Path) -> Path | None:
    """Finds the settings of a file of weights: those of its own kind, else whichever are there."""
    names = dict.fromkeys((SETTINGS_OF.get(weights.name, CONFIG), CONFIG, CLIP_CONFIG))
    return next((path for name in names if (path := weights.with_name(name)).exists()), None)


def _why_not(typed: str, path: Path) -> str:
    """Says what is wrong with a name that is neither on disk nor could be on the hub."""
    if not typed:
        return f"the model's name is empty; give {ACCEPTED}"
    if "://" in typed:
        return f"{typed} is an address; give {ACCEPTED}"
    if path.name.endswith((*READABLE, *FOREIGN)) or "/" in typed or typed.startswith(_PATH_START):
        if not os.path.isdir(path.absolute().parent):
            return f"{typed} does not exist: there is no folder {path.parent}"
        known = [name for name in _names(path.parent) if not name.endswith(FOREIGN)]
        return f"{typed} does not exist{nearest(path.name, known)}"
    by_timm = "patch" in typed or typed.partition(".")[0] in KNOWN
    choices = ("demo", f"timm/{typed}") if by_timm else ("demo",)
    return f"unknown model {typed!r}{nearest(typed, choices)}; give {ACCEPTED}"


def _names(folder: Path) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def _one(what: str, sign: str, typed: str | None, given: str | None) -> str | None:
    if typed and given and typed != given:
        raise InputError(f"two {what}: {sign}{typed} in the name and {what[:-1]}={given!r}")
    return typed or given

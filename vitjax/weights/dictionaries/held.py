"""Opens a file of a dictionary: its tensors, and what stands beside them in it or in files next to it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from vitjax.errors import InputError, nearest
from vitjax.files import open_regular, parse_json
from vitjax.weights.formats.archive import open_archive
from vitjax.weights.formats.names import READABLE
from vitjax.weights.formats.open import open_file, read_json
from vitjax.weights.formats.tensors import Tensors
from vitjax.weights.formats.torch_zip import open_torch_zip

OURS, OURS_FORM = "dictionary.safetensors", "dictionary.json"
WEIGHTS = (OURS, "sae_weights.safetensors", "sae.safetensors", "sae.pt", "weights.pt", "ae.pt", "out.pt")  # of folders
SETTINGS = ("cfg.json", "config.json")
HEADER = 2**20  # bytes of a line of JSON before an archive
WRAPPERS = ("state_dict.", "model_state_dict.", "module.")


class Parts(NamedTuple):
    """What a format's reader makes of a file.

    Attributes:
        form: fields of `vitjax.models.dictionaries.form.Form`, those that the file says.
        arrays: {name: array}, as `Dictionary` takes them.
    """

    form: dict[str, Any]
    arrays: dict[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class Held:
    """A file of a dictionary that was opened.

    Attributes:
        path: of the file with the tensors.
        tensors: in it, by their names with `prefix` before them.
        settings: what is said of them: in the file's first line, in a pickle beside the tensors, or in a file beside.
        where: which of these, "header", "pickle", "beside" or "".
        prefix: what all names of tensors begin with.
    """

    path: Path
    tensors: Tensors
    settings: Mapping[str, Any] = field(default_factory=dict)
    where: str = ""
    prefix: str = ""

    @property
    def names(self) -> set[str]:
        """Of its tensors."""
        return {name.removeprefix(self.prefix) for name in self.tensors}

    def __getitem__(self, name: str) -> np.ndarray:
        """A tensor, float32."""
        if name not in self.names:
            raise InputError(f"{self.path} has no tensor {name}{nearest(name, self.names)}")
        return np.asarray(self.tensors.read(self.prefix + name)).astype(np.float32)

    def some(self, *names: str) -> list[np.ndarray]:
        """Several tensors, float32."""
        return [self[name] for name in names]

    def number(self, name: str, given: Any = None) -> Any:
        """The one number of a tensor; `given` where there is no such tensor."""
        return self[name].reshape(-1)[0].item() if name in self.names else given


def open_held(path: Path) -> Held:
    """Opens a file, or that of a folder.

    Raises:
        InputError: no such file, none of a kind that is read, or a damaged one.
    """
    if path.is_dir():
        path = _in_folder(path)
    with open_regular(path) as file:
        start = file.readline(HEADER)
    if start.startswith(b"{"):
        settings = parse_json(start, f"the first line of {path}")
        return _held(path, open_torch_zip(open_archive(path)), settings, "header")
    tensors = open_file(path)
    noted = tensors.notes.get("cfg", tensors.notes.get("config"))
    if isinstance(noted, dict):
        return _held(path, tensors, noted, "pickle")
    if path.name == OURS:
        return _held(path, tensors, read_json(path.with_name(OURS_FORM)), "beside")
    beside = next((one for name in SETTINGS if (one := path.with_name(name)).exists()), None)
    return _held(path, tensors, read_json(beside) if beside else {}, "beside" if beside else "")


def _held(path: Path, tensors: Tensors, settings: Mapping[str, Any], where: str) -> Held:
    prefix = next((one for one in WRAPPERS if all(name.startswith(one) for name in tensors)), "")
    return Held(path, tensors, settings, where, prefix)


def _in_folder(folder: Path) -> Path:
    names = sorted(one.name for one in folder.iterdir())
    found = [name for name in WEIGHTS if name in names] or [name for name in names if name.endswith(READABLE)]
    if not found or (len(found) > 1 and found[0] not in WEIGHTS):
        what = f"several files of tensors, give one of them: {', '.join(found[:3])}" if found else "no file of tensors"
        inner = next((f"; {folder / name} has a dictionary" for name in names if (folder / name / OURS).exists()), "")
        raise InputError(f"the folder {folder} has {what}{inner}")
    return folder / found[0]

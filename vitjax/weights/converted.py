"""A model in, a folder out that vitjax loads without converting anything: Orbax arrays, provenance and a model card."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any, get_args, get_type_hints

import jax
import numpy as np

from vitjax.errors import InputError
from vitjax.models.config import ViTConfig
from vitjax.models.vit import ViT
from vitjax.weights import folders, rules
from vitjax.weights.cache import CONVERTER
from vitjax.weights.card import Card
from vitjax.weights.source import PROVENANCE

README = """---
library_name: vitjax
license: {licence}
tags: [vision-transformer, jax, flax, interpretability]
---
# {name}

Weights of `{source}`{revision}, converted to Flax by vitjax; licence: {licence}.
The file they come from has the sha256 `{sha256}`.

```python
import vitjax

model = vitjax.load("path/to/this/folder")
model.taps()  # everything that can be read, edited and pictured
```

| | |
|---|---|
| architecture | {architecture} |
| input | {height} x {width} pixels, patches of {patch_height} x {patch_width} |
| blocks, heads, width | {depth}, {heads}, {channels} |
| MLP neurons | {neurons:,} |
| parameters | {parameters:,} |
| mean, std | {mean}, {std} |
"""


def export(model: ViT, folder: str | os.PathLike[str], texts: Mapping[str, str] | None = None) -> None:
    """Writes a loaded model; an older one of the same folder is replaced when the new one is whole.

    Args:
        model: as `vitjax.load` gives it, with its card.
        folder: made if it is not there.
        texts: {file: text} to lie beside it, such as the errors of a proof.

    Raises:
        InputError: a folder that holds something else, or that cannot be written.
    """
    folder, card = Path(folder), model.card
    if folder.exists() and not (folder / PROVENANCE).exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} is there and holds no converted model; choose another name")
    config = json.loads(json.dumps(asdict(model.config)))
    contents = {"converter": CONVERTER, "sha256": card.sha256, "config": config, "origin": asdict(card)}
    arrays = rules.parameters(model)
    texts = {"README.md": _readme(model, arrays), **(texts or {})}
    try:
        folders.write(folder, contents, asdict(card), arrays, texts)
    except Exception as error:  # a full disk reaches us as whatever TensorStore makes of it
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise InputError(f"cannot write to {folder}: {reason}") from None


def open_folder(provenance: Path, dtype: Any) -> tuple[ViTConfig, Card, dict[str, np.ndarray]]:
    """Reads what `export` wrote.

    Args:
        provenance: its `provenance.json`.
        dtype: of the arrays.

    Raises:
        InputError: a folder of another version, incomplete or damaged.
    """
    folder, stated = provenance.parent, folders.read_json(provenance)
    try:
        if stated["converter"] != CONVERTER:
            raise InputError(f"{folder} was converted by another version of vitjax; convert it again")
        config, card = _rebuilt(ViTConfig, stated["config"]), Card(**stated["origin"])
        if not folders.is_whole(folder, {}):
            raise InputError(f"{folder} is incomplete: its files are not those that {provenance.name} lists")
        wanted = {name: jax.ShapeDtypeStruct(shape, dtype) for name, shape in rules.shapes(config).items()}
        return config, card, folders.read(folder, wanted)
    except InputError:
        raise
    except Exception as error:  # anything that a damaged text or checkpoint leads to
        raise InputError(f"{folder} is damaged ({type(error).__name__}); convert it again") from None


def _rebuilt(kind: type, values: Mapping[str, Any]) -> Any:
    """A frozen dataclass from its JSON: lists are tuples, objects the dataclass that the field's type names."""
    hints, given = get_type_hints(kind), {}
    for name, value in values.items():
        if isinstance(value, dict):
            kinds = (hints[name], *get_args(hints[name]))
            value = _rebuilt(next(one for one in kinds if is_dataclass(one)), value)
        given[name] = tuple(value) if isinstance(value, list) else value
    return kind(**given)


def _readme(model: ViT, arrays: Mapping[str, np.ndarray]) -> str:
    config, card = model.config, model.card
    return README.format(
        name=card.source.split("/")[-1],
        source=card.source,
        revision=f" at {card.revision}" if card.revision else "",
        licence=card.licence or "unknown",
        sha256=card.sha256,
        architecture=card.architecture,
        height=config.image_size[0],
        width=config.image_size[1],
        patch_height=config.patch_size[0],
        patch_width=config.patch_size[1],
        depth=config.depth,
        heads=config.heads,
        channels=config.width,
        neurons=config.depth * config.mlp_width,
        parameters=sum(array.size for array in arrays.values()),
        mean=config.preprocess.mean,
        std=config.preprocess.std,
    )

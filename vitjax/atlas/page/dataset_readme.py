"""Writes the README.md of the data set that an exported atlas becomes: licence, how it was made, how to open it.

What an atlas says of itself is untrusted text: here it is JSON strings in the head and escaped Markdown below.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vitjax.atlas.page.scripts import unscript
from vitjax.atlas.store.folder import MARK
from vitjax.files import read_bytes
from vitjax.weights.publish.readme import front, licence_of, text

_SIZES = [(1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M")]


@dataclass(frozen=True)
class _About:
    """What is told here of what an atlas says it is."""

    title: str
    count: int
    model: dict[str, Any]
    recipe: dict[str, Any]
    seeds: list[int]
    image_size: tuple[int, int]
    data: dict[str, Any] | None


_BODY = """# {title}

Pictures of {count} units of a Vision Transformer: what each responds to, painted by optimisation, with grades,
{photographs}and its nearest units. Made with [vitjax](https://github.com/vitjax/vitjax).

| | |
|---|---|
| model | {source} |
| architecture | {architecture} |
| revision | {revision} |
| SHA-256 of the weights | {sha256} |
| licence of the model | {licence} |
| recipe | {recipe} |
| seeds | {seeds} |
| picture size | {size} |
| photographs | {data} |

## Open it

```sh
hf download {repo} --repo-type dataset --local-dir atlas
```

and open `atlas/index.html` in a browser, or run `vitjax serve atlas`. It is a folder of static files that asks nothing
of other hosts; any static host will do.

## For programs

`units.parquet` has a row per unit; `manifest.json` says how all was made; `contact/` holds contact sheets as PNG;
`pictures/TAP/INDEX.webp` are the pictures. `vitjax.open_atlas("atlas")` reads all of it in Python.

## Licence

The pictures are made of the model: its licence, {licence}, says what may be done with them. Photographs remain under
the terms of their data set.
"""


def dataset_readme(folder: Path, repo: str) -> bytes:
    """Writes the text of README.md of an exported atlas, for the data set `repo` (OWNER/NAME).

    Raises:
        InputError: the atlas does not say what it is.
    """
    atlas = unscript(read_bytes(folder / MARK), str(folder / MARK), _About)
    licence = atlas.model.get("licence")
    head = {
        "pretty_name": " ".join(atlas.title.split()),
        "tags": ["vitjax", "atlas", "feature-visualization", "interpretability", "vision-transformer"],
        "size_categories": [next((name for most, name in _SIZES if atlas.count < most), "n>1M")],
        **licence_of(licence and str(licence)),
    }
    tables = sorted(path.name for path in folder.glob("*.parquet"))
    head |= (
        {"configs": [{"config_name": n.removesuffix(".parquet"), "data_files": n} for n in tables]} if tables else {}
    )
    body = _BODY.format(
        title=text(atlas.title),
        count=f"{atlas.count:,}",
        photographs="the photographs it responds to most, " if atlas.data else "",
        source=text(atlas.model.get("source")),
        architecture=text(atlas.model.get("architecture")),
        revision=text(atlas.model.get("revision")),
        sha256=text(atlas.model.get("sha256")),
        licence=text(licence or "not recorded"),
        recipe=text(atlas.recipe.get("name")),
        seeds=text(", ".join(map(str, atlas.seeds))),
        size=" × ".join(map(str, reversed(atlas.image_size))),
        data=text(f"{atlas.data.get('images')} of {atlas.data.get('source')}" if atlas.data else None),
        repo=repo,
    )
    return (front(head) + body).encode()

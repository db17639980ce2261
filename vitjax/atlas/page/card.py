"""An exported atlas in, the README.md of its data set out: the licence, how it was made, how to open it.

What an atlas says of itself is untrusted text: here it is JSON strings in the head and escaped Markdown below.
"""

from pathlib import Path

from vitjax.atlas.page.scripts import unscript
from vitjax.atlas.store.folder import MARK
from vitjax.files import read_bytes
from vitjax.weights.publish.readme import front, licence_of, text

_SIZES = [(1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M")]

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
`pictures/TAP/INDEX.webp` are the pictures.

## Licence

The pictures are made of the model: its licence, {licence}, says what may be done with them. Photographs remain under
the terms of their data set.
"""


def card(folder: Path, repo: str) -> bytes:
    """The text of README.md, for the data set `repo` (OWNER/NAME)."""
    atlas = unscript(read_bytes(folder / MARK), str(folder / MARK))
    model, data = atlas["model"], atlas["data"]
    licence = model.get("licence")
    count = atlas["count"]
    head = {
        "pretty_name": " ".join(atlas["title"].split()),
        "tags": ["vitjax", "atlas", "feature-visualization", "interpretability", "vision-transformer"],
        "size_categories": [next((name for most, name in _SIZES if count < most), "n>1M")],
        **licence_of(licence),
    }
    tables = sorted(path.name for path in folder.glob("*.parquet"))
    head |= (
        {"configs": [{"config_name": n.removesuffix(".parquet"), "data_files": n} for n in tables]} if tables else {}
    )
    body = _BODY.format(
        title=text(atlas["title"]),
        count=f"{count:,}",
        photographs="the photographs it responds to most, " if data else "",
        source=text(model.get("source")),
        architecture=text(model.get("architecture")),
        revision=text(model.get("revision")),
        sha256=text(model.get("sha256")),
        licence=text(licence or "not recorded"),
        recipe=text(atlas["recipe"].get("name")),
        seeds=text(", ".join(map(str, atlas["seeds"]))),
        size=" × ".join(map(str, reversed(atlas["image_size"]))),
        data=text(f"{data.get('images')} of {data.get('source')}" if data else None),
        repo=repo,
    )
    return (front(head) + body).encode()

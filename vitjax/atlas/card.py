"""An exported atlas in, the README.md of its data set out: the licence, how it was made, how to open it.

What an atlas says of itself is untrusted text: here it is JSON strings in the head and escaped Markdown below.
"""

import html
import json
import re
from pathlib import Path

from vitjax.atlas.folder import MARK
from vitjax.atlas.scripts import unscript

# Of the licences that the hub knows, those that models of this kind come under; any other is `other`, with its name.
_LICENCES = {
    "afl-3.0", "apache-2.0", "bigscience-openrail-m", "bsd-2-clause", "bsd-3-clause", "cc", "cc-by-2.0", "cc-by-3.0",
    "cc-by-4.0", "cc-by-nc-2.0", "cc-by-nc-3.0", "cc-by-nc-4.0", "cc-by-nc-nd-4.0", "cc-by-nc-sa-4.0", "cc-by-nd-4.0",
    "cc-by-sa-4.0", "cc0-1.0", "gpl-3.0", "isc", "lgpl-3.0", "mit", "mpl-2.0", "openrail", "unknown", "unlicense",
}  # fmt: skip
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
    atlas = unscript((folder / MARK).read_bytes())
    model, data = atlas["model"], atlas["data"]
    licence = model.get("licence")
    count = atlas["count"]
    head = {
        "pretty_name": " ".join(atlas["title"].split()),
        "tags": ["vitjax", "atlas", "feature-visualization", "interpretability", "vision-transformer"],
        "size_categories": [next((name for most, name in _SIZES if count < most), "n>1M")],
        **_licence(licence),
    }
    tables = sorted(path.name for path in folder.glob("*.parquet"))
    head |= (
        {"configs": [{"config_name": n.removesuffix(".parquet"), "data_files": n} for n in tables]} if tables else {}
    )
    lines = [f"{key}: {json.dumps(value, ensure_ascii=True)}" for key, value in head.items()]  # JSON is YAML
    body = _BODY.format(
        title=_text(atlas["title"]),
        count=f"{count:,}",
        photographs="the photographs it responds to most, " if data else "",
        source=_text(model.get("source")),
        architecture=_text(model.get("architecture")),
        revision=_text(model.get("revision")),
        sha256=_text(model.get("sha256")),
        licence=_text(licence or "not recorded"),
        recipe=_text(atlas["recipe"].get("name")),
        seeds=_text(", ".join(map(str, atlas["seeds"]))),
        size=" × ".join(map(str, reversed(atlas["image_size"]))),
        data=_text(f"{data.get('images')} of {data.get('source')}" if data else None),
        repo=repo,
    )
    return ("---\n" + "\n".join(lines) + "\n---\n\n" + body).encode()


def _licence(name: str | None) -> dict[str, str]:
    """What the hub wants to know of a licence."""
    if not name:
        return {}
    known = name.strip().lower()
    return {"license": known} if known in _LICENCES else {"license": "other", "license_name": _slug(known)}


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9.]+", "-", text).strip("-.")[:60] or "other"


def _text(value: object) -> str:
    """Untrusted text on one line of Markdown, none of it markup."""
    shown = "".join(char if char.isprintable() else " " for char in str("–" if value in (None, "") else value))
    plain = " ".join(shown.split())[:200]
    return re.sub(r"([\\`*_{}\[\]()#+!|~$])", r"\\\1", html.escape(plain, quote=False))

"""Writes the README.md of a model as the hub shows it: a head in YAML, and Markdown.

What a checkpoint says of itself is untrusted text: here it is JSON strings in the head and escaped Markdown below.
"""

import html
import json
import re
from collections.abc import Mapping

from vitjax.models.convnets.base import ConvNetConfig
from vitjax.models.core.config import ViTConfig
from vitjax.models.hierarchical.pyramid import PyramidConfig
from vitjax.models.registry import Config
from vitjax.weights.publish.provenance import Card

README = "README.md"
# Of the licences that the hub knows, those that models of this kind come under; any other is `other`, with its name.
_LICENCES = {
    "afl-3.0", "apache-2.0", "bigscience-openrail-m", "bsd-2-clause", "bsd-3-clause", "cc", "cc-by-2.0", "cc-by-3.0",
    "cc-by-4.0", "cc-by-nc-2.0", "cc-by-nc-3.0", "cc-by-nc-4.0", "cc-by-nc-nd-4.0", "cc-by-nc-sa-4.0", "cc-by-nd-4.0",
    "cc-by-sa-4.0", "cc0-1.0", "gpl-3.0", "isc", "lgpl-3.0", "mit", "mpl-2.0", "openrail", "unknown", "unlicense",
}  # fmt: skip

_MODEL = """# {name}

Weights of {source}{revision}, converted to Flax by [vitjax](https://github.com/vitjax/vitjax); licence: {licence}.
The file they come from has the sha256 `{sha256}`.{proven}

```python
import vitjax

model = vitjax.load("{place}")
model.taps()  # everything that can be read, edited and pictured
```

| | |
|---|---|
| architecture | {architecture} |
| input | {height} x {width} pixels |
| parameters | {parameters:,} |
| mean, std | {mean}, {std} |
"""
_VIT = """| patches | {height} x {width} pixels |
| blocks, heads, width | {depth}, {heads}, {channels} |
| MLP neurons | {neurons:,} |
"""
_STAGES = """| patches | {height} x {width} pixels |
| stages | {stages} |
| blocks, heads, width of each | {depths}; {heads}; {widths} |
"""
_TAGS = {ViTConfig: "vision-transformer", PyramidConfig: "vision-transformer", ConvNetConfig: "convolutional-network"}
_PROVEN = "\n`{proof}` has the errors of every activation and of the image's gradient against its library."


def of_model(config: Config, card: Card, parameters: int, place: str, proof: str = "") -> str:
    """Writes the README.md of a converted model.

    Args:
        config: the model's.
        card: where it came from.
        parameters: how many it has.
        place: what to load it by, a hub id or a path.
        proof: name of the file of errors beside it, if there is one.
    """
    body = _MODEL.format(
        name=text(card.source.split("/")[-1]),
        source=text(card.source),
        revision=f" at {card.revision}" if card.revision else "",
        licence=text(card.licence or "unknown"),
        sha256=card.sha256,
        proven=_PROVEN.format(proof=proof) if proof else "",
        place=place,
        architecture=text(card.architecture),
        height=config.image_size[0],
        width=config.image_size[1],
        parameters=parameters,
        mean=config.preprocess.mean,
        std=config.preprocess.std,
    )
    if isinstance(config, ViTConfig):
        body += _VIT.format(
            height=config.patch_size[0],
            width=config.patch_size[1],
            depth=config.depth,
            heads=config.heads,
            channels=config.width,
            neurons=config.depth * config.mlp_width,
        )
    if isinstance(config, PyramidConfig):
        body += _STAGES.format(
            height=config.patch_size[0],
            width=config.patch_size[1],
            stages=len(config.widths),
            **{name: ", ".join(map(str, getattr(config, name))) for name in ("depths", "heads", "widths")},
        )
    kinds = [tag for kind, tag in _TAGS.items() if isinstance(config, kind)]
    tags = [*kinds, "jax", "flax", "interpretability"]
    return front({"library_name": "vitjax", "tags": tags, **licence_of(card.licence or "unknown")}) + body


def front(head: Mapping[str, object]) -> str:
    """Writes the head of a README.md: what the hub reads."""
    lines = [f"{key}: {json.dumps(value, ensure_ascii=True)}" for key, value in head.items()]  # JSON is YAML
    return "---\n" + "\n".join(lines) + "\n---\n\n"


def licence_of(name: str | None) -> dict[str, str]:
    """Gives what the hub wants to know of a licence."""
    if not name:
        return {}
    known = name.strip().lower()
    return {"license": known} if known in _LICENCES else {"license": "other", "license_name": _slug(known)}


def text(value: object) -> str:
    """Puts untrusted text on one line of Markdown, none of it markup."""
    shown = "".join(char if char.isprintable() else " " for char in str("–" if value in (None, "") else value))
    plain = " ".join(shown.split())[:200]
    return re.sub(r"([\\`*_{}\[\]()#+!|~$])", r"\\\1", html.escape(plain, quote=False))


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9.]+", "-", text).strip("-.")[:60] or "other"

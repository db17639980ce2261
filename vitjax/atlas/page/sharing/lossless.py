"""Encodes pictures without loss, with what they are in the file."""

import io
import json

from PIL import Image, PngImagePlugin

from vitjax.atlas.page.contents import Contents, Picture
from vitjax.atlas.page.scripts import plain

MOST = 500  # units of an atlas whose pictures are written so unless it is said otherwise: three times the bytes


def png(contents: Contents, number: int, picture: Picture) -> bytes:
    """Encodes a unit's picture as a PNG with unit, model, recipe, and how it was made, in text chunks."""
    text = PngImagePlugin.PngInfo()
    about = {
        "unit": contents.units[number],
        "model": contents.model.get("source") or "",
        "made": picture.made,
        "recipe": json.dumps(plain(contents.recipe)),
        "software": f"vitjax {contents.versions.get('vitjax', '')}",
    }
    for key, value in about.items():
        text.add_itxt(key, str(value).encode("utf-8", "replace").decode())
    buffer = io.BytesIO()
    Image.fromarray(picture.image).save(buffer, format="png", pnginfo=text)
    return buffer.getvalue()

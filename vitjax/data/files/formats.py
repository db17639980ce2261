"""Tells photographs by the endings of their files: the kinds that Pillow decodes itself; and which are left out."""

from contextlib import suppress
from functools import cache

from PIL import Image

# What Pillow opens and that is no photograph: drawings and icons, and what only shares an ending or a name with one.
_DRAWN = {"CUR", "EPS", "ICNS", "ICO", "WMF"}
_OTHER = {"BLP", "BUFR", "FLI", "FTEX", "GBR", "GRIB", "HDF5", "IPTC", "MPEG", "PCD"}
_HEIF = "its kind takes a plugin: pip install 'vitjax[heif]'"
_UNKNOWN = "a kind of image that is not read"
_UNREAD = dict.fromkeys((".heic", ".heif", ".hif"), _HEIF) | dict.fromkeys(
    (".jxl", ".jxr", ".svg", ".exr", ".hdr", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".raf", ".rw2"), _UNKNOWN
)


@cache
def kinds() -> tuple[str, ...]:
    """Lists Pillow's names of the kinds that are photographs, as it tries them; HEIF too, by pillow-heif."""
    Image.preinit()  # the usual kinds first, as Pillow itself tries them
    Image.init()
    with suppress(ImportError):
        import pillow_heif

        pillow_heif.register_heif_opener()
    return tuple(kind for kind in Image.ID if kind not in _DRAWN | _OTHER)


@cache
def endings() -> frozenset[str]:
    """Lists the endings of photographs' names, in lower case with their dot."""
    readable = kinds()
    return frozenset(ending for ending, kind in Image.registered_extensions().items() if kind in readable)


@cache
def left_out() -> dict[str, str]:
    """Says {ending: why} of images that are not read; a file neither here nor in `endings` is taken for no image."""
    drawn = {ending for ending, kind in Image.registered_extensions().items() if kind in _DRAWN}
    known = dict.fromkeys(drawn, "a drawing or an icon, no photograph") | _UNREAD
    return {ending: why for ending, why in known.items() if ending not in endings()}

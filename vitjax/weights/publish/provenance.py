"""Where a model came from, in a form that can stand in a filename, a figure's caption and a report."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Card:
    """A loaded model's origin, kept on it as `model.card`.

    It is a static attribute of the module and hence part of what a compiled function depends on: models of different
    origin are compiled separately, and no result can carry another model's card.

    Attributes:
        source: what was loaded: "demo", a hub id or a path; `#PART` after it where a part was chosen.
        revision: commit on the hub, 40 hexadecimal digits; empty for files.
        sha256: of the weights file, 64 hexadecimal digits; of several files, or a part that was chosen, that of the
            digests of all.
        licence: as the checkpoint states it, e.g. "apache-2.0"; empty if it states none.
        architecture: the name in the source library, e.g. "vit_tiny_patch16_224".
        converter: source family and version of the conversion, e.g. "timm-1".
    """

    source: str
    revision: str
    sha256: str
    licence: str
    architecture: str
    converter: str

    def __str__(self) -> str:
        revision = f"@{self.revision[:12]}" if self.revision else ""
        return f"{self.source}{revision} ({self.licence or 'licence not stated'})"

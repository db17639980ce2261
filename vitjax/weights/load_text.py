"""Loads the text tower of whatever the user typed, ready to embed sentences beside images."""

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import jax
from jaxtyping import Array, Float

from vitjax.errors import InputError
from vitjax.models.core.surroundings import standard
from vitjax.models.text_tower import TextModel
from vitjax.weights.families.family import port_text
from vitjax.weights.families.registry import family_of
from vitjax.weights.find.checkpoint import digest_of, fetched, naming, opened
from vitjax.weights.find.source import parse
from vitjax.weights.formats.names import PROVENANCE
from vitjax.weights.parameters import build
from vitjax.weights.tokenizer import SETTINGS, TOKENIZER, Tokenizer


@dataclass(frozen=True)
class TextEncoder:
    """A text tower and its tokenizer, which is opened when the first sentence comes.

    Attributes:
        model: `model(ids, reads)` gives any activation.
        folder: where its tokenizer.json is.
    """

    model: TextModel
    folder: Path

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """Turns sentences into token ids; it may raise, see `Tokenizer`."""
        return Tokenizer(self.folder, self.model.config)

    def __call__(self, texts: Sequence[str]) -> Float[Array, "text channel"]:
        """Embeds each text, as the model leaves it: not normalised.

        Raises:
            InputError: see `Tokenizer`.
        """
        with jax.default_matmul_precision("highest"):
            return self.model(self.tokenizer(texts))[self.model.output]


@standard()
def load_text(source: str | os.PathLike[str], *, revision: str | None = None) -> TextEncoder:
    """Loads the text tower of a CLIP or SigLIP in float32.

    Args:
        source: a hub id, a folder of transformers' making, or OpenAI's `.pt` with a tokenizer.json beside it; as for
            `vitjax.load`, which loads the image tower of the same checkpoint.
        revision: branch, tag or commit on the hub.

    Raises:
        InputError: as `vitjax.load`, and for a checkpoint without a text tower.
    """
    found = fetched(parse(source, revision))
    if found.weights.name == PROVENANCE:
        raise InputError(f"{found.name} was converted without its text tower; name the checkpoint that it was made of")
    tensors, settings = opened(found)
    with naming(found):
        family = family_of(settings)
        if family.text is None:
            raise InputError(f"a checkpoint of {family.name} has no text tower")
        config, arrays = port_text(family.text, tensors, settings)
    if found.repo:
        from vitjax.weights.find import hub  # a fifth of a second, for hub models only

        digest_of(found, tensors, remember=True)
        for name in (TOKENIZER, SETTINGS):
            with suppress(hub.Absent):
                hub.download(found.repo, name, found.revision)
    return TextEncoder(build(config, arrays), found.weights.parent)

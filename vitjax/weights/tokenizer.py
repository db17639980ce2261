"""Turns sentences into token ids by a checkpoint's tokenizer.json and the package `tokenizers`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int

from vitjax.errors import InputError
from vitjax.files import read_bytes
from vitjax.models.core.config import TextConfig
from vitjax.weights.formats.open import read_json

LARGEST = 2**28  # bytes; that of a vocabulary of 256,000 takes 34 million
TOKENIZER, SETTINGS = "tokenizer.json", "tokenizer_config.json"


class Tokenizer:
    """Turns sentences into what a text tower reads: ids, filled up to the length of its context."""

    def __init__(self, folder: Path, config: TextConfig):
        """Opens `tokenizer.json` in the folder of a checkpoint.

        Raises:
            InputError: no such file, a damaged one, nothing to fill up with, or `tokenizers` is not installed.
        """
        self.config, self.file = config, folder / TOKENIZER
        self._tokenizer = _open(self.file)
        self.padding = self._padding(folder / SETTINGS)

    def __call__(self, texts: Sequence[str]) -> Int[np.ndarray, "text token"]:
        """Gives the ids of each text, with the marks of beginning and end that the tokenizer sets.

        Raises:
            InputError: no texts, one that is none or too long, or ids that the model does not have.
        """
        check_texts(texts)
        ids = np.full((len(texts), self.config.context), self.padding, np.int32)
        for row, text in zip(ids, texts, strict=True):
            found = self._tokenizer.encode(text).ids
            if len(found) > len(row):
                raise InputError(f"{text[:40]!r}… has {len(found)} tokens, this model reads {len(row)} at most")
            row[: len(found)] = found
        if ids.max(initial=0) >= self.config.vocabulary:
            raise InputError(f"{self.file} is another model's: token {ids.max()} is not among {self.config.vocabulary}")
        return ids

    def _padding(self, settings: Path) -> int:
        """The id that short texts are filled up with; a causal model never sees it."""
        stated = read_json(settings).get("pad_token") if settings.exists() else None
        token = stated.get("content") if isinstance(stated, dict) else stated
        padding = None if token is None else self._tokenizer.token_to_id(token)
        if padding is None and self.config.eos is None:
            raise InputError(f"{settings} states no pad_token, with which this model's texts are filled up")
        return padding or 0


def check_texts(texts: Sequence[str]) -> None:
    """Raises an InputError for anything but a list of texts, as for one text alone, which would be taken by letters."""
    if isinstance(texts, str) or not isinstance(texts, Sequence | np.ndarray):
        raise InputError(f"texts are {'one text' if isinstance(texts, str) else repr(texts)}: give a list, ['a dog']")
    if not len(texts):
        raise InputError("no texts are given")
    for text in texts:
        if not isinstance(text, str):
            raise InputError(f"{text!r} is no text, it is of type {type(text).__name__}")


def _open(file: Path) -> Any:
    try:
        import tokenizers
    except ImportError:
        raise InputError("sentences need the package tokenizers: pip install 'vitjax[text]'") from None
    if not file.exists():
        raise InputError(f"there is no {TOKENIZER} in {file.parent}: put the one of the model's hub page there")
    data = read_bytes(file, LARGEST)
    try:
        found = tokenizers.Tokenizer.from_buffer(data)
    except Exception as error:  # the package raises plain Exceptions
        raise InputError(f"{file} is no tokenizer: {next(iter(str(error).splitlines()), '')}") from None
    found.no_truncation()
    found.no_padding()
    return found

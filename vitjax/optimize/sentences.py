"""Turns sentences into a direction in the space that images and texts share, for pictures to be optimised along."""

import os
from collections.abc import Sequence

import numpy as np

from vitjax.errors import InputError
from vitjax.units.units import Cosine
from vitjax.weights.load_text import TextEncoder, load_text
from vitjax.weights.tokenizer import check_texts

SCALE = 100.0  # of the cosine: what the logits of every published CLIP are scaled by (arXiv 2103.00020, section 2.5)


def sentence(
    text: TextEncoder | str | os.PathLike[str],
    prompts: str | Sequence[str],
    *,
    tap: str = "embedding",
    name: str | None = None,
) -> Cosine:
    """What `vitjax.visualize` takes to make a picture of which a CLIP says what these words say.

    Of several prompts the normalised embeddings are averaged, as in CLIP's own classifiers (arXiv 2103.00020, section
    3.1.4). A picture's activation is 100 times the cosine of its embedding and theirs, CLIP's logit.

    Args:
        text: from `vitjax.load_text`, or what to load it from.
        prompts: one sentence or several, e.g. ["a photo of a dog", "a drawing of a dog"].
        tap: of the image tower, where images and texts share a space: "embedding", or SigLIP's "pooled".
        name: of the direction; default the first prompt.

    Raises:
        InputError: no words, or as `load_text` and its tokenizer.
    """
    prompts = [prompts] if isinstance(prompts, str) else prompts
    check_texts(prompts)
    if not all(prompt.strip() for prompt in prompts):
        raise InputError("a sentence without words; write some, e.g. 'a photo of a dog'")
    encoder = text if isinstance(text, TextEncoder) else load_text(text)
    mean = _normalised(np.asarray(encoder(prompts))).mean(axis=0)
    return Cosine(tap, name or prompts[0], SCALE * _normalised(mean))


def _normalised(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)

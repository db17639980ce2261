"""The analysis `words`: names units of a CLIP by the words whose texts are nearest to their best images."""

from collections.abc import Sequence
from pathlib import Path

import jax
import numpy as np
from jaxtyping import Array, Float, Int

from vitjax.analysis.photographs.exemplars import exemplars
from vitjax.analysis.study.checks import analysis
from vitjax.analysis.study.findings import Findings, settings
from vitjax.analysis.study.passes import gather
from vitjax.data.dataset import Dataset
from vitjax.errors import InputError
from vitjax.models.core.network import Network
from vitjax.units.units import matching
from vitjax.weights.class_lists import class_names
from vitjax.weights.load_text import TextEncoder, load_text

PROMPT = "a photo of a {}"  # CLIP's own (arXiv 2103.00020, section 3.1.4)
TEXTS = 256  # that the text tower reads together


@analysis
def run(
    model: Network,
    data: Dataset,
    *,
    words: str | Path | Sequence[str],
    taps: list[str] | None = None,
    k: int = 9,
    tokens: str = "patches",
    text: str | TextEncoder | None = None,
) -> Findings:
    """Names units by what their best images have in common that others have not.

    Embeddings of images are normalised and centred on their mean over the data, those of texts on theirs; a unit's is
    the mean of its `k` best images'. What all images, or all texts, share would otherwise hide what sets them apart.

    Args:
        model: the image tower of a CLIP or SigLIP.
        data: the images.
        words: to choose from, two at least, or a file with one in each line, or in any form of a list of classes.
        taps: whose units are named, `*` for every block; default all neurons.
        k: best images of each unit.
        tokens: which tokens count for them, as in `Recipe.tokens`.
        text: the text tower, or what to load it from; default the checkpoint that `model` was loaded from.

    Returns:
        Findings with a row per unit: the two nearest words, each with its cosine.

    Raises:
        InputError: too few words, a file that cannot be read, unknown taps, or no text tower of the model's width.
    """
    (words, texts), known = embedded(words, model, text), model.taps()
    width = known[model.output].shape
    if width != texts.shape[1:]:
        raise InputError(
            f"texts have {texts.shape[1]} channels, this model's {model.output} {width[0]}: words need a CLIP or SigLIP"
        )
    chosen = [tap for pattern in taps or [model.neurons] for tap in matching(pattern, known)]
    found = exemplars(model, data, chosen, k=k, tokens=tokens)
    places, (images,) = gather(model, data.batches(), _embed)
    seen = np.zeros((len(data.images) + 1, images.shape[1]), np.float32)  # place -1, of no image, is the last row
    seen[places] = centred(images)
    rows = []
    for natural in found.taps.values():
        cosines = _unit(seen[natural.place].sum(axis=1)) @ _unit(centred(texts)).T
        order = np.argsort(-cosines, axis=1)[:, :2]
        rows += [_row(str(natural.unit(i)), words, cosines[i], best) for i, best in enumerate(order)]
    options = {"words": len(words), "prompt": PROMPT, "taps": chosen, "k": k, "tokens": tokens}
    return Findings(
        "words", rows, settings(model, data, **options), summary=f"{len(rows)} units named from {len(words)} words"
    )


def embedded(
    words: str | Path | Sequence[str], model: Network, text: str | TextEncoder | None = None
) -> tuple[list[str], Float[np.ndarray, "word channel"]]:
    """Reads words and embeds `PROMPT` of each, see `run`; errors as there."""
    words = _words(words)
    if text is None:
        text = load_text(model.card.source, revision=model.card.revision or None)
    encoder = text if isinstance(text, TextEncoder) else load_text(text)
    prompts = [PROMPT.format(word) for word in words]
    return words, np.concatenate([np.asarray(encoder(prompts[i : i + TEXTS])) for i in range(0, len(prompts), TEXTS)])


def centred(embeddings: Float[np.ndarray, "one channel"]) -> Float[np.ndarray, "one channel"]:
    """Normalised embeddings less their mean."""
    directions = _unit(embeddings)
    return directions - directions.mean(axis=0)


def _unit(vectors: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors / np.where(lengths > 0, lengths, 1)


def _embed(model: Network, images: Array) -> tuple[jax.Array]:
    return (model(images)[model.output],)


def _row(unit: str, words: Sequence[str], cosines: np.ndarray, best: Int[np.ndarray, "2"]) -> dict[str, str | float]:
    first, second = best
    return {
        "unit": unit,
        "word": words[first],
        "cosine": float(cosines[first]),
        "second": words[second],
        "second_cosine": float(cosines[second]),
    }


def _words(words: str | Path | Sequence[str]) -> list[str]:
    if isinstance(words, str | Path):
        words = class_names(words)
    found = list(dict.fromkeys(stripped for word in words if (stripped := word.strip())))
    if len(found) < 2:
        raise InputError(f"{len(found)} words to choose from, there must be two at least, one in each line")
    return found

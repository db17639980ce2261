"""Draws how often latents of dictionaries are active, how strongly, and how alike they are."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from vitjax.analysis.scores.density import DENSE
from vitjax.analysis.study.style import COLORS, panels, style

BINS = 40
Latents = Mapping[str, Float[np.ndarray, " latent"]]


def draw(found: Mapping[str, tuple[Mapping[str, float], Latents]]) -> Figure:
    """Draws a row of panels for each dictionary: density of its latents, their strength, and their likeness.

    Args:
        found: {tap: (its row, {column: of each latent})}, of `dictionary_score.run`.
    """
    with style():
        figure, axes = panels(len(found), 3, size=(3.2, 2.5))
        for (tap, (row, latents)), (first, second, third) in zip(
            found.items(), (axes[i : i + 3] for i in range(0, len(axes), 3)), strict=True
        ):
            alive = latents["density"] > 0
            often, strong = np.log10(latents["density"][alive]), latents["when_active"][alive]
            first.hist(often, BINS, color=COLORS[0])
            first.axvline(np.log10(DENSE), color="black", linestyle=":", linewidth=1)
            first.set(title=f"{row['dead']:.1%} dead, {row['dense']:.1%} dense")
            first.set(xlabel="log10 of the share of tokens", ylabel=f"{tap}\nlatents")
            second.scatter(often, strong, s=2, alpha=0.4, color=COLORS[0], rasterized=True)
            second.set(title="mean when active", xlabel="log10 of the share of tokens")
            if (strong > 0).all():
                second.set_yscale("log")
            for color, (column, label) in zip(
                COLORS, {"coherence": "|cosine| of rows", "shared": "Jaccard of best images"}.items(), strict=False
            ):
                values = latents[column][np.isfinite(latents[column])]
                third.hist(values, BINS, range=(0, 1), histtype="step", color=color, label=label)
            third.set(title="with the latent most alike", xlabel="likeness", ylabel="latents")
            third.legend(fontsize=7)
        return figure

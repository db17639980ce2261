"""Tables of corruptions: errors by kind, and as shares of a baseline's, with standard errors over images."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from jaxtyping import Float

from vitjax.analysis.ablations.accuracy import Outcome
from vitjax.analysis.perturbed.corrupt.kinds import KINDS
from vitjax.analysis.study.findings import Value

Setting = tuple[str, int]  # kind and severity
Outcomes = Mapping[Setting, Outcome]
Errors = tuple[Float[np.ndarray, " image"], Float[np.ndarray, "image kind severity"]]  # as they are, and corrupted
CLEAN: Setting = ("clean", 0)

# AlexNet's top-1 errors on ImageNet-C, means over severities, from github.com/hendrycks/robustness: a mean corruption
# error of 1 by definition. Its photographs of frost and second JPEG are not what is measured here.
ALEXNET = dict(
    zip(
        KINDS,
        (
            *(0.886428, 0.894468, 0.922640),
            *(0.819880, 0.826268, 0.785948, 0.798360),
            *(0.866816, 0.826572, 0.819324, 0.564592),
            *(0.853204, 0.646056, 0.717840, 0.606500),
        ),
        strict=True,
    )
)
ROUNDING = 1e-9  # of a difference of errors


def wrong(outcomes: Outcomes, kinds: Sequence[str], severities: Sequence[int]) -> Errors:
    """Whether each image's first class is not its own: as it is, and under every kind and severity."""
    missed = {setting: (outcome.rank > 0).astype(float) for setting, outcome in outcomes.items()}
    return missed[CLEAN], np.stack([np.stack([missed[kind, s] for s in severities], -1) for kind in kinds], 1)


def rows_by_kind(
    errors: Errors,
    baseline: Errors | Float[np.ndarray, "kind severity"] | None,
    kinds: Sequence[str],
    severities: Sequence[int],
) -> list[dict[str, Value]]:
    """A row for the images as they are, one for each kind, and one of means over them, see `corruptions.run`.

    Args:
        errors: of the model.
        baseline: of the same images; or published errors, of which relative ones are not known.
        kinds, severities: of the last axes.
    """
    clean, part = errors
    count, by_kind = len(clean), part.mean(axis=2)
    columns = [*(f"wrong_{severity}" for severity in severities), "wrong", "wrong_error"]
    spread = lambda values: float(values.std() / np.sqrt(count))
    row = lambda kind, group, values: (
        {"kind": kind, "group": group, "images": count} | dict(zip(columns, values, strict=True))
    )
    rows = [row(*CLEAN[:1], "", [*[None] * len(severities), float(clean.mean()), spread(clean)])]
    for place, kind in enumerate(kinds):
        each = [*map(float, part[:, place].mean(axis=0)), float(by_kind[:, place].mean()), spread(by_kind[:, place])]
        rows.append(row(kind, KINDS[kind].group, each))
    means = part.mean(axis=1)
    rows.append(row("mean", "", [*map(float, means.mean(axis=0)), float(means.mean()), spread(means.mean(axis=1))]))
    if baseline is not None:
        for one, more in zip(rows, _against(errors, baseline), strict=True):
            one.update(more)
    return rows


def _against(errors: Errors, baseline: Errors | np.ndarray) -> Iterator[dict[str, Value]]:
    """What a baseline adds to the rows."""
    clean, part = errors
    known = isinstance(baseline, tuple)
    base_clean, base = baseline if known else (None, np.broadcast_to(baseline, part.shape))
    columns = ("baseline_wrong", "ce", "ce_error", "relative_ce", "relative_ce_error")
    row = lambda *values: {
        name: float(value) if np.isfinite(value) else None for name, value in zip(columns, values, strict=True)
    }
    yield row(base_clean.mean() if known else np.nan, *[np.nan] * 4)
    shares = ratios(part.mean(axis=2), base.mean(axis=2))
    added = lambda corrupt, whole: corrupt.mean(axis=2) - whole[:, None]
    unknown = np.full((2, part.shape[1] + 1), np.nan)
    relative = ratios(added(part, clean), added(base, base_clean)) if known else unknown
    whole = base.mean(axis=(0, 2))
    for numbers in zip([*whole, whole.mean()], *shares, *relative, strict=True):
        yield row(*numbers)


def ratios(
    part: Float[np.ndarray, "image kind"], whole: Float[np.ndarray, "image kind"]
) -> Float[np.ndarray, "2 kinds"]:
    """Divides means over images, kind by kind, and at the end takes the mean of that over kinds; with standard errors.

    Both are of the same images, whose luck they share: errors are those of ratios of means over one sample (Cochran,
    Sampling Techniques, 3rd edition, section 2.11). NaN where a mean of `whole` is not above 0, but for rounding: there
    is nothing to be a share of.
    """
    base = whole.mean(axis=0)
    base = np.where(base > ROUNDING, base, np.nan)
    ratio = part.mean(axis=0) / base
    off = (part - ratio * whole) / base
    off = np.c_[off, off.mean(axis=1)]
    return np.stack([np.append(ratio, ratio.mean()), np.sqrt((off**2).mean(axis=0) / len(part))])


def rows_by_severity(found: Mapping[str, Outcomes]) -> list[dict[str, Value]]:
    """A row for each model, kind and severity: top-1, top-5, loss and what top-1 loses, image by image."""
    return [
        {"model": name, "kind": kind, "severity": severity} | outcome.row(outcomes[CLEAN])
        for name, outcomes in found.items()
        for (kind, severity), outcome in outcomes.items()
    ]

"""Queries, keys and values beside feed-forward neurons: which units, how fine their pictures are."""

from dataclasses import replace

import jax
import numpy as np
import pytest

from tests.support import noise, small
from tests.support.plain import PLAIN
from vitjax.analysis.ablations.frequency import radial_spectrum
from vitjax.analysis.units.attention_features import KINDS, high_frequency, run
from vitjax.errors import InputError
from vitjax.optimize.recipes import choose

QUICK = choose("default", steps=2, **PLAIN)
MODEL = noise.model(replace(small.CONFIG, depth=2))
SPECTRUM = jax.jit(radial_spectrum)


def wave(cycles: int, side: int = 32) -> np.ndarray:
    """An image that is a wave of so many cycles across, [1, h, w, 3]."""
    line = 0.5 + 0.5 * np.cos(2 * np.pi * cycles * np.arange(side) / side)
    return np.broadcast_to(line[None, None, :, None], (1, side, side, 3)).astype(np.float32)


@pytest.mark.parametrize(("cycles", "share"), [(1, 0), (8, 0), (9, 1), (15, 1)])
def test_fine_is_what_lies_beyond_half_of_nyquist(cycles, share):
    assert high_frequency(SPECTRUM(wave(cycles)))[0] == pytest.approx(share, abs=1e-5)


def test_equal_energies_count_equally_and_the_mean_colour_does_not():
    both = high_frequency(SPECTRUM(wave(2) + wave(12)))[0]
    assert both == pytest.approx(0.5, abs=0.03)  # the ring at 2 cycles has 12 frequencies, not 4 pi
    assert high_frequency(SPECTRUM(wave(2) + wave(12) + 7))[0] == pytest.approx(both, rel=1e-3)
    white = np.random.default_rng(0).normal(size=(4, 64, 64, 3)).astype(np.float32)
    assert high_frequency(SPECTRUM(white)).mean() == pytest.approx(0.75, abs=0.02)  # of a disk's area


@pytest.mark.exhaustive
def test_every_kind_has_its_units(tmp_path):
    findings = run(MODEL, noise.dataset(3, 2, MODEL.config), blocks=[1], count=2, recipe=QUICK)
    assert [(row["kind"], row["block"]) for row in findings.rows[::2]] == [(kind, 1) for kind in KINDS]
    assert len({row["unit"] for row in findings.rows}) == 8
    assert all(row["unit"].startswith(f"blocks.1.{KINDS[row['kind']]}:") for row in findings.rows)
    assert all(0 < row["high_frequency"] < 1 for row in findings.rows)
    assert len(findings.figures[""].axes[0].images) == 8
    assert findings.settings["photographs"] == 3
    findings.save(tmp_path)


def test_a_block_that_is_not_there():
    with pytest.raises(InputError, match="block 4 is out of range, this model has 2"):
        run(MODEL, noise.dataset(2, 2, MODEL.config), blocks=[4], recipe=QUICK)

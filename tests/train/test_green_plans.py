"""Masks as data: visible units, windows, packing into groups, banks. E numbers are those of the specification."""

from itertools import combinations, islice

import numpy as np
import pytest

from tests.support import green
from vitjax.errors import InputError
from vitjax.models.core.config import Rotary, ViTConfig
from vitjax.models.hierarchical.pvt import PvtConfig
from vitjax.models.hierarchical.swin import SwinConfig
from vitjax.models.hierarchical.twins import TwinsConfig
from vitjax.models.parts.windows import Windows
from vitjax.train.green.bank import Packing, bank, draw, visible_units
from vitjax.train.green.geometry import Geometry, windows_of
from vitjax.train.green.layout import Plan, places
from vitjax.train.green.packing import PACKERS, best_fit, cost, greedy, swept

SWIN = Geometry.of(SwinConfig())


def loads(count: int, cut: Windows | None = None, seed: int = 0) -> list[list[int]]:
    """How many visible tokens the windows of a Swin at 224 pixels have, for some masks; default stage 1, no shift."""
    cut, found = cut or SWIN.stages[0].cuts[0], []
    windows, side = windows_of(cut).reshape(cut.grid), cut.grid[0] // 7
    for units in islice(draw(49, 12, seed), count):
        there = np.zeros(49, bool)
        there[units] = True
        of = np.bincount(windows[there.reshape(7, 7).repeat(side, 0).repeat(side, 1)])
        found.append(of[of > 0].tolist())
    return found


def test_e1_a_quarter_of_49_units_is_visible_and_all_tokens_of_it():
    layout, plans = bank(SWIN, 0.75, 5, Packing())
    assert layout.visible == 12 and SWIN.unit == (32, 32) and plans.drawn.shape == (5, 12)
    units = np.sort(plans.drawn[0])
    for stage, side, tokens in zip(SWIN.stages, (8, 4, 2, 1), (768, 192, 48, 12), strict=True):
        rows, columns = places(stage, units, SWIN)
        assert len(set(zip(rows.tolist(), columns.tolist(), strict=True))) == len(rows) == tokens
        assert (7 * (rows // side) + columns // side == units.repeat(side * side)).all()


def test_masks_are_drawn_without_favour():
    drawn = np.stack(list(islice(draw(49, 12, 0), 4000)))
    assert abs(np.bincount(drawn.ravel(), minlength=49) / 4000 - 12 / 49).max() < 0.03


@pytest.mark.parametrize(("side", "size", "shift"), [(56, 7, 3), (28, 7, 3), (14, 7, 3), (56, 14, 7), (28, 14, 7)])
def test_e2_windows_are_those_of_a_cyclic_shift_with_regions(side, size, shift):
    row, column = np.indices((side, side)).reshape(2, -1)
    for moved in (0, shift):
        found = windows_of(Windows((side, side), (size, size), (moved, moved)))
        whole = lambda at, moved=moved: (at + (size - moved) % size) // size
        due = 1000 * whole(row) + whole(column)
        assert len(np.unique(found)) == len(np.unique(due)) == len(np.unique(10_000 * found + due))


@pytest.mark.parametrize("kind", PACKERS)
def test_e5_packing_holds_each_window_once_within_the_size(kind):
    for found in loads(20):
        groups = PACKERS[kind](found, 49)
        assert sorted(window for group in groups for window in group) == list(range(len(found)))
        assert all(0 < sum(found[window] for window in group) <= 49 for group in groups)


@pytest.mark.parametrize("packing", [Packing(), Packing("greedy"), Packing(size=20, stages=(True, True))])
def test_e5_groups_hold_each_token_once_and_windows_whole(packing):
    layout, plans = bank(Geometry.of(green.SWIN), 0.75, 3, packing)
    for stage, shapes in zip(green.stages(layout, plans, 2), layout.shapes, strict=True):
        for (cut, groups), shape in zip(stage.groups.items(), shapes, strict=True):
            windows = windows_of(cut)[np.asarray(stage.places)]
            if shape is None:
                assert (np.asarray(groups.together[0]) == (windows[:, None] == windows)).all()
                continue
            slots, back = np.asarray(groups.slots), np.asarray(groups.back)
            assert (slots[back] == np.arange(len(back))).all() and (slots >= 0).sum() == len(back)
            of_group = back // shape.size
            assert all(len(set(of_group[windows == window])) == 1 for window in set(windows))
            token = slots.reshape(shape)
            query, key = token[:, :, None], token[:, None, :]
            due = (windows[query] == windows[key]) & (query >= 0) & (key >= 0)
            assert (np.asarray(groups.together) == due).all()


def most(of: list[int], size: int) -> int:
    """The largest sum of some that is no more than the size, by trying all."""
    sums = [sum(some) for count in range(len(of) + 1) for some in combinations(of, count)]
    return max(total for total in sums if total <= size)


def test_e6_each_group_of_the_paper_is_as_full_as_can_be():
    rng = np.random.default_rng(0)
    for _ in range(500):
        left = rng.integers(1, 30, rng.integers(1, 11)).tolist()
        size = int(rng.integers(max(left), 60))
        groups = greedy(left, size)
        for group in groups[:2]:  # the later ones are of what is left
            assert sum(left[window] for window in group) == most(
                [of for window, of in enumerate(left) if window not in (groups[0] if group is not groups[0] else [])],
                size,
            )


def knapsack(weights: list[int], size: int) -> list[int]:
    """The paper's dynamic programme with its table, and the way back from the last window to the first."""
    table = np.zeros((len(weights) + 1, size + 1), int)
    for i, weight in enumerate(weights):
        table[i + 1] = table[i]
        table[i + 1, weight:] = np.maximum(table[i, weight:], weight + table[i, : size + 1 - weight])
    taken, room, value = [], size, table[-1, size]
    for i in reversed(range(len(weights))):
        if value and table[i, room] != value:
            taken.append(i)
            room, value = room - weights[i], value - weights[i]
    return taken[::-1]


def test_e6_the_greedy_packing_takes_the_sets_of_the_dynamic_programme():
    for of in loads(6, SWIN.stages[0].cuts[1]):
        left = list(range(len(of)))
        for group in greedy(of, 49):
            taken = [left[place] for place in knapsack([of[window] for window in left], 49)]
            assert group == taken
            left = [window for window in left if window not in taken]


def test_e6_best_fit_needs_no_more_groups_than_the_greedy_packing():
    found = loads(60)
    means = {pack: np.mean([len(pack(of, 49)) for of in found]) for pack in (best_fit, greedy)}
    assert means[best_fit] <= means[greedy] and 16 < means[best_fit] < 16.7 and 16.5 < means[greedy] < 17.5


@pytest.mark.parametrize("kind", PACKERS)
def test_e7_the_swept_size_costs_least_of_all(kind):
    pack = PACKERS[kind]
    for of in loads(3, SWIN.stages[1].cuts[0], 5):
        costs = {size: cost(len(pack(of, size)), size, 192) for size in range(max(of), sum(of) + 1)}
        found = swept(of, 192, pack)
        assert found == min(size for size in costs if costs[size] == min(costs.values()))


def test_a_bank_has_shapes_that_do_for_99_percent_of_masks():
    layout, plans = bank(SWIN, 0.75, 150, Packing())
    first, shifted = layout.shapes[0]
    assert first.size == shifted.size == 49 and 17 <= shifted.groups <= first.groups <= 19
    assert layout.shapes[2:] == ((None, None), (None,)) and all(len(starts) == 150 for starts in plans.starts)
    again = bank(SWIN, 0.75, 150, Packing())[1]
    assert isinstance(plans, Plan) and all((a == b).all() for a, b in zip(plans.starts, again.starts, strict=True))
    assert bank(SWIN, 0.75, 2, Packing("one-group"))[0].shapes == ((None, None),) * 3 + ((None,),)
    swept_size = bank(SWIN, 0.75, 20, Packing(size="swept"))[0].shapes[0][0].size
    assert 44 <= swept_size <= 60  # the paper's cost is least here, see the specification's table


def test_bad_settings_are_one_line():
    said = {
        "leaves none visible": lambda: visible_units(49, 0.99),
        "mask ratio 0 ": lambda: visible_units(49, 0),
        "did you mean greedy": lambda: Packing("gredy"),
        "group size is 'sweep'": lambda: Packing(size="sweep"),
        "do not hold a window of": lambda: bank(SWIN, 0.75, 3, Packing(size=20)),
        "2 stages are said": lambda: bank(SWIN, 0.75, 3, Packing(stages=(True, False))),
        "nearest: 224": lambda: Geometry.of(SwinConfig((228, 228))),
        "PvtConfig": lambda: Geometry.of(PvtConfig()),
        "by their positions": lambda: Geometry.of(ViTConfig(rotary=Rotary())),
        "3x3 tokens": lambda: Geometry.of(TwinsConfig(windows=(7,) * 4, reductions=(3, 4, 2, 1))),
    }
    for words, call in said.items():
        with pytest.raises(InputError, match=words):
            call()

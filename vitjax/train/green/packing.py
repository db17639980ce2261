"""Packs windows of unequal loads into groups of one size, so that attention within groups wastes little on filling.

A load is how many visible tokens a window has. A window is never split.
"""

from collections.abc import Callable, Sequence

Loads = Sequence[int]
Packed = list[list[int]]  # the numbers of the windows in each group


def best_fit(loads: Loads, size: int) -> Packed:
    """Gives each window, the fullest first, the fullest group that has room for it.

    Source: best fit decreasing (Johnson 1973). It needs fewer groups than `greedy`.
    """
    groups: Packed = []
    room: list[int] = []
    for window in sorted(range(len(loads)), key=lambda window: -loads[window]):
        fits = [group for group, left in enumerate(room) if left >= loads[window]]
        if not fits:
            groups.append([])
            room.append(size)
        group = min(fits, key=room.__getitem__, default=len(groups) - 1)
        groups[group].append(window)
        room[group] -= loads[window]
    return groups


def greedy(loads: Loads, size: int) -> Packed:
    """Fills one group after the other with the windows, of those that are left, whose loads sum up to most (the paper).

    Which of several such sets it is says the dynamic programme's way back, from the last window to the first: one is
    left out where the others make the sum without it.
    """
    groups, left = [], list(range(len(loads)))
    loads = list(map(int, loads))  # numpy's would not hold the sums
    while left:
        sums = [1]  # bit s: some of the first windows have sum s
        for window in left:
            sums.append(sums[-1] | sums[-1] << loads[window])
        wanted = (sums[-1] & ((1 << size + 1) - 1)).bit_length() - 1
        group = []
        for place in reversed(range(len(left))):
            if not sums[place] >> wanted & 1:
                group.append(left[place])
                wanted -= loads[left[place]]
        groups.append(group[::-1])
        left = [window for window in left if window not in group]
    return groups


PACKERS: dict[str, Callable[[Loads, int], Packed]] = {"best-fit": best_fit, "greedy": greedy}


def cost(groups: int, size: int, width: int) -> int:
    """Multiply-adds of attention in so many groups of tokens of so many channels, as the paper counts them."""
    return groups * (4 * size * width**2 + 2 * size**2 * width)


def swept(loads: Loads, width: int, pack: Callable[[Loads, int], Packed]) -> int:
    """The size of groups that costs least, the smallest of several: from the largest load to one group of all.

    Args:
        loads: of the windows, none 0.
        width: channels of a token.
        pack: one of `PACKERS`.
    """
    tokens, best, least = sum(loads), 0, None
    for size in range(max(loads), tokens + 1):
        if least is not None and cost(-(-tokens // size), size, width) >= least:
            continue  # even without filling
        found = cost(len(pack(loads, size)), size, width)
        if least is None or found < least:
            best, least = size, found
    return best

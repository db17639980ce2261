"""Plans an atlas: its batches, and what they take of a device and of a disk; nothing is painted or written."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from vitjax.atlas.job.job import even
from vitjax.atlas.plan.device import Device
from vitjax.atlas.plan.disk import Disk, on_disk
from vitjax.atlas.records import manifest
from vitjax.atlas.records.series import Series
from vitjax.models.core.network import Network
from vitjax.optimize.cost import picture_flops
from vitjax.optimize.memory import Room
from vitjax.optimize.recipes import Recipe
from vitjax.optimize.visualize import check
from vitjax.units.units import Unit


@dataclass(frozen=True)
class OfTap:
    """What the pictures for a tap take, those of all seeds.

    Attributes:
        tap: its name.
        pictures, batches: how many; a batch has all its slots at work, also where fewer pictures are left.
        operations: of one picture.
        seconds: of one batch; None where nothing tells.
    """

    tap: str
    pictures: int
    batches: int
    operations: float
    seconds: float | None


@dataclass(frozen=True)
class Plan:
    """What an atlas takes, or one host's part of it.

    Attributes:
        slots: pictures at once on a device.
        room: what a slot of the last tap takes, and how many fit.
        taps: those that have any pictures, in the order in which they are painted.
        disk: the size of the whole atlas.
    """

    slots: int
    room: Room
    taps: Sequence[OfTap]
    disk: Disk

    @property
    def operations(self) -> float:
        """Of all pictures."""
        return sum(one.pictures * one.operations for one in self.taps)

    @property
    def hours(self) -> float | None:
        """Of one device in the loop; None where nothing tells."""
        seconds = [one.seconds for one in self.taps]
        if None in seconds:
            return None
        return sum(one.batches * of_one for one, of_one in zip(self.taps, seconds, strict=True)) / 3600


def plan(
    model: Network,
    units: Sequence[Unit],
    recipe: Recipe,
    device: Device,
    *,
    seeds: Sequence[int] = (0,),
    slots: int = 0,
    shard: tuple[int, int] = (0, 1),
    photographs: int = 0,
) -> Plan:
    """Plans an atlas for a device.

    Args:
        model: whose units; shapes in place of its arrays do.
        units: by unit number, see `vitjax.atlas.job.job.chosen`.
        recipe, seeds: how pictures are made; one picture for each seed.
        device: that is to make them.
        slots: pictures at once; 0 for as many as would be taken there.
        shard: (i, n), the part of one host.
        photographs: how many stand beside the pictures.

    Raises:
        InputError: such an atlas cannot be made.
    """
    manifest.check(model, recipe)
    for seed in seeds:
        check(model, recipe, seed, units)
    room = device.room(units[-1].tap)
    slots = slots or even(units, min(room.most, device.useful()))
    size = tuple(model.config.image_size)
    made = [Series(f"seed-{seed}", recipe, seed, units, slots, size) for seed in seeds]
    batches = [batch for one in made for batch in one.batches[shard[0] :: shard[1]]]
    count, pictures = Counter(batch.tap for batch in batches), Counter()
    for batch in batches:
        pictures[batch.tap] += len(batch.goals)
    seconds = device.batches(list(count), slots)
    taps = [
        OfTap(tap, pictures[tap], number, picture_flops(model.config, tap, recipe), seconds.get(tap))
        for tap, number in count.items()
    ]
    return Plan(slots, room, taps, on_disk(model, units, len(seeds), photographs))


def told(plan: Plan, device: Device) -> str:
    """Says a plan in words and a table."""
    pictures, batches = (sum(getattr(one, name) for one in plan.taps) for name in ("pictures", "batches"))
    room = plan.room
    lines = [
        f"{pictures} pictures for units of {len(plan.taps)} taps, in {batches} batches of {plan.slots} slots",
        f"memory: {room.each / 1e6:.3g} MB a slot, {room.beside / 1e6:.3g} MB beside; {room.most} slots at most",
        f"{'tap':28} {'pictures':>8} {'batches':>7} {'TFLOP/picture':>13}"
        + ("" if plan.hours is None else f" {'s/batch':>8} {'hours':>8}"),
    ]
    for one in plan.taps:
        time = f" {one.seconds:8.4g} {one.batches * one.seconds / 3600:8.3g}" if one.seconds is not None else ""
        lines.append(f"{one.tap:28} {one.pictures:8} {one.batches:7} {one.operations / 1e12:13.4g}{time}")
    each = plan.operations / max(pictures, 1) / 1e12
    lines += [
        f"operations: {plan.operations / 1e15:.4g} PFLOP, {each:.3g} TFLOP a picture in the mean",
        device.said(plan.operations),
    ]
    if plan.hours is not None:
        lines.append(f"chip-hours in the loop: {plan.hours:.3g}")
    lines += [
        "not counted: passes over photographs, grades, pictures that are painted again, the page",
        plan.disk.said(),
    ]
    return "\n".join(lines)

"""Units in, pictures out: groups units by tap, fills batches of slots, runs the loop, shards it over local devices."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from vitjax.errors import InputError
from vitjax.models.vit import ViT
from vitjax.optimize import loop
from vitjax.optimize.objectives import targets, token_span
from vitjax.optimize.pictures import Pictures, join
from vitjax.optimize.recipes import Recipe, choose
from vitjax.optimize.units import Direction, Unit, check_tap, expand

Goal = Unit | Direction

# Slots optimised together on one device, where nothing else is asked: enough to fill it, few enough for its memory.
SLOTS = {"cpu": 4, "gpu": 32, "tpu": 32}


@dataclass(frozen=True)
class Progress:
    """Where a run stands: steps done of all batches, pictures finished, and the totals."""

    steps: int
    all_steps: int
    pictures: int
    all_pictures: int


def visualize(
    model: ViT,
    units: str | Goal | Iterable[str | Goal],
    recipe: str | Recipe = "default",
    *,
    seed: int = 0,
    batch: int | None = None,
    **changes,
) -> Pictures:
    """Makes a picture for every unit.

    Args:
        model: from `vitjax.load`.
        units: unit sets such as "blocks.6.mlp.hidden:0-63", `Unit`s, `Direction`s, or a list of them.
        recipe: a recipe's name or a `Recipe`; `changes` replace fields of it, e.g. `steps=200`.
        seed: a unit's picture depends on this and on the unit, not on the other units.
        batch: slots optimised together on each device; the last batch is padded.

    Returns:
        Pictures in the order of the units: `.images` uint8 [slot, h, w, 3], `.activation`, `.units`, `.history`.

    Raises:
        InputError: unknown taps, indices out of range, unknown recipes or fields.
    """
    goals = resolve(model, units)
    parts = list(paint(model, goals, choose(recipe, **changes), seed=seed, batch=batch))
    return join(parts, goals)


def resolve(model: ViT, units: str | Goal | Iterable[str | Goal]) -> list[Goal]:
    """Expands whatever names units into `Unit`s and `Direction`s, each once, checked against the model's taps."""
    taps = model.taps()
    given = [units] if isinstance(units, str | Unit | Direction) else list(units)
    goals: list[Goal] = []
    for one in given:
        if isinstance(one, Direction):
            check_tap(one.tap, taps)
            goals.append(one)
        else:
            goals += expand(str(one), taps)
    if not goals:
        raise InputError("no units given; name some, e.g. blocks.5.mlp.hidden:0-15")
    return list({str(goal): goal for goal in goals}.values())


def paint(
    model: ViT,
    goals: Sequence[Goal],
    recipe: Recipe,
    *,
    seed: int = 0,
    batch: int | None = None,
    chunk: int = 25,
    remat: bool = False,
    progress: Callable[[Progress], None] = lambda _: None,
) -> Iterator[Pictures]:
    """Optimises the goals batch by batch and yields the pictures of each batch as it is finished.

    Batches hold goals of one tap. Every device runs the same program on `batch` slots and exchanges nothing with
    the others; `progress` is called after every chunk of steps.
    """
    if not 0 <= seed < 2**32:
        raise InputError(f"seed is {seed}, it must be a whole number from 0 to {2**32 - 1}")
    token_span(recipe.tokens, model.config)  # a mistake in it is said before anything starts
    taps = model.taps()
    mesh = jax.make_mesh(
        (jax.local_device_count(),), ("slot",), axis_types=(AxisType.Auto,), devices=jax.local_devices()
    )
    whole, by_slot = NamedSharding(mesh, PartitionSpec()), NamedSharding(mesh, PartitionSpec("slot"))
    model = jax.device_put(model, whole)
    groups = _groups(goals)
    per_device = batch or min(SLOTS[jax.default_backend()], -(-max(map(len, groups)) // mesh.size))
    batches = [
        group[i : i + per_device * mesh.size] for group in groups for i in range(0, len(group), per_device * mesh.size)
    ]
    done = 0
    for number, members in enumerate(batches):
        program = loop.program(recipe, members[0].tap, chunk, remat)
        padded = [*members, *[members[-1]] * (per_device * mesh.size - len(members))]
        aims = loop.Targets(
            jax.device_put(targets(padded, taps[program.tap]), by_slot),
            jax.device_put(np.array([goal.hash for goal in padded], np.uint32), by_slot),
            jax.device_put(jnp.uint32(seed), whole),
        )
        slots = loop.start(model, aims, recipe=program.recipe, mesh=mesh)
        history = []
        for call in range(1, program.calls + 1):
            slots, happened = loop.advance(model, slots, aims, program=program, mesh=mesh)
            history.append(jax.block_until_ready(happened))
            steps = min(call * program.chunk, recipe.steps) + number * recipe.steps
            progress(Progress(steps, len(batches) * recipe.steps, done, len(goals)))
        images, activation = loop.finish(model, slots, aims, program=program, mesh=mesh)
        done += len(members)
        progress(Progress((number + 1) * recipe.steps, len(batches) * recipe.steps, done, len(goals)))
        count = len(members)
        yield Pictures(
            images=np.asarray(images)[:count],
            units=list(members),
            activation=np.asarray(activation)[:count],
            history={
                key: np.concatenate([np.asarray(getattr(part, key)) for part in history])[: recipe.steps, :count].T
                for key in loop.History._fields
            },
            recipe=recipe,
            seed=seed,
            model=asdict(model.card) if model.card else {},
            batch=per_device,
        )


def _groups(goals: Sequence[Goal]) -> list[list[Goal]]:
    groups: dict[tuple[str, type], list[Goal]] = {}
    for goal in goals:
        groups.setdefault((goal.tap, type(goal)), []).append(goal)
    return list(groups.values())

"""Makes a picture for every unit: expands unit sets, groups them into batches, has these painted and joins them."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import jax

from vitjax.errors import InputError
from vitjax.models.core.execution import PLAIN, Execution
from vitjax.models.core.network import Network
from vitjax.optimize.beside.watch import NOTHING, Watch
from vitjax.optimize.memory import useful_slots
from vitjax.optimize.objectives import Goal, objective_of
from vitjax.optimize.photographs.starts import Beginnings, photographs, whole
from vitjax.optimize.recipes import Recipe, choose
from vitjax.optimize.results.pictures import Pictures, join
from vitjax.optimize.schedule.batches import batches_of, fewest, meter_of
from vitjax.optimize.workers import Starts, Task, run
from vitjax.progress import Bar, Meter, News, watched
from vitjax.ranges import COUNT, SEED
from vitjax.units.algebra import Sum, is_goal
from vitjax.units.in_files import attached
from vitjax.units.select import token_span
from vitjax.units.spelled import goals_of
from vitjax.units.units import Unit, check_tap, expand

# Slots optimised together on one device, where nothing else is asked: enough to fill it, few enough for its memory.
# On TPUs see `useful_slots`.
SLOTS = {"cpu": 4, "gpu": 32}


@dataclass(frozen=True)
class Progress:
    """Where a run stands: pictures that are finished, of how many, and how their steps go, compiling with them.

    `meter` counts steps by what they take, those at the model's own size as one.
    """

    pictures: int
    all_pictures: int
    meter: Meter


def visualize(
    model: Network,
    units: str | Goal | Iterable[str | Goal],
    recipe: str | Recipe = "default",
    *,
    seed: int = 0,
    batch: int | None = None,
    starts: Any = None,
    frames: int = 0,
    spacing: str = "even",
    alpha: bool = False,
    **changes,
) -> Pictures:
    """Makes a picture for every unit.

    Args:
        model: from `vitjax.load`.
        units: unit sets such as "blocks.6.mlp.hidden:0-63", `Unit`s, `Direction`s, or a list of them; units of a file
            of directions are "directions.npz:0-3".
        recipe: a recipe's name or a `Recipe`; `changes` replace fields of it, e.g. `steps=200`.
        seed: a unit's picture depends on this and on the unit, not on the other units.
        batch: slots optimised together on each device; the last batch is padded.
        starts: photographs that pictures begin with in place of noise, one for all units or one for each: a path, an
            image, or several (`vitjax.optimize.photographs.starts`). All stages are then at the whole size.
        frames: so many pictures of the optimisation are kept, from the start to the finished one.
        spacing: of the frames: "even" in steps, or "log", most of them early.
        alpha: whether it is kept where on each picture its activation came from.

    Returns:
        Pictures in the order of the units, variants after each other: `.images` uint8 [slot, h, w, channel],
        `.activation`, `.units`, `.history`, and, where asked for, `.frames`, `.alpha`.

    Raises:
        InputError: unknown taps, indices out of range, unknown recipes or fields; photographs that cannot be read.
    """
    model, units = attached(model, units)
    goals, recipe, watch = resolve(model, units), choose(recipe, **changes), Watch(frames, spacing, alpha)
    begun = None
    if starts is not None:
        recipe, begun = whole(recipe), Beginnings(photographs(model, starts), tuple(goals))
    with drawing(watched()) as show:
        parts = list(paint(model, goals, recipe, seed=seed, batch=batch, starts=begun, watch=watch, progress=show))
    return join(parts, varied(goals, recipe))


@contextmanager
def drawing(wanted: bool = True) -> Iterator[Callable[[Progress], None]]:
    """Draws a bar of painting, to be handed to `paint` as its `progress`; none if it is not wanted."""
    with ExitStack() as closing:
        bar: Bar | None = None

        def show(now: Progress) -> None:
            nonlocal bar
            if bar is None:
                bar = closing.enter_context(Bar("painting", now.all_pictures, "picture", now.meter, hourly=True))
            bar.show(now.pictures)

        yield show if wanted else lambda _: None


def resolve(model: Network, units: str | Goal | Iterable[str | Goal]) -> list[Goal]:
    """Expands whatever names units into `Unit`s and `Direction`s, each once, checked against the model's taps."""
    if not isinstance(model, Network):
        what = repr(model) if model is None or isinstance(model, str) else f"something of type {type(model).__name__}"
        raise InputError(f"{what} is no model: load one, e.g. vitjax.load('demo')")
    taps = model.taps()
    given = [units] if isinstance(units, str) or not isinstance(units, Iterable) else list(units)
    given = attached(model, given)[1]
    goals: list[Goal] = []
    for one in given:
        if isinstance(one, str):
            goals += goals_of(one, taps, model.class_names)
            continue
        if not hasattr(one, "objective") and (isinstance(one, Unit) or not is_goal(one)):
            goals += expand(one, taps, model.class_names)
            continue
        objective = objective_of(one)
        for tap in objective.taps:
            check_tap(tap, taps)
        objective.check(model)
        objective.numbers([one], taps)  # a mistake in them is said before anything starts
        goals.append(one)
    if not goals:
        raise InputError("no units given; name some, e.g. blocks.5.mlp.hidden:0-15")
    named = {}
    for goal in goals:
        if isinstance(goal, Sum) and not any(term.weight for term in goal.terms):
            raise InputError(f"nothing is left of {goal}: all its weights are 0")
        if (other := named.setdefault(str(goal), goal)) is not goal and other != goal:
            raise InputError(f"two goals are called {goal}: give them different names")
    return list(named.values())


def paint(
    model: Network,
    goals: Sequence[Goal],
    recipe: Recipe,
    *,
    seed: int = 0,
    batch: int | None = None,
    execution: Execution = PLAIN,
    starts: Starts | None = None,
    watch: Watch = NOTHING,
    progress: Callable[[Progress], None] = lambda _: None,
) -> Iterator[Pictures]:
    """Optimises the goals batch by batch on all local devices and yields the pictures of each batch when it is done.

    `starts` gives the images that goals begin with, in place of noise, `watch` what is kept of the way. `progress` is
    called after every chunk of steps and every batch.
    """
    goals, seed = varied(goals, recipe), check(model, recipe, seed, goals)
    usual = SLOTS.get(here := jax.default_backend()) or useful_slots(model, recipe, here)
    counts = Counter(map(objective_of, goals)).values()
    slots = fewest(counts, usual) if batch is None else COUNT.check("batch", batch)
    batches = batches_of(goals, -(-slots // recipe.together) * recipe.together)
    meter = meter_of(model.config, recipe, batches)
    done = 0

    def tell(news: News) -> None:
        meter.hear(news)
        progress(Progress(done, len(goals), meter))

    tell(News())
    task = Task(model, recipe, seed, execution=execution, starts=starts, watch=watch)
    with closing(run(task, batches, told=tell)) as running:
        for painted in running:
            done += len(painted.pictures)
            tell(News())
            reached = dict(zip(map(str, painted.batch.goals), painted.pictures.activation.tolist(), strict=False))
            if lost := next((goal for goal, value in reached.items() if not math.isfinite(value)), None):
                raise InputError(f"{lost}: its activation has become {reached[lost]}, which nothing can be made for")
            cards = starts.cards(painted.batch.goals) if isinstance(starts, Beginnings) else None
            yield replace(painted.pictures, starts=cards)


def varied(goals: Sequence[Goal], recipe: Recipe) -> list[Goal]:
    """Every goal with all variants that the recipe has of a picture, these after each other."""
    if recipe.variants == 1:
        return list(goals)
    found = (replace(goal, variant=number) for goal in goals for number in range(recipe.variants))
    named = {str(goal): goal for goal in found}
    if len(named) < len(goals) * recipe.variants and len({goal.variant for goal in goals}) == 1:
        raise InputError(f"{goals[0]}: the name of a goal must tell its variants apart")
    return list(named.values())


def check(model: Network, recipe: Recipe, seed: int, goals: Iterable[Goal]) -> int:
    """Says before anything starts what is wrong with a recipe or seed for these goals; gives the seed."""
    seed = SEED.check("seed", seed)
    goals = list(goals)
    rows = [goals[i : i + recipe.row] for i in range(0, len(goals), recipe.row) if recipe.row > 1]
    if torn := [row for row in rows if len(row) < recipe.row or len({objective_of(goal) for goal in row}) > 1]:
        raise InputError(f"{torn[0][0]}: a row is of {recipe.row} goals that read the same taps in the same way")
    sites = model.taps()
    placed = (site for site in sites.values() if site.places)
    stand_in = max(placed, key=lambda site: site.class_token)  # of taps without places: with a class token, if any has
    seen = min([recipe.seen if stage.seen is None else stage.seen for stage in recipe.stages] or [recipe.seen])
    for tap in {tap: None for goal in goals for tap in objective_of(goal).taps}:
        token_span(recipe.tokens, sites[tap] if sites[tap].places else stand_in)
        if seen < 1 and {"query", "key"} & set(sites[tap].axes):
            raise InputError(f"recipe: seen={seen} leaves out tokens that a unit of {tap} is of; use seen=1")
    if seen < 1 and (placed := next((goal for goal in goals if objective_of(goal).still), None)):
        raise InputError(f"recipe: seen={seen} leaves out places that {placed} means; use seen=1")
    if seen < 1 and "tokens" not in model.facts:
        raise InputError(f"recipe: seen={seen} leaves tokens out, but this model has none; use seen=1")
    return seed

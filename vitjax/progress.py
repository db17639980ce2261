"""Bars, on the terminal and in notebooks, that name what is going on, and rates of the work without what prepares it.

Compiling is a phase with a name; it counts neither as work nor in a rate, but in the time that is left.
"""

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

FORM = "{desc}: {percentage:3.0f}%|{bar}| {elapsed}{postfix}"
COMPILING = "compiling"


class News(NamedTuple):
    """What a worker says of itself.

    Attributes:
        work: how much it did since it last said something, in a unit of the job's; below 0 where it does it again.
        seconds: that this took; 0 if that is not known, as where it was compiled meanwhile.
        compiling: the name of what it begins to compile; empty if it does not.
        compiled: the seconds that compiling took, when it has ended.
    """

    work: float = 0
    seconds: float = 0
    compiling: str = ""
    compiled: float = 0


@dataclass
class Meter:
    """Counts how far a job is, how fast it goes and how long it will take.

    Attributes:
        work: all there is to do, in whatever takes the same time for each.
        programs: how many are compiled on the way.
        workers: how many are at work side by side.
        done, timed, seconds: work that is done, that whose time is known, and that time, of all workers together.
        compiled, compiling: programs that were compiled, and the seconds that it took.
        doing: what is being compiled, or nothing.
    """

    work: float
    programs: int = 0
    workers: int = 1
    done: float = 0
    timed: float = 0
    seconds: float = 0
    compiled: int = 0
    compiling: float = 0
    doing: str = ""

    def hear(self, news: News) -> None:
        """Takes note of what a worker says."""
        self.done += news.work
        self.doing = news.compiling
        if news.seconds:
            self.timed, self.seconds = self.timed + news.work, self.seconds + news.seconds
        if news.compiled:
            self.compiled, self.compiling = self.compiled + 1, self.compiling + news.compiled

    @property
    def rate(self) -> float:
        """Work in a second by all workers while they work; 0 while that is not known."""
        return self.workers * self.timed / self.seconds if self.seconds else 0

    @property
    def left(self) -> float | None:
        """Seconds that it will still take, those of programs to be compiled with them; None while that is not known."""
        if not self.rate:
            return None
        each = self.compiling / self.compiled if self.compiled else 0
        return (self.work - self.done) / self.rate + max(0, self.programs - self.compiled) * each / self.workers


class Bar:
    """A bar of a job: its phase, how much of it is done, pieces of which there are `total`, and their rate.

    Args:
        name: of the job, which is what is going on where nothing else is said.
        total: pieces of it, 0 if that is not known.
        unit: what a piece is.
        meter: of its work; by default a piece is a piece of work.
        hourly: say the rate in pieces an hour rather than a second.
    """

    def __init__(self, name: str, total: int, unit: str, meter: Meter | None = None, hourly: bool = False):
        self.name, self.total, self.unit, self.pieces, self.hourly = name, total, unit, 0, hourly
        self.meter = meter or Meter(total)
        from tqdm.auto import tqdm  # a notebook's own where there is one

        form = {"bar_format": FORM} if total else {"bar_format": "{desc}: {elapsed}{postfix}"}
        self.drawn = tqdm(total=self.meter.work or None, desc=name, dynamic_ncols=True, **form)
        self.show()

    def hear(self, news: News) -> None:
        """Moves by what a worker says."""
        self.meter.hear(news)
        self.show()

    def did(self, pieces: int, seconds: float = 0) -> None:
        """Counts pieces that are whole and are all the work there is, and the seconds that they took, if known."""
        self.pieces += pieces
        self.hear(News(pieces, seconds))

    def show(self, pieces: int | None = None) -> None:
        """Draws what the meter says, and how many pieces are whole by now."""
        meter, self.pieces = self.meter, self.pieces if pieces is None else pieces
        said = [f"{self.pieces:,} of {self.total:,} {self.unit}s" if self.total else f"{self.pieces:,} {self.unit}s"]
        if meter.rate and self.total:
            rate = meter.rate * self.total / meter.work * (3600 if self.hourly else 1)
            said.append(f"{rate:,.0f} an hour" if self.hourly else f"{rate:,.{0 if rate >= 10 else 1}f} a second")
        if meter.left is not None and meter.done < meter.work:
            said.append(f"{spelled(meter.left)} left")
        changed = (what := f"{COMPILING} {meter.doing}" if meter.doing else self.name) != self.drawn.desc
        self.drawn.set_description_str(what, refresh=False)
        self.drawn.set_postfix_str(", ".join(said), refresh=False)
        self.drawn.update(meter.done - self.drawn.n)
        if changed:  # nothing else may be heard for a while
            self.drawn.refresh()

    def write(self, line: str) -> None:
        """Prints a line above the bar."""
        self.drawn.write(line)

    def close(self) -> None:
        """Ends it, with what was done in how long."""
        self.drawn.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def images(name: str) -> Callable[[Iterable[Any], Any], Iterator[Any]]:
    """What draws a bar around the batches of a pass over images: the `progress` of a data set.

    While the first batch is out, what it is for is compiled, as a rule: that is said, and is in no rate. Images are
    counted, not the places of batches.
    """

    def progress(batches: Iterable[Any], total: Any) -> Iterator[Any]:
        called = ", ".join(filter(None, (name, getattr(total, "name", ""))))
        known, first, begun = getattr(total, "images", total), True, 0.0
        with Bar(called or "images", known, "image") as bar:
            for batch in batches:
                if first:
                    bar.hear(News(compiling=called or "what runs on images"))
                yield batch
                now = time.perf_counter()
                held = int((batch.place >= 0).sum()) if hasattr(batch, "place") else known // total
                bar.did(held, 0 if first else now - begun)
                first, begun = False, now

    return progress


def watched() -> bool:
    """Whether somebody watches what is printed while Python runs: in a notebook, or at a terminal."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return "IPKernelApp" in getattr(shell, "config", ()) or (sys.stderr is not None and sys.stderr.isatty())


def spelled(seconds: float) -> str:
    """Writes a span of time: `8 s`, `4 min`, `2 h 05 min`."""
    whole = round(seconds)
    if whole < 90:
        return f"{whole} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02} min"

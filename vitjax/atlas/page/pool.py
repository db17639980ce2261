"""Does pieces of work in threads that never run far ahead, and gives the results in order."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item, Result = TypeVar("Item"), TypeVar("Result")


class Pool:
    """Threads with a short queue; an error in a piece of work is raised by the next call. Leaving waits for the rest,
    or, on an error, drops what has not begun."""

    def __init__(self, workers: int):
        self._threads = ThreadPoolExecutor(workers)
        self._ahead = 2 * workers
        self._begun: deque[Future] = deque()

    def each(self, work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """Gives the results of `work` on each item, in the order of the items."""
        begun: deque[Future] = deque()
        for item in items:
            begun.append(self._threads.submit(work, item))
            if len(begun) > self._ahead:
                yield begun.popleft().result()
        while begun:
            yield begun.popleft().result()

    def later(self, work: Callable[..., None], *arguments: object) -> None:
        """Has a piece of work done whose result nobody wants; waits where too many are queued."""
        self._begun.append(self._threads.submit(work, *arguments))
        while len(self._begun) > self._ahead:
            self._begun.popleft().result()

    def settle(self) -> None:
        """Waits until all that was to be done later is done."""
        while self._begun:
            self._begun.popleft().result()

    def __enter__(self) -> "Pool":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._threads.shutdown(wait=True, cancel_futures=kind is not None)
        if kind is None:
            self.settle()

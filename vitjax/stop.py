"""Stops a run of an atlas that SIGTERM asked to: `Stop.here` leaves where all that is finished is in the store.

Whoever stops a run raises `Stopped`, after what is finished was put into the store; nothing else ends one early on
request. The loops below the atlas are given `Stop.asked` as their `enough`: the workers then begin no further batch,
and the pass over photographs raises `Stopped` itself.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event

from vitjax.errors import Stopped


@dataclass(frozen=True)
class Stop:
    """Whether a run was asked to stop.

    Attributes:
        asked: set by whoever asks.
    """

    asked: Event = field(default_factory=Event)

    def here(self) -> None:
        """Leaves, if that was asked for: called where everything that is finished is in the store.

        Raises:
            Stopped: it was.
        """
        if self.asked.is_set():
            raise Stopped


@contextmanager
def stopped_by_signals() -> Iterator[Stop]:
    """Gives a `Stop` that SIGTERM asks for, as a scheduler sends it before it takes the machine away.

    From here on Ctrl-C is an exception, if it ended the process at once before (`vitjax.__main__`).
    """
    stop = Stop()
    before = signal.signal(signal.SIGTERM, lambda *_: stop.asked.set())
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGTERM, before)

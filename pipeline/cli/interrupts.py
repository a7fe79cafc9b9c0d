"""Ctrl-C and SIGTERM: remembered, and raised until the way out is reached; standard library only.

Compiled code and broad `except`s swallow a KeyboardInterrupt, or wrap it in an error of their own. So it is raised
again each second, and whoever sees an error come out asks here whether a signal is behind it.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_AGAIN_SECONDS = 1.0
_WORDS = {signal.SIGINT: "Interrupted", signal.SIGTERM: "Terminated by SIGTERM"}


class Stop:
    """What a signal has asked for.

    Attributes:
        signal: The first that came; None if none has.
        leaving: Whether the way out is reached: then signals are ignored, so that nothing cuts the clean-up short.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forgets what was before."""
        self.signal: signal.Signals | None = None
        self.leaving = False

    def __str__(self) -> str:
        return _WORDS[self.signal] if self.signal else ""

    @property
    def exit_code(self) -> int:
        """As shells have it."""
        return 128 + (self.signal or 0)

    def leave(self) -> None:
        """Tells that this is the way out."""
        self.leaving = True

    def check(self) -> None:
        """Raises what has been swallowed.

        Raises:
            KeyboardInterrupt: A signal has come.
        """
        if self.signal:
            raise KeyboardInterrupt

    def _receive(self, number: int, frame: FrameType | None) -> None:
        # Further ones do not raise at once: somebody who is impatient would break into the `finally`s.
        if self.signal or self.leaving:
            return
        self.signal = signal.Signals(number)
        signal.setitimer(signal.ITIMER_REAL, _AGAIN_SECONDS, _AGAIN_SECONDS)
        raise KeyboardInterrupt

    def _again(self, number: int, frame: FrameType | None) -> None:
        if self.signal and not self.leaving:
            raise KeyboardInterrupt


# That of the command that runs; signals are the process's, so there is one.
stop = Stop()


@contextmanager
def remembered() -> Iterator[Stop]:
    """Remembers SIGINT and SIGTERM in `stop`, and raises KeyboardInterrupt for them; in the main thread alone."""
    stop.reset()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    handlers = {**dict.fromkeys(_WORDS, stop._receive), signal.SIGALRM: stop._again}
    # What the shell has a background process ignore stays ignored.
    previous = {
        number: signal.signal(number, handler)
        for number, handler in handlers.items()
        if signal.getsignal(number) is not signal.SIG_IGN
    }
    try:
        yield stop
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in previous.items():
            signal.signal(number, handler)

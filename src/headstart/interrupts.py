"""Being asked to stop: once politely, so that a checkpoint can be written; a second Ctrl-C at once."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from types import FrameType

__all__ = ["Interrupts"]


class Interrupts:
    """While open, Ctrl-C and SIGTERM set `received` and nothing more; a second Ctrl-C ends the process, exit code 130.

    Outside the main thread, where Python delivers no signals, it does nothing.
    """

    def __init__(self) -> None:
        self.received: signal.Signals | None = None

    def __enter__(self) -> Interrupts:
        self._main = threading.current_thread() is threading.main_thread()
        if not self._main:
            return self
        self._reader, self._writer = socket.socketpair()
        self._writer.setblocking(False)
        self._before = {which: signal.signal(which, self._note) for which in (signal.SIGINT, signal.SIGTERM)}
        self._waker = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        self._thread = threading.Thread(target=self._watch, name="interrupts", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        if not self._main:
            return
        signal.set_wakeup_fd(self._waker)
        for which, handler in self._before.items():
            signal.signal(which, handler)
        self._writer.close()
        self._thread.join()
        self._reader.close()

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.received = self.received or signal.Signals(number)

    def _watch(self) -> None:
        # Python runs handlers only between bytecodes, and a compiled chunk is one long call. The byte that the
        # interpreter writes at once to its wake-up descriptor reaches this thread while the main one is in there.
        presses = 0
        while data := self._reader.recv(64):
            presses += data.count(signal.SIGINT)
            if presses == 1 and signal.SIGINT in data:
                print("\nstopping after this chunk; Ctrl-C again stops at once", file=sys.stderr, flush=True)
            if presses >= 2:
                os._exit(130)

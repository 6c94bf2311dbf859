"""How far long work has come: library functions tell it, and whoever listens may show it.

Work is followed item by item. Work inside an item is a part of that item, so that a long item moves too. Without a
listener nothing is counted. Nothing here prints.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")

BYTES = "B"  # the unit of files


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a piece of work has come.

    Attributes:
        what: the work, for a person.
        done: in `unit`.
        total: None where nobody knows, as for a pipe.
        unit: `BYTES`, or a noun in the plural; "" where the work cannot be counted.
    """

    what: str
    done: float = 0.0
    total: float | None = None
    unit: str = ""


Listener = Callable[[Progress | None], object]

_listening: ContextVar[_Listening | None] = ContextVar("listening", default=None)


@contextlib.contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Tell a function how far the work of this block has come; a listener around this one hears nothing of it.

    Args:
        listener: is given the progress of the outermost work each time it moves, and None when that has ended. It is
            called a few times to a few thousand times a second, so it should be quick.

    >>> from rnngen import work
    >>> with work.listening(lambda progress: print(progress and progress.done)):
    ...     total = sum(work.follow([2, 3], "adding", 2))
    0
    1
    2
    None
    """
    before = _listening.set(_Listening(listener))
    try:
        yield
    finally:
        _listening.reset(before)


def follow(
    items: Iterable[T],
    what: str,
    total: float | None = None,
    unit: str = "",
    size: Callable[[T], float] = lambda item: 1,
) -> Iterator[T]:
    """The same items; how many of them have been used up is told to the listener.

    Args:
        what: names the work, unless it is part of other work.
        total: of the sizes of all items; None where it is not known.
        unit: of the sizes.
        size: of an item.
    """
    heard = _listening.get()
    return iter(items) if heard is None else heard.follow(items, _Work(what, total, unit), size)


@contextlib.contextmanager
def named(what: str) -> Iterator[None]:
    """A name for the work of this block, in place of the names of its parts; work that cannot be counted, too."""
    heard = _listening.get()
    if heard is None:
        yield
        return
    with heard.doing(_Work(what, None, "")):
        yield


@dataclass(eq=False)
class _Work:
    what: str
    total: float | None
    unit: str
    done: float = 0.0
    size: float = 0.0  # of the present item
    part: float = 0.0  # of it, what the work inside it has come to

    @property
    def is_counted(self) -> bool:
        return self.total is not None or bool(self.unit)


class _Listening:
    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._works: list[_Work] = []  # the outermost first

    def follow(self, items: Iterable[T], work: _Work, size: Callable[[T], float]) -> Iterator[T]:
        with self.doing(work):
            for item in items:
                work.size = size(item)
                yield item
                work.done, work.size, work.part = work.done + work.size, 0.0, 0.0
                if work in self._works:
                    # What was a part of the last item is no part of the next one, even if it has not ended.
                    del self._works[self._works.index(work) + 1 :]
                    self._tell()

    @contextlib.contextmanager
    def doing(self, work: _Work) -> Iterator[None]:
        self._works.append(work)
        self._tell()
        try:
            yield
        finally:
            if work in self._works:
                del self._works[self._works.index(work) :]
                self._tell()

    def _tell(self) -> None:
        self._listener(self._progress())

    def _progress(self) -> Progress | None:
        if not self._works:
            return None
        what, unit, done, total = self._works[0].what, "", 0.0, None
        share = 0.0  # of the present item of the work around
        for work in reversed(self._works):
            if work.is_counted:
                work.part = max(work.part, share * work.size)  # one after another, works are inside it
                unit, done, total = work.unit, work.done + work.part, work.total
                share = done / total if total else 0.0
        return Progress(what=what, done=done, total=total, unit=unit)

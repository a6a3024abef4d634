"""A screen that is drawn again and again in its place, until Ctrl-C; in a pipe, again when there is news."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from training_watch import clock
from training_watch.screen import Screen
from training_watch.terminal import show

# Seconds from one look to the next. Each asks systemctl, some 20 ms of processor time.
AGAIN = 1.0
# xterm's control sequences, which other terminals follow: the other screen, no cursor, no wrapping of what is too long.
_ENTER, _LEAVE = "\x1b[?1049h\x1b[?25l\x1b[?7l", "\x1b[?7h\x1b[?25h\x1b[?1049l"
_HOME, _END_OF_LINE, _BELOW = "\x1b[H", "\x1b[K", "\x1b[J"

# What is news when it is another than before, and the lines.
Look = Callable[[Screen], tuple[object, list[str]]]


def follow(look: Look, *, redraw: bool = True) -> None:
    """Show what `look` gives for a screen, until KeyboardInterrupt; without `redraw` as in a pipe."""
    if not redraw or not sys.stdout.isatty():
        _at_news(look)
    lines: list[str] = []
    try:
        with _other_screen():
            while True:
                screen = Screen.of()
                _, lines = look(screen)
                _draw(lines, screen.height)
                clock.pause(AGAIN)
    finally:
        show(lines)  # what it said last stays to be read


def _at_news(look: Look) -> NoReturn:
    told: object = None
    while True:
        news, lines = look(Screen())
        if news != told:
            if told is not None and len(lines) > 1:
                show([""])
            show(lines)
            told = news
        clock.pause(AGAIN)


def _draw(lines: list[str], height: int | None) -> None:
    room = len(lines) if height is None else max(1, height - 1)
    shown = lines if len(lines) <= room else [*lines[: room - 1], f"… {len(lines) - room + 1} more lines"]
    sys.stdout.write(_HOME + "".join(f"{line}{_END_OF_LINE}\r\n" for line in shown) + _BELOW)
    sys.stdout.flush()


@contextmanager
def _other_screen() -> Iterator[None]:
    """The terminal as it was when this ends, also by SIGTERM and SIGHUP."""

    def ended(number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, ended) for number in (signal.SIGTERM, signal.SIGHUP)}
    sys.stdout.write(_ENTER)
    try:
        yield
    finally:
        sys.stdout.write(_LEAVE)
        sys.stdout.flush()
        for number, handler in before.items():
            signal.signal(number, handler)

"""Systemd's reading of a unit file, as far as our units need it, written after its manual pages and
src/basic/extract-word.c, so that the tests don't ask the writer whether the writer is right.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

C_ESCAPES = {"a": 7, "b": 8, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11, "s": 32}


QUOTED = re.compile(r""""(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'""", re.DOTALL)


class Unreadable(Exception):
    """Systemd would refuse or misread it."""


@dataclass(frozen=True)
class Setting:
    section: str
    name: str
    value: str


def settings(text: str) -> list[Setting]:
    """Sections, comments, and lines that a backslash joins with a space (systemd.syntax(7))."""
    found, section, pending = [], "", ""
    for raw in text.split("\n"):
        line = raw.strip(" \t\r")
        if not pending and line[:1] in ("", "#", ";"):
            continue
        if line.startswith(("#", ";")):  # a comment between continued lines is dropped
            continue
        if line.endswith("\\"):
            pending += line[:-1] + " "
            continue
        whole, pending = (pending + line).strip(), ""
        if whole.startswith("["):
            section = whole.strip("[]")
            continue
        name, equals, value = whole.partition("=")
        if not equals:
            raise Unreadable(whole)
        found.append(Setting(section, name, value.strip()))
    return found


def words(value: str, *, c_escapes: bool) -> list[bytes]:
    """Split and unquote, with C escapes (Exec*=, Environment=) or without (ReadWritePaths=)."""
    found: list[bytes] = []
    place = 0
    while place < len(value):
        if value[place] in " \t\n\r":
            place += 1
            continue
        word, place = _word(value, place, c_escapes=c_escapes)
        found.append(word)
    return found


def _word(value: str, place: int, *, c_escapes: bool) -> tuple[bytes, int]:
    out, quote = bytearray(), ""
    while place < len(value):
        here = value[place]
        place += 1
        if here == "\\":
            if place == len(value):
                raise Unreadable("a backslash at the end")
            if c_escapes:
                char, place = _c_escape(value, place)
                out += char
            else:
                out += value[place].encode()
                place += 1
        elif quote:
            if here == quote:
                quote = ""
            else:
                out += here.encode()
        elif here in "\"'":
            quote = here
        elif here in " \t\n\r":
            break
        else:
            out += here.encode()
    if quote:
        raise Unreadable("an open quote")
    return bytes(out), place


def _c_escape(value: str, place: int) -> tuple[bytes, int]:
    here = value[place]
    if here in "\\\"'":
        return here.encode(), place + 1
    if here == "x":
        code = int(value[place + 1 : place + 3], 16)
        if code == 0:
            raise Unreadable("NUL")
        return bytes([code]), place + 3
    if here in C_ESCAPES:
        return bytes([C_ESCAPES[here]]), place + 1
    raise Unreadable(f"\\{here}")


def expanded(word: bytes) -> bytes:
    """Specifiers, of which we write one: %%. Any other would become something else."""
    rest = word.replace(b"%%", b"")
    if b"%" in rest:
        raise Unreadable(f"a specifier in {word!r}")
    return word.replace(b"%%", b"%")


def argv(exec_line: str) -> list[bytes]:
    """What an Exec*= line runs; it must begin with prefixes of which one is the colon, so that $ stands for itself."""
    first, *rest = words(exec_line, c_escapes=True)
    prefixes = first[: len(first) - len(first.lstrip(b"@-:+!"))]
    if b":" not in prefixes:
        raise Unreadable("without a colon $ is expanded")
    program = expanded(first[len(prefixes) :])
    if not program.startswith(b"/") or any(byte in b"\"'\\\x7f" or byte < 32 for byte in program):
        raise Unreadable(f"executable name contains special characters: {program!r}")
    if ";" in QUOTED.sub("quoted", exec_line).split():
        raise Unreadable("a lone semicolon separates commands")
    return [program, *map(expanded, rest)]

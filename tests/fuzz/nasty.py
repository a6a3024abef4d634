"""What nobody hopes to meet: names, words and bytes that have broken programs before."""

from __future__ import annotations

import re

# File names: one component each, any bytes but NUL and the slash (path_resolution(7)).
NAMES = (
    b"two\nlines.md",
    b"should_train=true\nreason=forged.md",
    b"::set-output name=should_train::true",
    b"::error::forged",
    b"reason<<EOF",
    b"$(touch injected).md",
    b"`touch injected`.md",
    b"; touch injected;.md",
    b"'single' and \"double\".md",
    b"-rf",
    b"--help",
    b"~",
    b"%h %n %%.md",
    b"$HOME ${HOME} $$.md",
    b"back\\slash\\",
    b" blanks around ",
    b"tab\there\rand return",
    b"not UTF-8 \xff\xfe\x80.md",
    b"half a character \xe2\x82",
    "right to left \u202egpj.exe".encode(),
    "isolated \u2066\u2069 marked \u200f\u200e.md".encode(),
    "separators \u2028\u2029\x85.md".encode(),
    b"\x1b[31mred\x1b[0m.md",
    b"\x1b]0;title\x07.md",
    b"\x9b2J C1.md",
    b"\x07\x08\x7f.md",
    "surrogate \ud800".encode("utf-8", "surrogatepass"),
    "a\u0300\u0301\u0302\u0303.md".encode(),
    b"<6>priority.md",
    b"n" * 255,
    "ü".encode() * 127,
)

# Words that mean something to systemd, to a shell, or to TOML; each may be an argument of a command.
WORDS = (
    "",
    "two\nlines",
    "%h",
    "%%n",
    "$HOME",
    "${HOME}",
    "$$",
    "$(id)",
    "`id`",
    "a;b",
    "#",
    "-",
    "--",
    "\\",
    "\\n",
    "trailing\\",
    "'",
    '"',
    "both'\"",
    "tab\t",
    "\x1b[31m",
    "\x7f",
    "ünï",
    "\u202e",
    "\u2028",
    "*?[x]",
    "~user",
    "=",
    "A=b",
    '"""',
    "'''",
    "[job.x]",
    "\ufeff",
)

# What a terminal obeys: C0 and C1 controls, marks that turn the direction of writing, separators of lines.
OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def harmless(text: str) -> bool:
    """Whether a terminal shows this text and does nothing else."""
    return not OBEYED.search(text)

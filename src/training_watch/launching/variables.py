r"""An EnvironmentFile= as systemd reads it, for launcher "process".

The syntax of systemd.exec(5): NAME=VALUE, one a line; lines that begin with # or ; are comments, lines
that are no assignment are passed over; '…' is literal, "…" knows the escapes \" \\ \` \$; both may
span lines; elsewhere a backslash takes the next character as it is, and joins lines at their end.
Nothing is expanded. Compared with what 252 and 257 make of the same text; 252 also lets a backslash
continue a comment.
"""

from __future__ import annotations

import re

_LINE = re.compile(
    r"""^[ \t]*(?:
      [#;].*?$
    | (?P<name>[A-Za-z_][A-Za-z0-9_]*)[ \t]*=[ \t]*
      (?P<quoted>(?:(?:'[^']*'|"(?:\\.|[^"\\])*")[ \t]*)*)
      (?P<plain>(?:\\.|[^\\\n])*?)[ \t\r]*(?:$|\\\Z)
    )""",
    re.MULTILINE | re.DOTALL | re.VERBOSE,
)
_QUOTED = re.compile(r"""'([^']*)'|"((?:\\.|[^"\\])*)\"""", re.DOTALL)


def variables(text: str) -> dict[str, str]:
    """The assignments of an environment file; a later one of the same name wins."""
    found = (match for match in _LINE.finditer(text) if match["name"])
    return {match["name"]: _unquoted(match["quoted"]) + _unescaped(match["plain"]) for match in found}


def _unquoted(text: str) -> str:
    return "".join(
        single if single is not None else re.sub(r"\\([\"\\`$])", r"\1", double.replace("\\\n", ""))
        for single, double in ((match[1], match[2]) for match in _QUOTED.finditer(text))
    )


def _unescaped(text: str) -> str:
    return re.sub(r"(?s)\\(.)", lambda match: "" if match[1] == "\n" else match[1], text)

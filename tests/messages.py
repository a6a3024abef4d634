"""Every message of trouble that the sources can make, as templates; and what each must have: where, and what to do.

A template is the message with {} for what it learns at run time. It is found where it is made: what an error is raised
with, what is failed, warned, logged or put down as a mistake with, what is returned as an obstacle. What only passes on
somebody else's message has no words of its own and is no template.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

TOP = Path(__file__).parents[1]

# Which argument of a call is the message.
CALLS = {
    "fail": 0, "warn": 0, "_warn": 0, "note": 0, "NotStarted": 0, "Gap": 0, "_balk": 0, "_broken": 0, "_mistake": 1,
}  # fmt: skip
# Functions that return a message, or nothing where all is well.
RETURNS = frozenset({
    "_obstacle", "_problem_of_keeping", "_ranker", "_refusal", "_syntax", "_why", "disagreement", "no_manager",
    "obstacle_of", "open_log", "refusal",
})  # fmt: skip
# Where `say` is the daemon's warning, or a unit's journal.
SAYS = frozenset({"database.py", "mark.py", "supervise.py", "watch.py", "watcher.py"})
# A broken invariant and the end of a process have no words for people.
NO_MESSAGE = frozenset({"AssertionError", "NotImplementedError", "Stopped", "StopIteration", "SystemExit"})
# With fewer letters than this of its own, a template says only how another message is framed.
WORDS = 6


@dataclass(frozen=True, slots=True)
class Message:
    """One template, and where it is made."""

    template: str
    place: str

    def made(self, line: str) -> bool:
        """Whether the line has this message in it."""
        words = re.sub(r"^(crystal|training-watch): ", "", self.template)  # `told` takes it away
        return re.search(".*".join(map(re.escape, words.split("{}"))), line) is not None


def messages() -> list[Message]:
    found = []
    for path in sorted((TOP / "src").rglob("*.py")):
        if path.parent.name == "doctor":
            continue  # a fault is made of what happened and its mend: mypy sees that none is without
        tree = ast.parse(path.read_text(encoding="utf-8"))
        found += [Message(*each) for each in _Walk(path, tree).found()]
    for path in sorted((TOP / "scripts").glob("*.sh")):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            for told in re.findall(r'\bfail "((?:[^"\\]|\\.)*)"|echo "((?:[^"\\]|\\.)*)" >&2', line):
                text = re.sub(r"\$\([^)]*\)+|\$\{[^}]*\}|\$\w+", "{}", "".join(told)).replace("\\`", "`")
                found.append(Message(text, f"{path.relative_to(TOP)}:{number}"))
    return [each for each in found if len(re.findall(r"[a-z]", each.template)) >= WORDS]


class _Walk:
    def __init__(self, path: Path, tree: ast.Module) -> None:
        self._path, self._tree = path, tree
        self._constants = {
            target.id: node.value
            for node in tree.body
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        }

    def found(self) -> Iterator[tuple[str, str]]:
        for node in ast.walk(self._tree):
            for made in self._made(node):
                for text in self._texts(made):
                    yield text, f"{self._path.relative_to(TOP)}:{made.lineno}"

    def _made(self, node: ast.AST) -> Iterator[ast.expr]:
        """What is, or may be, a message."""
        match node:
            case ast.Raise(exc=ast.Call(func=error, args=[_, *_] as words)) if _name(error) not in NO_MESSAGE:
                # OSError(errno, what, where) says it in its second word.
                yield words[1] if _name(error) == "OSError" and len(words) > 1 else words[0]
            case ast.Call(args=[_, *_]):
                yield from self._called(node)
            case ast.FunctionDef(name=name) if name in RETURNS:
                for inner in ast.walk(node):
                    match inner:
                        case ast.Return(value=ast.Tuple(elts=[*_, value])) | ast.Return(value=value) if value:
                            yield value

    def _called(self, call: ast.Call) -> Iterator[ast.expr]:
        name, words = _name(call.func), call.args
        says = name in ("say", "_say") and self._path.name in SAYS and "INFO" not in ast.unparse(words[0])
        if name in CALLS and len(words) > CALLS[name]:
            yield words[CALLS[name]]
        elif ast.unparse(call.func) in ("log.warning", "log.error") or any(map(_to_stderr, call.keywords)):
            yield words[0]
        elif says:
            yield words[-1]

    def _texts(self, node: ast.expr) -> list[str]:
        """The templates that the expression may give; none where it only passes something on."""
        match node:
            case ast.Constant(value=str() as text):
                return [re.sub(r"%[sdr]", "{}", text)]
            case ast.JoinedStr(values=parts):
                return ["".join(p.value if isinstance(p, ast.Constant) else "{}" for p in parts)]  # type: ignore[misc]
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                return [a + b for a in self._texts(left) or ["{}"] for b in self._texts(right) or ["{}"]]
            case ast.IfExp(body=one, orelse=other):
                return [*self._texts(one), *self._texts(other)]
            case ast.List(elts=every):
                return [text for each in every for text in self._texts(each)]
            case ast.ListComp(elt=each) | ast.Starred(value=each):
                return self._texts(each)
            case ast.Call(func=ast.Attribute(value=text, attr="format" | "replace")):
                return self._texts(text)
            case ast.Name(id=name) if name in self._constants:
                return self._texts(self._constants[name])
        return []


def _name(called: ast.expr) -> str:
    return (
        called.attr
        if isinstance(called, ast.Attribute)
        else called.id
        if isinstance(called, ast.Name)
        else ""
    )


def _to_stderr(keyword: ast.keyword) -> bool:
    told = f"{keyword.arg}={ast.unparse(keyword.value)}"
    return told in ("err=True", "file=sys.stderr")


# ---- what each must have ------------------------------------------------------------------------

_WHERE = re.compile(
    r"(^|[\s`'\"(=:,])~?/\S"  # a path
    r"|\.service\b|--[a-z]|\[job\.|^[a-z]\w*: |'[^']*'|\"[^\"]+\""  # a unit, an option, a job or key, something quoted
    r"|\brelease \d|\banswer [0-9a-f]|\bpid \d|\bgolden query\b|\d{8}T\d{6}Z|\S+\.(sqlite|npz|npy|json|md)\b|\w#\w"  # what crystal keeps
    r"|\b(this user|this machine|this answer|the release|the encoder|The training|here)\b|\bPython 3|\b(systemctl|journalctl|ONNX Runtime|SQLite|HOME)\b"  # the machine
)
_COMMAND = re.compile(
    r"`[^`]+`|\bcrystal [a-z]+|\btraining-watch [a-z]+|\bsystemctl --user\b|\bsudo \S|\bpip install\b|--help\b|\bpath/to\b"
)
_IMPERATIVE = re.compile(
    r"(?:^|[:;,.(] |\band |\bor |\bthen )(?:'\S+' )?"
    r"(?:add|allow|ask|correct|create|give|go back|install|let|log in|make|mend|mount|move|must|name|pin|put|quote|"
    r"remove|rename|run|save|say|see|set|shorten|start|spell|take|touch|try|unset|use|wait|write)\b"
    r"|did you mean|the nearest: |there is [\w-]+(?:, |$)|\bmust (?:be|name|begin)\b|to mend it: |to go on, ",
    re.IGNORECASE,
)
_BY_ITSELF = re.compile(
    r"trying again in|tried again|try(?:ing)? again|going on|goes on|is read anew|the verdict follows|is kept\b|kept as|"
    r"begins (?:a new one|anew)|restarting|waiting for it|looking every|counts as untrained|are trained again|"
    r"the journal has the same lines|made anew|encoded anew|comes back|stays as it is|are told|by words only|all the same|all else stands|waits until|"
    r"the next (?:training|start) \w+|^skipped |goes on answering"
)


def lacks(line: str) -> list[str]:
    """What the message doesn't say: where it happened; what is to be done, or that nothing is."""
    missing = []
    if not _WHERE.search(line):
        missing.append("where")
    if not (_COMMAND.search(line) or _IMPERATIVE.search(line) or _BY_ITSELF.search(line)):
        missing.append("what to do")
    return missing

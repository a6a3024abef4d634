"""What helps a person at the shell: `man training-watch`, and words completed with TAB.

Only for a program that its name leads to: to complete a line the shell runs the program, and a `crystal` of somebody
else's might begin to train. What isn't ours in such a place stays, and nothing here ends an installation.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import click
from click.shell_completion import BashComplete, FishComplete, ShellComplete, ZshComplete

from training_watch import places
from training_watch.files import read_small
from training_watch.installing.plan import (
    Action,
    InstallError,
    MakeLink,
    RemoveFile,
    Say,
    WriteFile,
    carry_out,
)
from training_watch.installing.unitfiles import data_home

PAGES = {
    "training-watch": ("man1/training-watch.1", "man5/training-watch.5"),
    "crystal": ("man1/crystal.1",),
}
# Where each shell looks below the data folder, and who writes its script.
SHELLS: dict[str, tuple[str, type[ShellComplete]]] = {
    "bash": ("bash-completion/completions/{}", BashComplete),
    "fish": ("fish/vendor_completions.d/{}.fish", FishComplete),
    "zsh": ("zsh/site-functions/_{}", ZshComplete),
}
# Within a script's first two lines: the first one of zsh's is #compdef.
MARK = "# Made by `training-watch install`, which writes it anew; `training-watch uninstall` removes it."
_BEGINNING = 4096


def install_help(say: Say) -> None:
    """Put it in place, and say so as far as it holds. What can't be written is said, and no error."""
    actions, remarks = plan_help()
    try:
        carry_out(actions, _unsaid)
    except InstallError as error:
        remarks = [f"No manual pages or completion: {error}"]
    for remark in remarks:
        say(remark)


def plan_help() -> tuple[list[Action], list[str]]:
    """What to write and remove, and what to say of it: of what has been there before, nothing."""
    names = [name for name in PAGES if _reached(name)]
    shells = [shell for shell in SHELLS if shutil.which(shell)]
    wanted = {**_links(names), **_scripts(names, shells)}
    remarks = [f"{path} isn't ours and stays as it is" for path in wanted if _foreign(path)]
    actions: list[Action] = [RemoveFile(path) for path in _ours() if path not in wanted]
    for path, action in wanted.items():
        if not _foreign(path) and not _done(action):
            actions.append(action)
    remarks += _unreached(names)
    return actions, [*remarks, *_summary(names, shells)] if names and actions else remarks


def remove_help(say: Say) -> None:
    """Take it away, with the folders that it leaves empty. Raises InstallError."""
    gone = list(_ours())
    carry_out([RemoveFile(path) for path in gone], _unsaid)
    for path in gone:
        for folder in path.parents[:3]:
            if folder not in (data_home(), _data_of_programs()):
                with suppress(OSError):  # something else is in it
                    folder.rmdir()
    if gone:
        say("Removed the manual pages and the shells' completion")


def _unreached(names: Sequence[str]) -> Iterator[str]:
    for name in PAGES:
        # A name that leads nowhere is told of the watcher alone: whoever has a training of their own does without crystal.
        if name not in names and (name == "training-watch" or shutil.which(name, path=_search())):
            yield f"{name} has no manual page and no completion: its name doesn't lead to {_own(name)}"


def _summary(names: Sequence[str], shells: Sequence[str]) -> Iterator[str]:
    if shutil.which("man"):
        pages = "man training-watch, and man 5 training-watch for the configuration"
        yield f"The manual is there: {pages if 'training-watch' in names else f'man {names[0]}'}"
    ready = [shell for shell in shells if shell != "bash" or _bash_completes()]
    if ready:
        yield f"TAB completes {' and '.join(names)} in a new shell ({', '.join(ready)})"
    if "bash" in shells and "bash" not in ready:
        yield f"To have bash complete {' and '.join(names)} with TAB, install the package bash-completion"
    if os.environ.get("SHELL", "").endswith("/zsh") and "zsh" in shells:
        folder = _place("zsh", names[0]).parent
        yield f"zsh looks there once ~/.zshrc has, before compinit: fpath=({_for_shell(folder)} $fpath)"


def _bash_completes() -> bool:
    """Whether the package bash-completion is there, which alone looks into the folder of completions."""
    folders = os.environ.get("XDG_DATA_DIRS") or "/usr/local/share:/usr/share"
    return any(Path(each, "bash-completion/bash_completion").is_file() for each in folders.split(":"))


def _reached(name: str) -> bool:
    """Whether the name leads to our program, now or once ~/.local/bin is on PATH, as it is from the next login on."""
    found, own = shutil.which(name, path=_search()), _own(name)
    return found is not None and own.exists() and own.samefile(found)


def _search() -> str:
    return os.pathsep.join((os.environ.get("PATH", ""), str(places.home() / ".local/bin")))


def _own(name: str) -> Path:
    return Path(sys.executable).parent / name


def _data_of_programs() -> Path:
    """Where man(1) looks because ~/.local/bin is on PATH (manpath(5)); XDG_DATA_HOME means nothing to it."""
    return places.home() / ".local/share"


def _links(names: Sequence[str]) -> dict[Path, Action]:
    found: dict[Path, Action] = {}
    for name in names:
        for page in PAGES[name]:
            target = Path(sys.prefix) / "share/man" / page
            if target.exists():
                path = _data_of_programs() / "man" / page
                found[path] = MakeLink(path, target)
    return found


def _scripts(names: Sequence[str], shells: Sequence[str]) -> dict[Path, Action]:
    found: dict[Path, Action] = {}
    for name in names:
        for shell in shells:
            path = _place(shell, name)
            found[path] = WriteFile(path, script(shell, name), about=f"completion of {name} for {shell}")
    return found


def script(shell: str, name: str) -> str:
    """What the shell is to execute. Not by BashComplete.source: that asks bash for its version, and may say so."""
    _, kind = SHELLS[shell]
    variable = f"_{name.replace('-', '_').upper()}_COMPLETE"
    text = ShellComplete.source(kind(click.Command(name), {}, name, variable))
    if text.startswith("#compdef"):
        first, rest = text.split("\n", 1)
        return f"{first}\n{MARK}\n{rest}"
    return f"{MARK}\n{text}"


def _place(shell: str, name: str) -> Path:
    return data_home() / SHELLS[shell][0].format(name)


def _for_shell(folder: Path) -> str:
    home = places.home()
    return f"~/{folder.relative_to(home)}" if home in folder.parents else str(folder)


# ---- whose is what is there -------------------------------------------------------------------


def _ours() -> Iterator[Path]:
    """Each link and script of ours that is there, whatever installation made it."""
    for name, pages in PAGES.items():
        for page in pages:
            path = _data_of_programs() / "man" / page
            if os.path.islink(path) and not _foreign(path):
                yield path
        for shell in SHELLS:
            path = _place(shell, name)
            if os.path.lexists(path) and not _foreign(path):
                yield path


def _foreign(path: Path) -> bool:
    """Whether something is there that a person or another program made."""
    if not os.path.lexists(path):
        return False
    if path.is_symlink():
        return not str(path.readlink()).endswith(f"/share/man/{path.parent.name}/{path.name}")
    try:
        lines = read_small(path, _BEGINNING).decode(errors="replace").split("\n")
    except OSError:
        return True
    return MARK not in lines[:2]


def _done(action: Action) -> bool:
    with suppress(OSError):  # carrying it out will say what is wrong
        match action:
            case MakeLink(path, target):
                return path.readlink() == target
            case WriteFile(path, text):
                return path.read_text(encoding="utf-8", errors="replace") == text
    return False


def _unsaid(line: str) -> None:
    """Nine lines of names would hide what matters; one says it all."""

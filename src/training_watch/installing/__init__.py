"""`install` and `uninstall`: look at what is there, plan, then act.

configuration   config.toml, where there is none, or what is asked for is not in it
template        its text
unitfiles       which unit files there are to be
plan            what is to be written and removed, as values
help            manual pages and completion, where the shell and man(1) find them
manager         systemd and logind
"""

from training_watch.installing.configuration import Wanted
from training_watch.installing.install import install
from training_watch.installing.plan import InstallError
from training_watch.installing.uninstall import uninstall

__all__ = ["InstallError", "Wanted", "install", "uninstall"]

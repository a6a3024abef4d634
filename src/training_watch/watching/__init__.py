"""A tree in the file system, and what has changed in it.

    watcher   hints: where to look                 inotify, polling, and the choice between them
    touched   the hints since the last look
    snapshot  the truth: what is there, what was trained, what is pending
    ignore    which names are none of the job's business
    git       what git is in the middle of

A hint that is lost costs time, never a change.
"""

from training_watch.watching.compare import Comparison, Reader
from training_watch.watching.condition import Condition, Gap
from training_watch.watching.content import Content, Pace, content, stamp_of
from training_watch.watching.git import busy
from training_watch.watching.ignore import Ignore, escaped
from training_watch.watching.paths import ancestors, holds, join
from training_watch.watching.snapshot import Known, Snapshot
from training_watch.watching.touched import Touched
from training_watch.watching.watcher import Watcher

__all__ = [
    "Comparison",
    "Condition",
    "Content",
    "Gap",
    "Ignore",
    "Known",
    "Pace",
    "Reader",
    "Snapshot",
    "Touched",
    "Watcher",
    "ancestors",
    "busy",
    "content",
    "escaped",
    "holds",
    "join",
    "stamp_of",
]

"""A tree in the file system, and what has changed in it.

    watcher   hints: where to look                 inotify, polling, and the choice between them
    touched   the hints since the last look
    snapshot  the truth: what is there, what was trained, what is pending
    ignore    which names are none of the job's business
    git       what git is in the middle of

A hint that is lost costs time, never a change.
"""

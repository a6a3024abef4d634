"""The commands of `training-watch`, one module a subject; here stands what they share.

A module is loaded when one of its commands is asked for, so each imports at its top what it needs.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

from training_watch import places
from training_watch.config import Config, ConfigError, read_config
from training_watch.published import daemon_report
from training_watch.timespan import seconds

Command = TypeVar("Command", bound=Callable[..., Any])


class Verbatim(click.Command):
    """A command whose help ends with its examples as they are written."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        if self.epilog:
            formatter.write_paragraph()
            for line in self.epilog.strip().splitlines():
                formatter.write(f"{line}\n")


class Span(click.ParamType[float]):
    """A length of time as in systemd.time(7), in seconds."""

    name = "span"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        try:
            return seconds(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


def configuration(path: Path) -> Config:
    """The configuration. Where it has mistakes, what a running daemon does meanwhile is told beside them. Raises ConfigError."""
    try:
        return read_config(path)
    except ConfigError as error:
        report = daemon_report()
        if report is None or report.config != str(path):
            raise
        raise ConfigError(
            [
                *error.mistakes,
                (
                    f"the daemon (pid {report.pid}) watches by what it read before, and starts nothing until the file "
                    f"is right: mend it, and the daemon goes on"
                ),
            ]
        ) from None


def job_names(context: click.Context, parameter: click.Parameter, begun: str) -> list[CompletionItem]:  # noqa: ARG001 - click's signature
    """For the shell: the jobs whose names begin so. A configuration with mistakes has none, and no shell wants to hear why."""
    path = context.find_root().params.get("config_path") or places.config_file()
    try:
        jobs = read_config(path).jobs
    except (ConfigError, places.NoHome):
        return []
    return [CompletionItem(job.name, help=job.service) for job in jobs if job.name.startswith(begun)]


def job_argument(command: Command) -> Command:
    """JOB: which of the configuration's jobs is meant."""
    return click.argument("job", required=False, shell_complete=job_names)(command)


def json_option(help: str) -> Callable[[Command], Command]:  # noqa: A002 - click's own word
    return click.option("--json", "as_json", is_flag=True, help=help)

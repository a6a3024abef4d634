"""Runs in the guest: VERB UNIT [WORD], and prints the launcher's answer as JSON."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict

from training_watch.launching import LaunchError
from training_watch.launching.systemd import Systemd, user_unit_folder, version


def main(verb: str, unit: str, word: str = "") -> object:
    systemd = Systemd(unit)
    match verb:
        case "start":
            outcome = systemd.start(within=float(word or 20))
            return {"outcome": type(outcome).__name__, **asdict(outcome)}
        case "state":
            return asdict(systemd.state())
        case "lines":
            return systemd.lines(word, last=100)
        case "follow":
            return list(systemd.follow(word))
        case "about":
            return {"version": version(), "folder": str(user_unit_folder())}
    raise ValueError(verb)


if __name__ == "__main__":
    try:
        print(json.dumps(main(*sys.argv[1:])))
    except LaunchError as error:
        print(json.dumps({"error": type(error).__name__, "why": str(error)}))

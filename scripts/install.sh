#!/usr/bin/env bash
set -euo pipefail

usage() {
  cat <<'END'
Usage: scripts/install.sh [--watch DIR]... [--exec CMD] [--job NAME] [--debounce SPAN] [--cooldown SPAN]
                          [--ignore PATTERN]...

Installs training-watch for this user, without root: a virtual environment of its own from this clone, the two
programs training-watch and crystal in ~/.local/bin, the systemd user units; then runs the first training to its end.
Run it again to upgrade. `training-watch uninstall` takes it all away.

  --watch DIR       watch this folder, may be repeated (default, without --exec and --job: this clone's docs/)
  --exec CMD        the training command; it runs in your home, and no shell reads it: sh -c '...' for one
                    (default: crystal train, without which crystal and its libraries are left out)
  --job NAME        what to call it (default: docs); a name that the configuration lacks is added to it
  --debounce SPAN   start when nothing has changed for this long (default: 5min)
  --cooldown SPAN   from the end of a training to the next start (default: 6h)
  --ignore PATTERN  what starts nothing, as in a .gitignore, may be repeated

Example:
  bash scripts/install.sh --job site --watch ~/site/content --exec "make -C ~/site html" --debounce 20s --cooldown 2min

Where no systemd user manager answers, as in a container, it trains once and says how to keep watching.
Needs Python 3.11 or newer with venv. Exit codes: 0 done; else what `training-watch install` ended with.
END
}

say() { printf '%s\n' "$*"; }
fail() {
  printf 'install.sh: %s\n' "$1" >&2
  exit "${2:-1}"
}

options=()
watching=0
own=0
command=
while (($#)); do
  case $1 in
    -h | --help) usage && exit ;;
    --watch | --exec | --job | --debounce | --cooldown | --ignore)
      (($# > 1)) || fail "$1 needs a value; see --help" 2
      if [[ $1 == --watch ]]; then watching=1; elif [[ $1 == --exec ]]; then command=$2; fi
      if [[ $1 == --exec || $1 == --job ]]; then own=1; fi
      options+=("$1" "$2")
      shift 2
      ;;
    --watch=* | --exec=* | --job=* | --debounce=* | --cooldown=* | --ignore=*)
      if [[ $1 == --watch=* ]]; then watching=1; elif [[ $1 == --exec=* ]]; then command=${1#--exec=}; fi
      if [[ $1 == --exec=* || $1 == --job=* ]]; then own=1; fi
      options+=("$1")
      shift
      ;;
    *) fail "unknown option $1; see --help" 2 ;;
  esac
done

clone=$(dirname -- "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")")
export HOME=${HOME:-$(getent passwd "$(id -u)" | cut -d: -f6)}
venv=${XDG_DATA_HOME:-$HOME/.local/share}/training-watch/venv
bin=$HOME/.local/bin
config=${TRAINING_WATCH_CONFIG:-${XDG_CONFIG_HOME:-$HOME/.config}/training-watch/config.toml}

# An existing configuration says itself what to watch, and whoever has a training of their own has a folder for it.
if ((!watching)) && [[ ! -e $config ]]; then
  ((!own)) || fail "say which folder to watch: --watch DIR; see --help" 2
  options+=(--watch "$clone/docs")
fi

# ---- Python -------------------------------------------------------------------------------------

find_python() {
  local name
  for name in python3 python3.14 python3.13 python3.12 python3.11; do
    if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      command -v "$name"
      return
    fi
  done
  return 1
}

python=$(find_python) || fail "no Python 3.11 or newer here ($(python3 --version 2>&1 || true)): install one, for example: sudo apt install python3 python3-venv"
"$python" -c 'import venv, ensurepip' 2>/dev/null ||
  fail "$python can't make virtual environments: sudo apt install python3-venv (or your distribution's package of that kind)"

# ---- the program --------------------------------------------------------------------------------

# A Python that was upgraded underneath leaves an environment without its packages.
if [[ -e $venv ]] && ! "$venv/bin/python" -c 'import pip' 2>/dev/null; then
  [[ -e $venv/pyvenv.cfg || -e $venv/made-by-install.sh ]] || fail "$venv is in the way, and no virtual environment: move it away"
  say "The virtual environment $venv is broken: making it anew"
  rm -rf -- "$venv"
fi
if [[ ! -e $venv ]]; then
  say "Making the virtual environment $venv"
  "$python" -m venv "$venv" || {
    rm -rf -- "$venv"
    fail "no virtual environment could be made in $venv (see above): mend that, then run this again"
  }
fi
# `training-watch uninstall` removes no environment without this file.
: >"$venv/made-by-install.sh"

# Crystal's libraries are 170 MB, and nothing to those whose training is another. What is there already is kept up to date.
without_crystal() {
  if "$venv/bin/python" -I -c 'import markdown_it' 2>/dev/null; then return 1; fi
  if [[ $command == *crystal* ]]; then return 1; fi
  if [[ ! -e $config ]]; then [[ -n $command ]] && return; fi
  "$venv/bin/python" -I -c '
import sys, tomllib
with open(sys.argv[1], "rb") as file:
    jobs = tomllib.load(file)["job"].values()
sys.exit(any("crystal" in word for job in jobs for word in job.get("command", ["crystal"])))
' "$config" 2>/dev/null
}

what='.[crystal]'
if without_crystal; then what=.; fi
say "Installing training-watch from $clone"
# From within the clone: as an argument, pip would take some characters of its path for its own syntax.
(cd -- "$clone" && "$venv/bin/python" -m pip --disable-pip-version-check install --quiet "$what") ||
  fail "pip could not install $clone into $venv (see above): mend that, then run this again"

link() { # NAME: a program of the environment into ~/.local/bin, unless somebody else's is there
  local target=$venv/bin/$1 place=$bin/$1
  if [[ -L $place && ($(readlink -- "$place") == "$target" || ! -e $place) ]]; then
    ln -sfn -- "$target" "$place"
  elif [[ -e $place ]]; then
    say "$place isn't ours and stays; ours is $target"
  else
    ln -s -- "$target" "$place"
  fi
}
mkdir -p -- "$bin"
link training-watch
if [[ $what == . ]]; then
  [[ -e $config ]] || say "crystal, the default training, is left out; to have it: cd $(printf %q "$clone") && $(printf %q "$venv/bin/python") -m pip install '.[crystal]' && bash scripts/install.sh"
else
  link crystal
fi

# ---- the units, and the first training ----------------------------------------------------------

# ssh, su and cron often leave it out; the manager's socket is there all the same.
if [[ -z ${XDG_RUNTIME_DIR:-} && -d /run/user/$(id -u) ]]; then
  XDG_RUNTIME_DIR=/run/user/$(id -u)
  export XDG_RUNTIME_DIR
fi
managed=1
if ! systemctl --user show --property=Version >/dev/null 2>&1; then
  managed=0
  say "No systemd user manager answers here: training without one"
  if [[ ! -e $config ]]; then options+=(--launcher process); fi
fi

code=0
# Not by bin/training-watch: in a home with a quote or a dollar sign, pip's own scripts don't start.
"$venv/bin/python" -I -m training_watch install --wait ${options[@]+"${options[@]}"} || code=$?
((code == 0 || code == 75)) || fail "\`training-watch install\` ended with $code (see above): mend that, then run this again" "$code"

# ---- what now -----------------------------------------------------------------------------------

program=training-watch
if [[ $(command -v training-watch || true) != "$bin/training-watch" || ! $bin/training-watch -ef $venv/bin/training-watch ]]; then
  program=$venv/bin/training-watch
  if [[ $bin/training-watch -ef $program ]]; then program=$bin/training-watch; fi
fi
say ""
# The first two lines are what `status` knows; a program reads them, so that they are as short as they are true.
status=$("$venv/bin/python" -I -m training_watch status --json 2>/dev/null || true)
told() { printf '%s' "$status" | "$venv/bin/python" -I -c "$1" 2>/dev/null; } # PYTHON: what it prints of the status
name=$(told 'import json, sys; print(" NAME" if len(json.load(sys.stdin)["jobs"]) > 1 else "")' || true)
told '
import json, sys
status = json.load(sys.stdin)
daemon = "training-watch.service runs" if status["daemon"] else "nothing runs"
print(daemon + "; folders:", ", ".join(path for job in status["jobs"].values() for path in job["paths"]))
lines = {name: job["line"] for name, job in status["jobs"].items()}
print("it waits for: " + "; ".join(lines.values() if len(lines) == 1 else map(": ".join, lines.items())))
' || say "$program status  tells what runs and what it waits for"
if ((managed)); then
  say "  $program status    what it waits for, until when, and because of which files"
else
  say "  $program run       keep watching: leave it running, in the foreground or under what supervises here"
fi
say "  $program why       the questions that decide, and their answers; why FILE: what became of a file"
say "  $program doctor    what would stop a training, and what mends it"
say "  $program trigger$name   train now (--force: inside the cooldown too)"
if [[ $bin/crystal -ef $venv/bin/crystal && -e ${CRYSTAL_STORE:-${XDG_DATA_HOME:-$HOME/.local/share}/crystal}/current ]]; then
  say "  ${program%training-watch}crystal ask \"…\"         ask the trained model"
else
  say "  $program logs$name      what the trainings say (--follow: as they say it)"
fi
say "Quiet time, cooldown, ignored files: edit $config, then: $program install"
case :$PATH: in
  *":$bin:"*) ;;
  *)
    if grep -qsF .local/bin "$HOME/.profile" "$HOME/.bash_profile" "$HOME/.zprofile"; then
      say "($bin is on your PATH from the next login on; here and now: export PATH=\"\$HOME/.local/bin:\$PATH\")"
    else
      say "($bin is not on your PATH: type  export PATH=\"\$HOME/.local/bin:\$PATH\"  here, and add it to ~/.profile)"
    fi
    ;;
esac
exit "$code"

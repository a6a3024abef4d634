#!/usr/bin/env bash
# Make .venv in this clone with all that the tests need, then run them. Arguments go to pytest:
#   scripts/test.sh                     everything
#   scripts/test.sh -m 'not machine'    without the tests that boot a real systemd
#   scripts/test.sh tests/units -x
#   TRAINING_WATCH_MACHINE_SUITE=trixie scripts/test.sh tests/machine     on systemd 257 alone; the end-to-end list runs on
#                                                                         252 (bookworm) and 257 if none is named
#   TRAINING_WATCH_FUZZ=50 scripts/test.sh tests/fuzz                     fifty times the examples, and new ones
# As root on Debian or Ubuntu it also installs what booting takes (scripts/prepare-machine.sh).
set -euo pipefail

fail() {
  printf 'test.sh: %s\n' "$1" >&2
  exit 1
}

clone=$(dirname -- "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")")
cd -- "$clone"

python=
for name in python3 python3.14 python3.13 python3.12 python3.11; do
  if "$name" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    python=$name
    break
  fi
done
[[ -n $python ]] || fail "no Python 3.11 or newer with venv: sudo apt install python3 python3-venv"

if [[ -e .venv ]] && ! .venv/bin/python -c 'import pip' 2>/dev/null; then
  echo "test.sh: .venv is broken or has no pip: making it anew"
  rm -rf .venv
fi
if [[ ! -e .venv ]]; then "$python" -m venv .venv; fi

echo "test.sh: installing the project and its tests into .venv"
pip=(.venv/bin/python -m pip --disable-pip-version-check install --quiet)
# Dependency groups (PEP 735) came with pip 25.1; a distribution's pip is often older.
if ! .venv/bin/python -c 'import pip, sys; sys.exit(tuple(map(int, pip.__version__.split(".")[:2])) < (25, 1))'; then
  "${pip[@]}" --upgrade 'pip>=25.1'
fi
"${pip[@]}" --editable '.[crystal]' --group test

notes=()
if ((EUID == 0)) && command -v apt-get >/dev/null; then
  scripts/prepare-machine.sh || notes+=("What booting a machine takes could not be installed (see above): those tests can't run.")
elif ((EUID != 0)); then
  notes+=("Not root: the tests of tests/machine and their like use this user's own systemd, or are skipped.")
fi

code=0
.venv/bin/python -m pytest "$@" || code=$?

# pytest's -ra has listed every skipped test with its reason, right above its last line.
echo "test.sh: each test that was skipped is listed above with its reason (SKIPPED); no such line: none was."
for note in ${notes[@]+"${notes[@]}"}; do echo "test.sh: $note"; done
exit "$code"

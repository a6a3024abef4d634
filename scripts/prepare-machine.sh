#!/usr/bin/env bash
# Install what the end-to-end tests need to boot a machine (tests/machine), and man(1), which lays out the manual pages:
# run it once, as root, on Debian or Ubuntu.
# It says nothing, and asks no mirror, when all is there. Options: none.
set -euo pipefail

fail() {
  echo "prepare-machine: $1" >&2
  exit 1
}

packages=(
  debootstrap            # builds the guest's tree
  systemd-container      # systemd-nspawn, which boots it
  debian-archive-keyring # lets debootstrap check the tree's signatures; Ubuntu hasn't got it by default
  util-linux mount       # unshare, nsenter, mount
  ca-certificates git tar
  man-db                 # tests/test_docs.py
)

command -v apt-get >/dev/null || fail "no apt-get here; install debootstrap, systemd-nspawn and Debian's archive keyring by other means"

missing=()
for package in "${packages[@]}"; do
  status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) || status=absent
  [[ $status == installed ]] || missing+=("$package")
done
((${#missing[@]})) || exit 0

((EUID == 0)) || fail "not root; try: sudo $0 (it installs ${missing[*]})"

echo "prepare-machine: installing ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! { apt-get update -q && apt-get install -y -q --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
  tail -n 20 "$log" >&2
  fail "apt-get could not install ${missing[*]} (see above): mend that, then run $0 again"
fi

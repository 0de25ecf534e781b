#!/bin/sh
# Installs what `make test-ship` needs beyond Python, from Debian's packages; the one part of the project that wants root.
set -eu
missing=
for package in buildah chromium debootstrap podman prometheus runc systemd; do
    dpkg-query --show --showformat='${db:Status-Abbrev}' "$package" 2>/dev/null | grep -q '^ii' || missing="$missing $package"
done
test -n "$missing" || exit 0
as_root=
test "$(id -u)" -eq 0 || as_root=sudo
export DEBIAN_FRONTEND=noninteractive
$as_root apt-get update -qq
# shellcheck disable=SC2086 # one word a package
$as_root apt-get install -y -qq --no-install-recommends $missing >/dev/null

#!/usr/bin/env bash
# Makes STAND-INS for the images that docker/Dockerfile stands on, where no registry can be reached. They are for trying a build, and are
# never to be shipped:
#   debian:bookworm-slim   Debian itself by debootstrap, nearly the real thing
#   vllm-stand-in          Debian with the Python packages that we share with vLLM's image; no vLLM, no CUDA, and Python 3.11, not 3.12
#
#   docker/stand-in.sh [--pip-conf FILE] [--apt-conf FILE] [--ca FILE]       as for docker/build.sh
#
# Needs root, buildah and debootstrap. DEBIAN_MIRROR names a mirror other than debootstrap's own.
set -euo pipefail
cd "$(dirname "$0")/.."

secrets=()
while test $# -gt 0; do
    case $1 in
    --pip-conf) secrets+=(--secret "id=pip,src=${2:?}") ;;
    --apt-conf) secrets+=(--secret "id=apt,src=${2:?}") ;;
    --ca) secrets+=(--secret "id=ca,src=${2:?}") ;;
    *) echo "docker/stand-in.sh: what is $1?" >&2 && exit 2 ;;
    esac
    shift 2
done
for needed in buildah debootstrap; do
    command -v $needed >/dev/null || { echo "docker/stand-in.sh: no $needed here: apt-get install $needed." >&2; exit 2; }
done

container=$(buildah from scratch)
trap 'buildah rm "$container" >/dev/null' EXIT
root=$(buildah mount "$container")
debootstrap --variant=minbase bookworm "$root" ${DEBIAN_MIRROR:+"$DEBIAN_MIRROR"}
rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/usr/share/{doc,info,locale,man}/* "$root"/var/log/*
printf 'path-exclude %s\n' '/usr/share/doc/*' '/usr/share/info/*' '/usr/share/locale/*' '/usr/share/man/*' > "$root/etc/dpkg/dpkg.cfg.d/docker"
buildah config --cmd bash "$container"
buildah commit --format docker "$container" debian:bookworm-slim

buildah build --format docker --layers --pull-never "${secrets[@]}" --file docker/stand-in.Dockerfile --tag vllm-stand-in .
echo "These are stand-ins, to try a build on: docker/build.sh --stand-ins"

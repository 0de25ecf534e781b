#!/usr/bin/env bash
# Builds images with buildah, podman or docker, whichever is there first. Nothing is pushed.
#
#   docker/build.sh [option…] [worker-cpu] [tools] [worker-gpu]      without a target: worker-cpu and tools
#
#   --vllm-image REF    what worker-gpu stands on, with its digest: vllm/vllm-openai:v0.32.0@sha256:…
#   --debian-image REF  what the others stand on, better with its digest; debian:bookworm-slim if left out
#   --repository NAME   what the images' names begin with; framefleet if left out
#   --tag TAG           their tag; the project's version if left out
#   --sbom FOLDER       also write FOLDER/<target>.cdx.json (docker/sbom.sh)
#   --stand-ins         stand on images of docker/stand-in.sh: nothing is pulled, and no digest is asked for
#   --pip-conf FILE     how pip reaches its index, --apt-conf FILE how apt reaches its mirror, --ca FILE whom TLS trusts meanwhile;
#                       each is mounted while a step runs, and is in no layer. Proxies are taken from the environment.
#
# BUILDER says which program builds. Where buildah may not make namespaces, BUILDAH_ISOLATION=chroot; where it may not mount overlays,
# STORAGE_DRIVER=vfs. SOURCE_DATE_EPOCH dates the image; the last commit's time if it is not set.
set -euo pipefail
cd "$(dirname "$0")/.."

fail() { echo "docker/build.sh: $1" >&2; exit 2; }

repository=framefleet tag='' vllm_image='' debian_image=debian:bookworm-slim sbom='' stand_ins='' targets=() secrets=()
secret() { test -r "$2" || fail "$2 cannot be read."; secrets+=(--secret "id=$1,src=$2"); }
while test $# -gt 0; do
    case $1 in
    --vllm-image) vllm_image=${2:?} ;;
    --debian-image) debian_image=${2:?} ;;
    --repository) repository=${2:?} ;;
    --tag) tag=${2:?} ;;
    --sbom) sbom=${2:?} ;;
    --pip-conf) secret pip "${2:?}" ;;
    --apt-conf) secret apt "${2:?}" ;;
    --ca) secret ca "${2:?}" ;;
    --stand-ins) stand_ins=yes; shift; continue ;;
    --help) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//p}' "$0"; exit 0 ;;
    worker-cpu | tools | worker-gpu) targets+=("$1"); shift; continue ;;
    *) fail "what is $1? See docker/build.sh --help." ;;
    esac
    shift 2
done
test ${#targets[@]} -gt 0 || targets=(worker-cpu tools)
test -z "$stand_ins" || vllm_image=${vllm_image:-vllm-stand-in}

builder=${BUILDER:-$(for one in buildah podman docker; do command -v $one >/dev/null && echo $one && break; done)}
test -n "$builder" || fail "no builder: install buildah (apt-get install buildah), podman or docker."
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' pyproject.toml)
revision=$(git describe --always --abbrev=40 --match '' --dirty 2>/dev/null || echo unknown)
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || date +%s)}
created=$(date --utc --date "@$SOURCE_DATE_EPOCH" +%Y-%m-%dT%H:%M:%SZ)

options=(--file docker/Dockerfile "${secrets[@]}" --build-arg "DEBIAN_IMAGE=$debian_image"
    --build-arg "VERSION=$version" --build-arg "REVISION=$revision" --build-arg "CREATED=$created")
case $builder in
docker) options+=(--build-arg "SOURCE_DATE_EPOCH=$SOURCE_DATE_EPOCH") ;;
*) options+=(--format docker --layers --timestamp "$SOURCE_DATE_EPOCH" ${stand_ins:+--pull-never}) ;; # docker's format has health checks
esac

for target in "${targets[@]}"; do
    of_target=()
    if test "$target" = worker-gpu; then
        case ${stand_ins:-no}:$vllm_image in
        yes:* | no:*@sha256:*) of_target=(--build-arg "VLLM_IMAGE=$vllm_image") ;;
        *) fail "worker-gpu needs --vllm-image with a digest, such as vllm/vllm-openai:v0.32.0@sha256:…; skopeo inspect or docker buildx \
imagetools inspect tells it." ;;
        esac
    fi
    image=$repository/$target:${tag:-$version}
    "$builder" build "${options[@]}" "${of_target[@]}" --target "$target" --tag "$image" .
    echo "built $image"
    test -z "$sbom" || { mkdir -p "$sbom" && BUILDER=$builder docker/sbom.sh "$image" "$sbom/$target.cdx.json"; }
done

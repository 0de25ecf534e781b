#!/bin/bash
# What the fleet delivers on this machine's GPU, against what vLLM alone can do there. No network, no weights of a model.
#   benchmarks/gpu.sh [--wheels DIR] [--env DIR] [options of gpu.py: --json, --tiny, --frames N, --dollars-per-hour P, --work DIR …]
# PYTHON names the Python that can import vLLM (0.26 to 0.33); python3 unless set. Its environment is not changed: benchmarks/gpu_environment.py
# makes one over it, and says how to fill DIR with wheels of what vLLM does not bring along.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
environment=${TMPDIR:-/tmp}/framefleet-gpu-env wheels=() rest=()
while (($#)); do
  case $1 in
    --wheels) wheels=(--wheels "$2"); shift 2 ;;
    --env) environment=$2; shift 2 ;;
    *) rest+=("$1"); shift ;;
  esac
done
python=$("${PYTHON:-python3}" "$here/gpu_environment.py" "$environment" "${wheels[@]}")
export HF_HUB_OFFLINE=1 TRANSFORMERS_OFFLINE=1 VLLM_NO_USAGE_STATS=1 TOKENIZERS_PARALLELISM=false PYTHONUNBUFFERED=1
unset PYTHONPATH PYTHONDONTWRITEBYTECODE
exec "$python" "$here/gpu.py" "${rest[@]}"

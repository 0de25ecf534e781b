# A stand-in for vLLM's image: its layout (Python's packages under /usr/local, pip, venv, root), those of its packages that we use too, and
# neither vLLM nor CUDA. docker/stand-in.sh makes it; never ship it.
FROM debian:bookworm-slim
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
RUN --mount=type=secret,id=apt,target=/etc/apt/apt.conf.d/90secret \
    apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends ca-certificates python3 python3-pip python3-venv \
    && rm -rf /var/lib/apt/lists/*
COPY requirements/base.txt requirements/worker-gpu.txt /src/
# What worker-gpu.txt names is what vLLM's image lacks; the rest of ours is there.
RUN --mount=type=secret,id=pip,target=/etc/pip.conf \
    --mount=type=secret,id=ca,target=/etc/ssl/certs/ca-certificates.crt \
    awk 'NR == FNR { if (/^[a-z]/) lacking[$1]; next } /^[a-z]/ { skip = ($1 in lacking) } !skip' /src/worker-gpu.txt /src/base.txt > /src/shared.txt \
    && python3 -m pip install --break-system-packages --no-cache-dir --no-deps --require-hashes --only-binary :all: -r /src/shared.txt

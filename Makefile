PYTHON ?= python3
BIN := .venv/bin
VIDEOS ?=
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --no-deps

.PHONY: demo test lock check clean

.venv/base: requirements/base.txt pyproject.toml
	$(PYTHON) -m venv .venv
	$(PIP) --no-compile --require-hashes -r requirements/base.txt
	$(PIP) --no-build-isolation -e .
	env -u PYTHONDONTWRITEBYTECODE $(BIN)/framefleet doctor # tries the installation, and compiles just the modules in use
	touch $@

.venv/dev: .venv/base requirements/dev.txt
	$(PIP) --require-hashes -r requirements/dev.txt
	touch $@

demo: .venv/base
	$(BIN)/framefleet demo $(VIDEOS)

test: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest

lock: .venv/dev
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header pyproject.toml requirements/build.in -o requirements/base.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --extra dev -c requirements/base.txt pyproject.toml -o requirements/dev.txt

clean:
	rm -rf .venv demo

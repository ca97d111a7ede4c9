# The targets that CONTRIBUTING.md explains. `make lab` is all that a student needs.
#   make lab PORT=8890 ARGS="--ServerApp.ip=0.0.0.0"     make setup PYTHON=python3.12

PYTHON ?= python3
BIN := .venv/bin

.PHONY: setup setup-test lab test lint notebooks screenshots bench clean

setup: .venv/.kubelab
.venv/.kubelab: pyproject.toml tools/setup.sh
	@PYTHON="$(PYTHON)" sh tools/setup.sh .
	@touch $@

setup-test: .venv/.kubelab-test
.venv/.kubelab-test: .venv/.kubelab
	@PYTHON="$(PYTHON)" sh tools/setup.sh '.[test]'
	@touch $@

lab: setup
	@$(BIN)/kubelab lab $(if $(PORT),--port $(PORT)) -- $(ARGS)

test: lint
	$(BIN)/python -m pytest $(ARGS)

lint: setup-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

notebooks: setup-test
	$(BIN)/python tools/notebooks.py $(ARGS)

screenshots: setup-test
	$(BIN)/python tools/screenshots.py $(ARGS)

bench: setup-test
	$(BIN)/python -m benchmarks $(ARGS)
	$(if $(ARGS),,$(BIN)/python -m benchmarks.docker_engine)

clean:
	rm -rf .venv

# Everything from a bare clone. `make demo` opens a window where there is a display, `make test` checks the tree.
VENV ?= .venv
WORKERS ?= 2
BIN := $(VENV)/bin

# PyBullet's newest wheels are for 3.11. A python without venv's ensurepip (Debian splits it off) is no use.
IS_311 := import ensurepip, sys, venv; sys.exit(sys.version_info[:2] != (3, 11))
PYTHON ?= $(shell for python in python3.11 python3 /usr/bin/python3.11 "$$HOME"/.local/bin/python3.11 \
	"$$HOME"/.pyenv/versions/3.11.*/bin/python "$$(uv python find 3.11 2>/dev/null)"; do \
	"$$python" -c "$(IS_311)" 2>/dev/null && { echo "$$python"; break; }; done)
NO_PYTHON := no Python 3.11 with venv here (PyBullet has no newer wheels): `uv python install 3.11`, \
	`apt-get install python3.11-venv` or `pyenv install 3.11` brings one, PYTHON=/path/to/python3.11 names one

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-slow lint clean

help:
	@echo "make demo       teach an arm in a window, or have a simulated operator do it without; into runs/demo"
	@echo "make test       ruff, mypy and the tests        make lint       ruff and mypy alone"
	@echo "make test-slow  the tests that train            make setup      only install, into $(VENV)"
	@echo "make clean      remove $(VENV) and caches; runs/ stays"

setup: $(VENV)/.demo-installed

demo: $(VENV)/.demo-installed
	$(BIN)/robot-rlhf demo --task pick_cube --seed 0 --out runs/demo --resume

test: lint
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --timeout 300

test-slow: $(VENV)/.test-installed
	$(BIN)/python -m pytest -m slow --timeout 3600

lint: $(VENV)/.test-installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis build *.egg-info
	find hardware sim robot_rlhf tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.made:
	$(if $(PYTHON),,$(error $(NO_PYTHON)))
	"$(PYTHON)" -m venv --clear $(VENV)
	touch $@

$(VENV)/.demo-installed: $(VENV)/.made pyproject.toml constraints.txt
	$(BIN)/python -m pip install -c constraints.txt -e ".[sim,learn,console]"
	touch $@

$(VENV)/.test-installed: $(VENV)/.demo-installed
	$(BIN)/python -m pip install -c constraints.txt \
		-e ".[sim,learn,console,export,franka-sim,ur,camera,cluster,wandb,bench,dev]"
	touch $@

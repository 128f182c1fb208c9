# Needs Python 3.11 or newer with venv and pip, and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: demo install test lint types imports pytest docs pictures clean

demo: install ## Paint the sample pair.
	$(BIN)/stylectl run --backend torch -o demo.png

install: $(VENV)/installed ## Make .venv with stylectl in it.

test: $(VENV)/installed-for-tests lint types imports pytest ## Everything that must pass.

lint:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# The repository's root is the package: mypy finds it under its name through a link.
types:
	mkdir -p $(VENV)/src && ln -sfn "$(CURDIR)" $(VENV)/src/stylectl
	MYPYPATH=$(VENV)/src $(BIN)/mypy --package stylectl

imports:
	$(BIN)/lint-imports --verbose

pytest:
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2

# Warnings are errors: a dead link, a public name that the API reference lacks.
docs: $(VENV)/installed-for-docs ## Make the site, docs/_build/html/index.html.
	rm -rf docs/_build
	$(BIN)/python -m sphinx -M html docs docs/_build --fail-on-warning --keep-going --nitpicky --quiet
	@echo "made docs/_build/html/index.html"

pictures: $(VENV)/installed ## Make what the gallery and the page of controls show and lack.
	$(BIN)/python -m stylectl.tools.maintenance.doc_pictures

$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --constraint constraints.txt torch torchvision
	$(PIP) install --constraint constraints.txt --editable .
	touch $@

$(VENV)/installed-for-tests: $(VENV)/installed
	$(PIP) install --constraint constraints.txt --editable '.[test]'
	touch $@

$(VENV)/installed-for-docs: $(VENV)/installed
	$(PIP) install --constraint constraints.txt --editable '.[docs]'
	touch $@

clean:
	rm -rf $(VENV) build dist docs/_build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

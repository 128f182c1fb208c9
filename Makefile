# Needs Python 3.11 or newer with venv and pip, and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: demo demo-video examples install test coverage lint types imports pytest docs campaign test-newest test-oldest pictures clean

demo: install ## Paint the sample pair.
	$(BIN)/stylectl run --backend torch -o demo.png

# A camera pans over the sample photograph. The work folder is demo/video.mp4.work.
demo-video: $(VENV)/installed-for-video ## Paint a clip of 12 frames, demo/video.mp4.
	$(BIN)/python -m stylectl.tools.maintenance.pan_clip sample:photo demo/pan --frames 12
	$(BIN)/stylectl video demo/pan sample:painting --size 256 --iterations 160 --fps 8 -o demo/video.mp4

# The headers lie in the environment, where the tests look; the library is that of the wheel.
examples: $(VENV)/installed ## Get what the tests of examples/ need: Debian's apt, and npm.
	examples/cpp/get-headers.sh $(VENV)/include
	npm --prefix examples/web ci --ignore-scripts --no-audit --no-fund

install: $(VENV)/installed ## Make .venv with stylectl in it.

test: $(VENV)/installed-for-tests lint types imports pytest ## Everything that must pass.

coverage: $(VENV)/installed-for-tests lint types imports ## The same, with coverage and its floor.
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --cov

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

test-newest: ## Test with the newest versions that pyproject.toml admits.
	$(PYTHON) -m venv .venv-newest
	.venv-newest/bin/python -m pip install --upgrade --upgrade-strategy eager --editable '.[test]'
	OMP_NUM_THREADS=1 .venv-newest/bin/python -m pytest -n 2

# uv knows the oldest versions; pip installs them, as everywhere else.
test-oldest: ## Test with the oldest versions that pyproject.toml admits.
	$(PYTHON) -m venv .venv-oldest
	.venv-oldest/bin/python -m pip install --upgrade pip uv
	.venv-oldest/bin/uv pip compile --quiet --python .venv-oldest/bin/python \
		--resolution lowest-direct --extra test pyproject.toml --output-file .venv-oldest/oldest.txt
	.venv-oldest/bin/python -m pip install --requirement .venv-oldest/oldest.txt --editable .
	OMP_NUM_THREADS=1 .venv-oldest/bin/python -m pytest -n 2

# For longer: make campaign CAMPAIGN="--minutes 60"; others are in CONTRIBUTING.md.
CAMPAIGN ?=
campaign: $(VENV)/installed-for-tests ## Try wrong inputs, and kill runs, for 20 minutes.
	OMP_NUM_THREADS=1 $(BIN)/python -m stylectl.tests.campaign $(CAMPAIGN)

pictures: $(VENV)/installed ## Make what the gallery and the page of controls show and lack.
	$(BIN)/python -m stylectl.tools.maintenance.doc_pictures

$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --constraint constraints.txt torch torchvision
	$(PIP) install --constraint constraints.txt --editable .
	touch $@

$(VENV)/installed-for-video: $(VENV)/installed
	$(PIP) install --constraint constraints.txt --editable '.[video]'
	touch $@

$(VENV)/installed-for-tests: $(VENV)/installed
	$(PIP) install --constraint constraints.txt --editable '.[test]'
	touch $@

$(VENV)/installed-for-docs: $(VENV)/installed
	$(PIP) install --constraint constraints.txt --editable '.[docs]'
	touch $@

clean:
	rm -rf $(VENV) .venv-newest .venv-oldest .coverage build dist docs/_build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

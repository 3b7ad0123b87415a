# make demo [CT=path] [OUT=folder]   segment a CT with the embedded models and draw the result
# make test                          every check: style, Slicer's API, all tests
# make bench [CT=path] [ROWS="..."]  speed, memory and agreement side by side with MONAI's pipeline
# make screenshots [CT=path] [OUT=folder]   pictures of the module in use, on the tests' stand-in of Slicer
# make lint, make lists, make clean  style alone; CMake's file lists anew; remove what was built
#
# Each sets up .venv first, from constraints.txt, and does nothing where that is done already.

PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
STAMP := $(VENV)/.installed
TORCH := torch==2.13.0
# Options for pip, for example an index that offers torch for your GPU or for the CPU alone.
PIP_OPTIONS ?=
PYTEST_ARGS ?=
API_CHECKER := ../shared/slicer_api/check_slicer_api.py

export CT OUT DATA

.DEFAULT_GOAL := help
.PHONY: help setup demo test bench screenshots lint lists clean

help:
	@sed -n '1,/^$$/s/^# \{0,1\}//p' Makefile

setup: $(STAMP)

demo: $(STAMP)
	@bash Testing/install_system_packages.sh
	$(PY) Testing/demo/demo.py $(if $(CT),--ct "$$CT") $(if $(OUT),--output "$$OUT")

test: lint
	@bash Testing/install_system_packages.sh
	$(PY) -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

bench: $(STAMP)
	$(PY) Testing/benchmarks/bench.py $(if $(CT),--ct "$$CT") $(if $(DATA),--data "$$DATA") $(if $(ROWS),--rows $(ROWS))

screenshots: $(STAMP)
	@bash Testing/install_system_packages.sh
	$(PY) Testing/screenshots/screenshots.py $(if $(CT),--ct "$$CT") $(if $(OUT),--output "$$OUT")

lint: $(STAMP)
	$(PY) -m ruff check .
	$(PY) Testing/project/list_packaged_files.py --check
	@if [ -f $(API_CHECKER) ]; then echo "$(PY) $(API_CHECKER) ."; $(PY) $(API_CHECKER) .; fi

lists: $(STAMP)
	$(PY) Testing/project/list_packaged_files.py --write

clean:
	rm -rf $(VENV) build dist .pytest_cache .ruff_cache .hypothesis AGUNETRSegment/*.egg-info AGUNETRTrain/*.egg-info *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# One install for everything: the engine, training, the fast CPU engine and the tests. The stamp is younger than the two
# files that say what to install, so a change of either installs again, into the same environment.
$(STAMP): pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null 2>&1 || { echo "No $(PYTHON) found: install Python 3.11 or newer, or say 'make PYTHON=/path/to/python3 ...'."; exit 1; }
	@[ -x $(PY) ] || $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$$($(PYTHON) --version) is too old: install Python 3.11 or newer, or say 'make PYTHON=/path/to/python3 ...'."; exit 1; }
	@[ -x $(PY) ] || $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "$(PYTHON) cannot make a virtual environment: on Debian or Ubuntu 'apt-get install python3-venv'."; exit 1; }
	@$(PY) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "The environment in $(VENV) is older than Python 3.11: remove it with 'make clean' and try again."; exit 1; }
	@$(PY) -m pip --version >/dev/null 2>&1 || { echo "The environment in $(VENV) has no pip: remove it with 'make clean', install python3-venv and try again."; exit 1; }
	$(PY) -m pip install $(PIP_OPTIONS) --quiet --constraint constraints.txt setuptools
	$(PY) -m pip install $(PIP_OPTIONS) --quiet --constraint constraints.txt --no-build-isolation $(TORCH) --editable '.[train,fast,test]'
	@touch $@

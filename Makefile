# make demo    install the package, stylise the bundled pictures, say where the result is
# make test    install with the test extras, check, run the whole suite
# make quick   the fast tests alone
# make long    what these try but a few times, hundreds of times: runs killed, files and requests spoiled
# make check   format, lint and types
# make test-legacy  install TensorFlow 2.15.1 with tensorflow-addons, run what must hold there
# make settings  write docs/settings.md anew
# make clean   remove the environments and what the demo made

PYTHON ?= python3
# the environments: folders that are made where they are not there
VENV := .venv
LEGACY := .venv-legacy
BIN := $(VENV)/bin
ASSETS := nst_tf/assets
# the demo's network; 'imagenet' or a VGG19 file makes it the real thing
WEIGHTS ?= auto

# Processes that share the tests; each takes up to 3 GB. A process gets its share of the tests in
# their order, so that what a file's tests have in common is made once, and at the end takes over
# half of what the slower one has left.
# Each computes on one thread: more of them than cores only wait for each other.
PROCESSES ?= 2
ONE_THREAD := TF_NUM_INTRAOP_THREADS=1 OMP_NUM_THREADS=1
PYTEST := $(ONE_THREAD) $(BIN)/python -m pytest
TOGETHER := --numprocesses=$(PROCESSES) --dist=worksteal

# tensorflow-addons ends with Python 3.11: the first of these that is there and not newer
LEGACY_PYTHON ?= python3.11 python3.10 python3
# What may differ between TensorFlow's versions. Files of arithmetic run above, once: of every style
# loss, test_statistics has a whole run here, of bounds and scales test_scales.
LEGACY_TESTS := $(addprefix tests/test_,$(addsuffix .py,vgg engine winograd losses statistics \
    structure_loss masks neighbours strips objective open_sets optimizers descent scales addons filters \
    transfer keras keras_losses import data export mixed_precision))
LEGACY_EXCHANGES := $(addprefix tests/test_,$(addsuffix .py,other_tensorflow native_loaders onnx))

.PHONY: demo test quick long check test-legacy settings clean

demo: $(VENV)/installed
	@mkdir -p demo
	$(BIN)/nst-tf stylize $(ASSETS)/scene.png $(ASSETS)/painting.png --weights=$(WEIGHTS) \
	    --preset=crisp --size=384 -o demo/pastiche.png --sheet=demo/sheet.png
	@echo
	@echo "The pastiche is demo/pastiche.png; demo/sheet.png shows content | style | result."

# With what the tests cover, of every process. SlipCover takes no time of it; a tracer, which sees every
# line that TensorFlow itself runs, half as long again.
test: check
	$(ONE_THREAD) $(BIN)/python -m slipcover --source=nst_tf --skip-covered -m pytest $(TOGETHER)

quick: $(VENV)/tested
	$(PYTEST) $(TOGETHER) -m "not slow"

long: $(VENV)/tested
	$(PYTEST) $(TOGETHER) -m long

check: $(VENV)/tested
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

settings: $(VENV)/installed
	$(BIN)/python scripts/describe_settings.py

# An environment with the package, editable; made anew where its requirements change.
$(VENV)/installed: setup.cfg
	[ -x $(BIN)/python ] || $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo \
	    "no venv: on Debian, apt install python3-venv; or make PYTHON=... with another"; exit 1; }
	$(BIN)/python -m pip install --quiet --editable .
	@touch $@

$(VENV)/tested: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	@touch $@

# Where there is the other environment, SavedModels are exchanged with its TensorFlow.
test-legacy: $(LEGACY)/tested
	$(ONE_THREAD) $(LEGACY)/bin/python -m pytest $(TOGETHER) -m "not slow" $(LEGACY_TESTS)
	$(ONE_THREAD) NST_TF_OTHER_PYTHON=$(wildcard $(abspath $(BIN)/python)) \
	    $(LEGACY)/bin/python -m pytest $(TOGETHER) $(LEGACY_EXCHANGES)

$(LEGACY)/tested: setup.cfg
	[ -x $(LEGACY)/bin/python ] || for python in $(LEGACY_PYTHON); do \
	    $$python -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 11))' \
	        2>/dev/null && { $$python -m venv $(LEGACY) && break || rm -rf $(LEGACY); }; \
	done; [ -x $(LEGACY)/bin/python ] || { echo "no Python 3.10 or 3.11 with venv, which" \
	    "tensorflow-addons needs: make test-legacy LEGACY_PYTHON=..."; exit 1; }
	$(LEGACY)/bin/python -m pip install --quiet --editable '.[addons]' \
	    'tensorflow-probability<0.24' pytest pytest-xdist scipy \
	    tf2onnx onnxruntime 'onnx<1.18' 'numpy<2' 'protobuf<5' 'ml_dtypes==0.3.2'
	@touch $@

clean:
	rm -rf $(VENV) $(LEGACY) demo

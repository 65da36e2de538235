# make demo    install the package, stylise the bundled pictures, say where the result is
# make test    install with the test extras, check, run the whole suite
# make quick   the fast tests alone
# make check   format, lint and types
# make clean   remove the environment and what the demo made

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ASSETS := nst_tf/assets
# the demo's network; 'imagenet' or a VGG19 file makes it the real thing
WEIGHTS ?= auto

.PHONY: demo test quick check clean

demo: $(VENV)/installed
	@mkdir -p demo
	$(BIN)/nst-tf stylize $(ASSETS)/scene.png $(ASSETS)/painting.png --weights=$(WEIGHTS) \
	    --size=384 --evaluations=200 -o demo/pastiche.png --sheet=demo/sheet.png
	@echo
	@echo "The pastiche is demo/pastiche.png; demo/sheet.png shows content | style | result."

test: check
	$(BIN)/python -m pytest

quick: $(VENV)/tested
	$(BIN)/python -m pytest -m "not slow"

check: $(VENV)/tested
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

# An environment with the package, editable; made anew where its requirements change.
$(VENV)/installed: setup.cfg
	[ -x $(BIN)/python ] || $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo \
	    "no venv: on Debian, apt install python3-venv; or make PYTHON=... with another"; exit 1; }
	$(BIN)/python -m pip install --quiet --editable .
	@touch $@

$(VENV)/tested: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	@touch $@

clean:
	rm -rf $(VENV) demo

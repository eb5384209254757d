# `make demo` enhances a built-in phantom scan; `make check` passes the tests. Both set themselves up.

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
ARGS ?=
# Folder of the real scans, for `make bench`.
DATA ?= $(or $(ISOCENTER_DATA),../shared/data)

# uv takes a local wheel folder (such as a CPU build of torch) from where pip is told of one.
INSTALL = UV_FIND_LINKS="$${UV_FIND_LINKS:-$${PIP_FIND_LINKS:-$$($(BIN)/pip config get global.find-links 2>/dev/null)}}" \
	$(BIN)/uv pip install --quiet --python $(BIN)/python -c constraints.txt

.PHONY: setup demo check format types docs notebooks test bench constraints clean
.DEFAULT_GOAL := check

setup: $(READY)

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check uv
	$(INSTALL) --compile-bytecode -e '.[dev]'
	$(BIN)/python -m compileall -q src
	@touch $@

# Enhance a low-dose phantom scan and print where the series and the report lie.
demo: $(READY)
	@rm -rf runs/demo
	$(BIN)/isocenter demo --output runs/demo $(ARGS)

# All that must hold before a change is shared; pytest comes last and reads the site too.
check: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/mypy
	$(MAKE) --no-print-directory docs
	$(BIN)/pytest $(ARGS)

# Mend what ruff can mend.
format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

types: $(READY)
	$(BIN)/mypy

# The site in build/site; a link or reference that leads nowhere is an error.
docs: $(READY)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

# Run the notebooks and store what they show.
notebooks: $(READY)
	$(BIN)/jupyter execute --inplace --NotebookClient.record_timing=False docs/notebooks/*.ipynb

test: $(READY)
	$(BIN)/pytest $(ARGS)

# The table in README and docs/ct_enhance.md, beside its baselines (BM3D: non-commercial licence).
bench: $(READY)
	$(INSTALL) -e '.[dev,benchmark]'
	$(BIN)/python -m benchmarks.ct_enhance --data "$(DATA)" --output runs/bench $(ARGS)
	$(BIN)/python -m benchmarks.ct_enhance.contrast --data "$(DATA)" --output runs/bench
	$(BIN)/python -m benchmarks.ct_enhance.samples --data "$(DATA)" --output runs/bench
	$(BIN)/python -m benchmarks.ct_enhance.lesions --data "$(DATA)" --output runs/bench
	$(BIN)/python -m benchmarks.ct_enhance.resources --output runs/bench

# The versions that were tried together, without addresses or local builds.
constraints: $(READY)
	$(INSTALL) -e '.[dev,benchmark]'
	$(BIN)/uv pip freeze --quiet --python $(BIN)/python --exclude-editable \
		| sed -n 's/^\([A-Za-z0-9._-]*==[0-9][^+ ]*\).*/\1/p' > constraints.new
	mv constraints.new constraints.txt
	@touch $(READY)

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache runs/demo build/site

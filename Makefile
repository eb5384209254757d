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

# Exact files, by SHA-256, of what the package needs to run where it was tried.
LOCK = $(BIN)/uv pip compile --quiet --no-header --no-annotate --generate-hashes --no-emit-index-url \
	--no-emit-find-links --python-version 3.11 --python-platform x86_64-manylinux_2_28 -c constraints.txt

.PHONY: setup demo check format types docs notebooks test bench bench-generate bench-text constraints lock wheel sbom clean
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

# Every figure of the generators; MODEL is a folder of `isocenter train generators`.
bench-generate: $(READY)
	$(BIN)/python -m benchmarks.generate --data "$(DATA)" --model "$(MODEL)" --output runs/bench_generate $(ARGS)

# The table of docs/text.md; ENCODER is the folder of a text encoder, such as `text` in a MODEL.
bench-text: $(READY)
	$(BIN)/python -m benchmarks.text_encoder --encoder "$(or $(ENCODER),$(MODEL)/text)" $(ARGS)

# The versions that were tried together, without addresses or local builds.
constraints: $(READY)
	$(INSTALL) -e '.[dev,benchmark]'
	$(BIN)/uv pip freeze --quiet --python $(BIN)/python --exclude-editable \
		| sed -n 's/^\([A-Za-z0-9._-]*==[0-9][^+ ]*\).*/\1/p' > constraints.new
	mv constraints.new constraints.txt
	@touch $(READY)

# Two locks, as torch comes in two builds of one version: the registry's, and the one for processors
# alone, where UV_FIND_LINKS (or pip) is told of a folder that holds its wheel.
lock: $(READY)
	@mkdir -p build
	UV_FIND_LINKS= $(LOCK) pyproject.toml -o build/lock-registry.txt
	UV_FIND_LINKS="$${UV_FIND_LINKS:-$${PIP_FIND_LINKS:-$$($(BIN)/pip config get global.find-links)}}" \
		$(LOCK) pyproject.toml -o build/lock-cpu.txt
	grep -q '^torch==.*+cpu' build/lock-cpu.txt  # else no such wheel was found
	mv build/lock-registry.txt constraints-hashed.txt
	mv build/lock-cpu.txt constraints-hashed-cpu.txt

# Wheel and source archive in dist; the same sources give the same bytes.
wheel: $(READY)
	$(BIN)/python -m hatchling build -d dist

# What the wheel needs, the weights in it and the data behind them, as CycloneDX.
sbom: wheel
	$(BIN)/python -m release.sbom build/isocenter.cdx.json \
		--wheel "$$(ls -t dist/isocenter-*.whl | head -n 1)"

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache runs/demo build/site

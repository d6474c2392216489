# Everything is run from here: `make` lists what there is. ARGS goes to the command that a target runs.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
INSTALLED := $(VENV)/installed
UV := 0.13.9
NEW := output/pretrained
# What is open in JupyterLab and where; to begin anew, remove it.
LAYOUT := output/lab
# How JupyterLab is set up for the course; what the user has set up for themselves counts where this says nothing.
SETTINGS := $(CURDIR)/notebooks/.jupyter

.PHONY: help demo lab test notebooks page site assignments pretrained pictures check lint format lock

help: ## list what there is
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-12s%s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(INSTALLED) ## from images to new images: train both models on smileys, draw, report
	@$(BIN)/lpvq demo $(ARGS)

lab: $(INSTALLED) $(LAYOUT) ## open JupyterLab on the first notebook, its sections at the side
	@JUPYTER_CONFIG_PATH="$(SETTINGS)$${JUPYTER_CONFIG_PATH:+:$$JUPYTER_CONFIG_PATH}" \
		$(BIN)/jupyter lab --LabApp.workspaces_dir=$(LAYOUT) --LabApp.default_url=/lab/workspaces/course $(ARGS)

# What an earlier run of the notebooks left is removed, or it would hide that the code can no longer make it.
# A thread for each of the two workers: more of them on two cores only wait for each other.
test: $(INSTALLED) ## run the tests and every notebook, in the smoke profile; begins by emptying output/*/smoke
	@rm -rf output/*/smoke
	@LPVQ_PROFILE=smoke OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist loadscope --no-loadscope-reorder $(ARGS)

notebooks: $(INSTALLED) ## run every notebook as a reader would and save its outputs
	@$(BIN)/python tests/run_notebooks.py $(ARGS)

site: page ## make the course as a site in output/site/, to be read in any browser, and check it
	@$(BIN)/python notebooks/.site/build_site.py

assignments: $(INSTALLED) ## make the student versions of the assignments in output/release/, and run each once
	@$(BIN)/lpvq release $(ARGS)

page: $(INSTALLED) ## make output/live.html, in which the models are played with in any browser
	@$(BIN)/lpvq export-page --output output/live.html

pretrained: $(INSTALLED) ## train the weights in data/pretrained/ anew: a day, or an hour on a GPU
	@$(BIN)/python -m lpvq.experiments.shipping $(NEW)
	@rm -r $(NEW)

pictures: $(INSTALLED) ## make the pictures that the README shows
	@$(BIN)/lpvq demo --profile laptop
	@$(BIN)/lpvq demo --profile laptop --dataset fashion_mnist
	@$(BIN)/lpvq evaluate --profile laptop --part truth
	@cp output/smileys/laptop/*_[0-9].png output/smileys/laptop/evaluation_truth.png output
	@$(BIN)/lpvq demo --pretrained
	@$(BIN)/lpvq demo --pretrained --size 128
	@$(BIN)/lpvq sample --pretrained --gif
	@cp output/smileys/pretrained-laptop/sample.gif output/drawing.gif
	@cp output/smileys/pretrained-laptop/samples.png output/smileys.png
	@cp output/smileys-128/pretrained-laptop/samples.png output/smileys-128.png
	@cp output/fashion_mnist/laptop/samples.png output/fashion_mnist.png
	@$(BIN)/lpvq study trade-off --profile laptop --dataset fashion_mnist
	@cp output/fashion_mnist/laptop/study_trade-off.png output
	@$(BIN)/lpvq evaluate --pretrained --part truth
	@$(BIN)/lpvq study measures --pretrained
	@$(BIN)/lpvq study sampling --pretrained
	@cp output/smileys/pretrained-laptop/evaluation_faces.png output/smileys/pretrained-laptop/study_*.png output

check: lint test ## all that has to pass before a change is merged

lint: $(INSTALLED) ## check format, style, types and the order of imports
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(INSTALLED) ## put right what can be put right without thinking
	$(BIN)/ruff check --fix --exit-zero --quiet
	$(BIN)/ruff format

# One version of the tool, so that two people who lock the same packages write the same file.
lock: $(BIN)/pip ## write requirements.txt from pyproject.toml; ARGS=--upgrade takes newer versions
	@$(PIP) install --quiet uv==$(UV)
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --fork-strategy fewest --all-extras \
		--generate-hashes --annotation-style line --custom-compile-command "make lock" $(ARGS) \
		pyproject.toml -o requirements.txt

$(LAYOUT): | $(INSTALLED)
	@$(BIN)/jupyter lab workspaces import --LabWorkspaceImportApp.workspaces_dir=$(LAYOUT) \
		$(SETTINGS)/course.jupyterlab-workspace

# Written last, so that an install that was interrupted is done again.
# With TORCH_INDEX, torch and torchvision come from that index, of the same versions, and what they need of CUDA does not.
$(INSTALLED): requirements.txt pyproject.toml | $(BIN)/pip
ifdef TORCH_INDEX
	@awk '/^[a-z0-9]/ {kept = !/^(torch==|torchvision==|triton==|nvidia-|cuda-)/} kept' requirements.txt > $(VENV)/others.txt
	PIP_EXTRA_INDEX_URL= PIP_INDEX_URL=$(TORCH_INDEX) $(PIP) install --no-deps \
		$$(awk '/^(torch|torchvision)==/ {print $$1}' requirements.txt)
	$(PIP) install --no-deps --require-hashes --requirement $(VENV)/others.txt
else
	$(PIP) install --require-hashes --requirement requirements.txt
endif
	$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

# --clear, because only a folder that an interruption left half-made comes here.
$(BIN)/pip:
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) is not here: install Python 3.11 or newer, or name one that is: make PYTHON=python3.12 …" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$(PYTHON) is older than Python 3.11: name a newer one: make PYTHON=python3.12 …" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "$(PYTHON) cannot make a virtual environment, because Debian packs that apart: sudo apt install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)

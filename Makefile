# make demo · make web · make npm · make test · make test-edge · make test-web · make lint · make docs · make dist · make release-check
# make benchmarks · make figures · make gallery · make results · make measure, which makes all of these for new weights
# Each builds .venv by itself on a fresh machine; choose the interpreter with PYTHON=python3.12.

PYTHON ?= python3
VENV := .venv
EDGE_VENV := .venv-edge
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet -c constraints.txt

.PHONY: demo web npm test test-edge test-web web-tools lint docs docs-page docs-serve dist release-check clean heads embedding signature halving rivals generators figures benchmarks bench-rate bench-speed bench-arithmetic bench-scaling bench-memory bench-exactness bench-contention bench-fuzz bench-recognition bench-labelmap bench-edge bench-answers \
  bench-web bench-web-symbols bench-web-size bench-compact bench-generative bench-photos bench-thumbs bench-restore bench-scale bench-effort bench-search bench-wheels bench-throughput bench-service bench-lossless bench-lossless-exactness bench-fit-head results measure gallery

demo: $(VENV)/.core
	$(BIN)/python examples/demo.py

test: $(VENV)/.dev
	$(BIN)/python -m pytest $(PYTEST_ARGS)

# The client without torch, in an environment that holds four packages, and once more without constriction.
test-edge: out/edge/manifest.json $(EDGE_VENV)/.client
	$(EDGE_VENV)/bin/python -m tests.edge_alone out/edge
	$(EDGE_VENV)/bin/python -m tests.edge_alone out/edge --without constriction

# The browser client, built from examples/web with Node 20 or newer and served to this machine alone: make web WEB_PORT=9000
WEB := examples/web
WEB_PORT ?= 8088

web: out/edge/manifest.json $(WEB)/node_modules/.installed
	cd $(WEB) && node build.mjs
	node $(WEB)/serve.mjs --port $(WEB_PORT) --graphs out/edge

# The npm package, with the graphs of the codec and of the heads in NPM_HEADS: dist/semcomp-VERSION.tgz
NPM_HEADS ?= objects

npm: out/webgraphs/manifest.json $(WEB)/node_modules/.installed
	node $(WEB)/packages/semcomp/graphs.mjs out/webgraphs --heads "$(NPM_HEADS)"
	mkdir -p dist
	cd $(WEB) && npm pack --workspace semcomp --pack-destination $(CURDIR)/dist

# The tests of both, in node, Chromium and Firefox: the system's, or those that CHROMIUM and FIREFOX name. A browser that is
# missing is named at the end. Screenshots go into out/web.
test-web: web-tools $(VENV)/.dev out/edge/manifest.json $(WEB)/node_modules/.installed
	cd $(WEB) && npm run --silent check
	SEMCOMP_EDGE=out/edge $(BIN)/python -m pytest -rs tests/web $(PYTEST_ARGS)

# Node and the browsers from the system's packages, where they are missing and this user may install them.
web-tools:
	@missing=; command -v npm >/dev/null || missing='nodejs npm'; \
	test -n "$$CHROMIUM" || command -v chromium chromium-browser google-chrome >/dev/null || missing="$$missing chromium"; \
	test -n "$$FIREFOX" || command -v firefox-esr firefox >/dev/null || missing="$$missing firefox-esr"; \
	test -z "$$missing" || { apt-get update -qq && apt-get install -y -qq $$missing; } || command -v npm >/dev/null \
	  || { echo 'make test-web needs node 20 and npm: install them, and Chromium or Firefox' >&2; exit 1; }

$(WEB)/node_modules/.installed: $(WEB)/package.json $(WEB)/package-lock.json $(WEB)/packages/semcomp/package.json
	@command -v npm >/dev/null || { echo 'node 20 or newer and npm are needed: install them first' >&2; exit 1; }
	cd $(WEB) && npm ci --ignore-scripts --no-fund --no-audit
	touch $@

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/test_layers.py tests/test_structure.py tests/test_style.py

# The documentation, in docs-site/: built without a warning, or not at all. Some of its pages come from the code.
docs: $(VENV)/.docs $(VENV)/.dev
	$(BIN)/python -m tools.reference --check
	$(BIN)/python -m tools.results --check
	$(BIN)/zensical build --clean --strict --config-file mkdocs.yml
	@if command -v npm >/dev/null; then $(MAKE) --no-print-directory docs-page; \
	else echo 'the browser page is left out of docs-site: it needs node 20 and npm'; fi

# The browser page inside the documentation: docs-site/page/, which works without a network once it was opened.
docs-page: out/webgraphs/manifest.json $(WEB)/node_modules/.installed
	cd $(WEB) && node build.mjs
	rm -rf docs-site/page
	cp -r $(WEB)/dist docs-site/page
	cp -r out/webgraphs docs-site/page/graphs

docs-serve: $(VENV)/.docs
	$(BIN)/zensical serve --config-file mkdocs.yml

# README_BASE is the address below which the files of the tag are served, so that an index shows the README with its pictures.
# A release in dist/: the client without torch with its graphs, semcomp that depends on it, the npm package, and the sources.
dist: out/graphs/manifest.json $(VENV)/.release
	rm -rf dist build/dist
	$(BIN)/python -m build --sdist --outdir dist
	$(BIN)/python -m tools.dist --graphs out/graphs -o dist $(if $(README_BASE),--readme-base $(README_BASE))
	$(BIN)/twine check --strict dist/*.whl dist/*.tar.gz
	$(BIN)/python -m tests.release.contents dist/*.whl dist/*.tar.gz
	$(MAKE) npm

# The wheels as users get them, in empty environments: the client alone, over an older one, semcomp, semcomp uninstalled, and semcomp on
# top of the client. Each encodes and decodes a photo, and reads the integers that the others wrote.
release-check: dist
	$(BIN)/python -m tests.release.environments dist --work build/release

# Lets malloc keep its memory: without, a third of a training's time goes to page faults.
TRAINING := MALLOC_MMAP_THRESHOLD_=4294967296 MALLOC_TRIM_THRESHOLD_=8589934592 MALLOC_TOP_PAD_=268435456

# Trains the embedded heads anew, as a new codec asks for, and the signature of near-duplicates. One alone: make heads HEADS=street
HEADS ?= things objects street imagenette
TEACHER := out/teachers/teacher_objects/teacher_objects.safetensors

heads: $(VENV)/.teach $(if $(filter objects,$(HEADS)),$(TEACHER) out/objects/classes.txt) \
  $(if $(filter things,$(HEADS)),out/things/classes.txt) $(if $(filter street,$(HEADS)),out/street_pixels.safetensors)
	for name in $(HEADS); do \
	  $(TRAINING) $(BIN)/python -m heads.fit configs/head_$$name.yaml -o semcomp/weights/$$name.safetensors \
	    --card semcomp/weights/$$name.md || exit 1; \
	done

# What finds similar photos: a projection of the features of `things`, fitted in minutes.
embedding: $(VENV)/.core
	$(BIN)/python -m heads.embedding data/photos -o semcomp/weights/embed.safetensors

# What finds near-duplicates: a projection of z, fitted in minutes.
signature: $(VENV)/.core
	$(BIN)/python -m heads.signature data/photos -o semcomp/weights/signature.safetensors

# What heads read of large pictures: a matrix that halves latents, fitted in minutes.
halving: $(VENV)/.core
	$(BIN)/python -m heads.halving data/photos -o semcomp/weights/halving.safetensors

HOLD_OUT := $(BIN)/python -m heads.hold_out out/truth

# True outlines, and what each set holds out; streets, whose cars and walkers the others lack; and photos as a small DeepLab has
# outlined them, for classes of which true outlines are few. Garments alone look like people and are left out.
out/truth/.held: $(VENV)/.core
	for set in voc_animals ccp_person people_small coco_mini davis_val_every4th ecssd_salient; do \
	  mkdir -p out/truth/$$set && ln -sfn $(CURDIR)/data/truth/$$set/* out/truth/$$set/ || exit 1; \
	done
	$(HOLD_OUT)/voc_animals --count 200 --among data/truth/voc_animals/fine.txt
	$(HOLD_OUT)/ccp_person --count 90
	$(HOLD_OUT)/people_small --count 40
	$(HOLD_OUT)/coco_mini --count 24 --skip-copies-of out/truth/voc_animals
	$(HOLD_OUT)/davis_val_every4th --count 30 --together _
	$(HOLD_OUT)/ecssd_salient --count 60 --skip-copies-of out/truth/voc_animals
	$(BIN)/python -m heads.rename_classes data/camvid --classes data/truth/voc_animals/classes.txt -o out/truth/street \
	  --as Car=car --as Pedestrian=person --as Bicyclist=
	mkdir -p out/truth/small_deeplab
	ln -sfn $(CURDIR)/data/photos out/truth/small_deeplab/images
	ln -sfn $(CURDIR)/data/objects out/truth/small_deeplab/masks
	cp data/objects/classes.txt out/truth/small_deeplab
	ls data/photos | grep '^clothing-' | sed 's/\.[^.]*$$//' > out/truth/small_deeplab/skip.txt
	touch $@

# The teacher of `objects`. Stopped, it goes on: make heads TEACHER_ARGS=--resume
$(TEACHER): $(VENV)/.teach out/truth/.held
	$(TRAINING) $(BIN)/python -m heads.teachers.fit configs/teacher_objects.yaml --runs out/teachers $(TEACHER_ARGS)

# What `objects` learns from besides true outlines: photos that the teacher has outlined. Garments alone, which look like people, are left
# out, and so are fish and garbage trucks: it has no class for them, and calls them birds and buses.
out/objects/classes.txt: $(TEACHER)
	$(BIN)/python -m heads.pseudo_labels data/photos data/imagenette/train --without clothing- n01440764 n03417042 --limit 3000 \
	  --network $(TEACHER) --classes data/objects/classes.txt -o out/objects

# What `things` learns from: photos of all kinds with the best of a thousand names. MORE_PHOTOS are further folders of photos.
MORE_PHOTOS ?= $(wildcard data/more/*)

out/things/classes.txt: $(VENV)/.teach
	$(BIN)/python -m heads.teachers.label data/photos data/imagenette/train data/truth/voc_animals/images \
	  data/truth/people_small/images data/truth/coco_mini/images $(MORE_PHOTOS) --names data/weights/imagenet_labels.txt -o out/things

# What the heads are compared with: networks of equal size that see pixels, decoded or original. What `street` spends on
# unfolding, its rivals spend on their last layers.
rivals: $(VENV)/.teach $(if $(filter street,$(HEADS)),out/street_pixels.safetensors)
	for name in $(filter street imagenette,$(HEADS)); do for source in decoded originals; do \
	  [ $$name = street ] && made="head_street.yaml --set segment.width4=24" || made=imagenette_pixels.yaml; \
	  $(TRAINING) $(BIN)/python -m heads.fit configs/$$made --set source=$$source --set name=$${name}_$$source \
	    -o out/$${name}_$$source.safetensors || exit 1; \
	done; done

# What `street` and those networks go on from.
out/street_pixels.safetensors: $(VENV)/.core
	$(TRAINING) $(BIN)/python -m heads.fit configs/street_pixels.yaml -o $@

# Trains the embedded generators anew, as a new codec asks for: two to three hours each on two cores. One alone: make generators GENERATORS=street
GENERATORS ?= street photos

generators: $(VENV)/.dev $(if $(filter street,$(GENERATORS)),out/street_decoded.safetensors out/street_watching.safetensors)
	for name in $(GENERATORS); do \
	  $(TRAINING) $(BIN)/python -m train.generator configs/generator_$$name.yaml -o semcomp/weights/generator_$$name.safetensors \
	    $(GENERATOR_ARGS) || exit 1; \
	done

# Its loss asks whether networks that see pixels still find the classes.
out/street_decoded.safetensors:
	$(MAKE) rivals HEADS=street

out/street_watching.safetensors: $(VENV)/.core
	$(TRAINING) $(BIN)/python -m heads.fit configs/street_watching.yaml -o $@

# The measurements behind the figures of README and docs, on an idle machine; with fewer photos: make bench-rate BENCH_ARGS='--limit 8'
BENCH := $(BIN)/python -m benchmarks
PHOTOS ?= data/val

benchmarks: bench-rate bench-speed bench-arithmetic bench-scaling bench-memory bench-exactness bench-fuzz

bench-rate: $(VENV)/.eval
	$(BENCH).rate $(PHOTOS) --monotone 3 -o out/rate.json --plot out/rate.png $(BENCH_ARGS)

bench-search: $(VENV)/.eval
	$(BENCH).search data/val --classes data/imagenette/val -o out/search.json $(BENCH_ARGS)

bench-effort: $(VENV)/.eval
	$(BENCH).effort data/val/clic data/val/gb82 --limit 4 --side 384 --efforts 5 6 7 8 9 -o out/effort.json $(BENCH_ARGS)
	$(BENCH).effort_costs -o out/effort_costs.json

bench-throughput: $(VENV)/.eval
	$(BENCH).throughput data/camvid -o out/throughput.json $(BENCH_ARGS)

bench-speed: $(VENV)/.eval
	$(BENCH).speed -o out/speed.json $(BENCH_ARGS)

# What networks compute, and the integer path in bytes beside float32.
bench-arithmetic: $(VENV)/.eval
	$(BENCH).arithmetic -o out/arithmetic.json $(BENCH_ARGS)

bench-scaling: $(VENV)/.eval
	$(BENCH).scaling -o out/scaling.json $(BENCH_ARGS)

bench-memory: $(VENV)/.eval
	$(BENCH).memory -o out/memory.json $(BENCH_ARGS)

bench-exactness: $(VENV)/.eval
	$(BENCH).exactness $(PHOTOS) -o out/exactness.json $(BENCH_ARGS)

bench-contention: $(VENV)/.eval
	$(BENCH).contention -o out/contention.json $(BENCH_ARGS)

bench-fuzz: $(VENV)/.eval
	$(BENCH).fuzz -j 2 -o out/fuzz.json $(BENCH_ARGS)

MASKS ?= data/camvid/val/masks

bench-labelmap: $(VENV)/.eval
	$(BENCH).labelmap $(MASKS) --cell 4 -o out/labelmap.json $(BENCH_ARGS)

bench-edge: $(VENV)/.eval out/edge/manifest.json out/edge8/manifest.json
	$(BENCH).edge $(PHOTOS) --int8 out/edge8 -o out/edge.json $(BENCH_ARGS)

# How far answers of the wheel's graphs, which compute in 8 bits, are from the library's.
bench-answers: $(VENV)/.eval out/edge/manifest.json out/graphs/manifest.json
	$(BENCH).edge_int8 data/val --int8 out/graphs --limit 1 --pictures 400 -o out/edge_int8.json $(BENCH_ARGS)

bench-web: $(VENV)/.eval out/edge/manifest.json $(WEB)/node_modules/.installed
	$(BENCH).web $(PHOTOS) -o out/web.json $(BENCH_ARGS)

# Symbols of the library, of semcomp.edge and of the npm package in Chromium and Firefox.
bench-web-symbols: $(VENV)/.eval out/edge/manifest.json $(WEB)/node_modules/.installed
	$(BENCH).web_symbols $(PHOTOS) -o out/web_symbols.json $(BENCH_ARGS)

# What the smaller graphs cost in PSNR.
bench-compact: $(VENV)/.eval out/edge/manifest.json out/webgraphs/manifest.json
	$(BENCH).compact $(PHOTOS) -o out/compact.json $(BENCH_ARGS)

# What a page downloads to show its first file; more than 6 MB with brotli is an error.
bench-web-size: out/webgraphs/manifest.json out/edge/manifest.json $(WEB)/node_modules/.installed
	node $(WEB)/packages/semcomp/graphs.mjs out/webgraphs --heads "$(NPM_HEADS)"
	cd $(WEB) && node build.mjs
	node $(WEB)/packages/semcomp/sizes.mjs --plain out/edge -o out/web_size.json

# Needs the rivals in out/: make rivals. CODECS are those whose pixels the rival of `street` sees too.
CODECS ?= jpeg webp avif

bench-recognition: $(VENV)/.eval
	for name in $(HEADS); do \
	  $(BENCH).recognition configs/head_$$name.yaml -o out/$$name.json --decoded out/$${name}_decoded.safetensors \
	    --originals out/$${name}_originals.safetensors $$([ $$name != street ] || echo --codecs $(CODECS)) $(BENCH_ARGS); \
	done

# Needs the network that judges, trained by heads.fit with source=originals, in out/: make rivals HEADS=street
bench-generative: $(VENV)/.judge
	$(BENCH).generative configs/head_street.yaml --judge out/street_originals.safetensors --generator street \
	  --bpp 0.09 -o out/generative.json $(BENCH_ARGS)

# The code of thumbnails beside its peers, on thumbnails that no training saw.
bench-thumbs: $(VENV)/.eval
	test -f out/thumbs/held.npy || $(BIN)/python -m train.thumbs_data -o out/thumbs
	$(BENCH).thumbs out/thumbs/held.npy -o out/thumbs.json --sheet out/thumbs.webp $(BENCH_ARGS)

# The restorers beside a classical deblocker, and files that were made for the one of JPEG. BSDS names the folder of BSDS500's test pictures.
BSDS ?= data/bsds500_test

bench-restore: $(VENV)/.eval
	$(BENCH).restore data/val/clic --jpeg2000 --compact 12 -o out/restore.json $(BENCH_ARGS)
	$(if $(wildcard $(BSDS)),$(BENCH).restore $(BSDS) --qualities 10,20,30,40,90 -o out/restore_bsds.json $(BENCH_ARGS))

# The wheel of the client in an environment of its own: sizes, times, and symbols beside the library.
bench-wheels: $(VENV)/.eval out/graphs/manifest.json
	test dist -nt out/graphs/manifest.json || $(MAKE) dist
	$(BENCH).wheels $(PHOTOS) -o out/wheels.json $(BENCH_ARGS)

# Many files: what a plan and a file cost, runs that are killed and resumed, and both engines beside each other, which wants two idle cores.
bench-scale: $(VENV)/.dev
	$(BENCH).plan -o out/plan.json
	$(BENCH).scale $(PHOTOS) --only verbs --verb-files 30 -o out/scale_verbs.json $(BENCH_ARGS)
	$(BENCH).scale $(PHOTOS) --only killed engines --files 100000 -o out/scale_killed.json $(BENCH_ARGS)
	$(BENCH).scale $(PHOTOS) --only engines workers --files 12000 -o out/scale_engines.json $(BENCH_ARGS)

bench-service: $(VENV)/.dev
	$(BENCH).service --requests 120 -o out/service.json $(BENCH_ARGS)

# Exact pixels beside PNG, WebP, JPEG-LS and JPEG XL, the memory that they take, and damaged files. MEDICAL names checkouts of
# github.com/pydicom/pydicom-data and github.com/imageio/test_images, whose pictures of more than 8 bits go into DEEP.
DEEP ?= out/deep
MEDICAL ?=

bench-lossless: $(VENV)/.eval
	$(if $(MEDICAL),$(BENCH).deep_samples $(MEDICAL) -o $(DEEP))
	$(BENCH).lossless data/val/gb82 data/val/cid22 -o out/lossless.json $(BENCH_ARGS)
	$(BENCH).lossless data/val/clic -o out/lossless_clic.json $(BENCH_ARGS)
	test ! -d $(DEEP) || $(BENCH).lossless $(DEEP) --deep -o out/lossless_deep.json $(BENCH_ARGS)
	$(BENCH).memory --lossless --limit 2 -o out/lossless_memory.json
	$(BENCH).lossless_fuzz -o out/lossless_fuzz.json

# The same bytes and pixels on torch, numpy, onnxruntime and in Chromium.
bench-lossless-exactness: $(VENV)/.eval out/edge/manifest.json $(WEB)/node_modules/.installed
	$(BENCH).lossless_exactness $(PHOTOS) -o out/lossless_exactness.json $(BENCH_ARGS)

# A head of a user's own. CALTECH is a folder of Caltech-101, with a folder for each class.
CALTECH ?= data/caltech101

bench-fit-head: $(VENV)/.teach
	$(BENCH).fit_head $(CALTECH) --classes bonsai chandelier hawksbill -o out/fit_head.json $(BENCH_ARGS)

# The generator "photos", which has no masks to be judged by.
bench-photos: $(VENV)/.judge
	$(BENCH).generative $(PHOTOS) --generator photos --head objects --keep person,car,dog,cat \
	  --bpp 0.09 -o out/photos.json --sheets out/photos $(BENCH_ARGS)

# The figures of README and docs with their captions, each from its measurement, made first; the last one from a network that sees
# pixels, trained where it is missing: make figures PIXELS=mine.safetensors. A goal that is missed keeps no figure back.
PIXELS ?= out/street_decoded.safetensors

figures: $(VENV)/.eval $(PIXELS)
	-$(MAKE) --keep-going bench-rate bench-photos test-web
	$(BIN)/semcomp eval data/camvid --task segment --head street --pixels $(PIXELS) -o out
	$(BENCH).figures

# The results pages and the table of the README, from what benchmarks left in out/. It measures nothing and takes seconds.
results: $(VENV)/.eval
	$(BIN)/python -m tools.results

# Ten photos, seen in every way that the weights allow.
gallery: $(VENV)/.eval
	$(BENCH).gallery -o out/gallery.json
	$(BIN)/python -m tools.results

# Everything that README and docs show, made from the weights that are there: what is missing or older than its weights is measured,
# then figures, gallery and pages are written. Hours on an idle machine, most of them for the networks that heads are compared with; a
# goal that is missed keeps no figure back, and what could not be measured is named at the end.
MEASURED_HEADS := street imagenette

measure: $(VENV)/.eval
	-targets="$$($(BIN)/python -m tools.results --stale)"; \
	case "$$targets" in *bench-recognition*|*bench-generative*) $(MAKE) rivals HEADS="$(MEASURED_HEADS)";; esac; \
	test -z "$$targets" || $(MAKE) --keep-going HEADS="$(MEASURED_HEADS)" $$targets
	$(MAKE) results
	-$(MAKE) figures
	$(MAKE) gallery
	@echo "still to be measured: $$($(BIN)/python -m tools.results --stale)"

clean:
	rm -rf $(VENV) $(EDGE_VENV) $(WEB)/node_modules $(WEB)/dist $(WEB)/build $(WEB)/packages/semcomp/dist $(WEB)/packages/semcomp/build \
	  $(WEB)/packages/semcomp/graphs out build dist docs-site semcomp.egg-info .pytest_cache .ruff_cache .mypy_cache

# Stamps: an environment is built once, and again when what it is built from changes.
$(VENV)/.core: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "pip fetches torch and the other packages: this takes minutes, and pip is silent until it is done"
	$(PIP) --editable .
	touch $@

$(VENV)/.dev: $(VENV)/.core
	$(PIP) --editable '.[train,dev,export]'
	touch $@

$(VENV)/.release: $(VENV)/.core
	$(PIP) --editable '.[release]'
	touch $@

$(VENV)/.docs: $(VENV)/.core
	$(PIP) --editable '.[docs]'
	touch $@

$(VENV)/.eval: $(VENV)/.core
	$(PIP) --editable '.[train,eval]'
	touch $@

$(VENV)/.teach: $(VENV)/.core
	$(PIP) --editable '.[train,teach]'
	touch $@

$(VENV)/.judge: $(VENV)/.eval
	$(PIP) --editable '.[judge]'
	touch $@

$(VENV)/.export: $(VENV)/.core
	$(PIP) --editable '.[export]'
	touch $@

# Adds the graph of the restorer to a folder of graphs.
define export-restorer
	rm -f $(1)/restorer.onnx
	$(BIN)/semcomp export onnx -o $(1) --restorer restorer
endef

out/edge/manifest.json: $(VENV)/.export $(wildcard semcomp/weights/*.safetensors)
	$(BIN)/semcomp export onnx -o out/edge --generators all --force
	$(call export-restorer,out/edge)

# What the npm package and the documentation carry: smaller graphs, and the heads in NPM_HEADS.
out/webgraphs/manifest.json: $(VENV)/.export $(wildcard semcomp/weights/*.safetensors)
	$(BIN)/semcomp export onnx -o out/webgraphs --compact --heads "$(NPM_HEADS)" --force
	$(call export-restorer,out/webgraphs)

# Photos that set the scales of the int8 graphs; none of those that figures come from.
CALIBRATION ?= data/photos

out/edge8/manifest.json: $(VENV)/.export $(wildcard semcomp/weights/*.safetensors)
	$(BIN)/semcomp export onnx -o out/edge8 --generators all --int8 --calibration $(CALIBRATION) --force

EDGE_HEADS := things,objects,street

# What a release puts into semcomp/graphs. Analysis, heads and their latents compute in integers there, and python -m benchmarks.edge_int8 finds no
# loss. Without the photos of CALIBRATION the sample photo sets their scales, which is good enough for a trial alone.
out/graphs/manifest.json: $(VENV)/.export $(wildcard semcomp/weights/*.safetensors)
	$(BIN)/semcomp export onnx -o out/graphs --force --heads $(EDGE_HEADS) --int8 --int8-parts analysis,mean,heads \
	  $(if $(wildcard $(CALIBRATION)),--calibration $(CALIBRATION))
	$(call export-restorer,out/graphs)

$(EDGE_VENV)/.client: constraints.txt
	test -x $(EDGE_VENV)/bin/python || $(PYTHON) -m venv $(EDGE_VENV)
	$(EDGE_VENV)/bin/python -m pip --disable-pip-version-check install --quiet -c constraints.txt \
	  numpy onnxruntime pillow constriction
	touch $@

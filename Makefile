# The project's commands. `make run` and `make test` set up everything they need on a Debian machine with a Swift toolchain.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PORT ?= 8080
MANIFEST ?= examples/minimal.yaml
RELEASE := .build/release/agentpool

BUILD_PACKAGES := libcurl4-openssl-dev libssl-dev libsqlite3-dev libhiredis-dev
TEST_PACKAGES := python3 python3-h2 python3-venv openssl redis-server redis-tools busybox haproxy curl
# The Milvus servers that tests run on.
STORES := $(CURDIR)/.build/stores
TEST := Tests/again Tests/swift-test --skip-build
# The controller's and the chart's tests run beside a real control plane where KUBEBUILDER_ASSETS names one.
CLUSTER := $(if $(KUBEBUILDER_ASSETS),Tests/Kubernetes/api_server.py --)

.PHONY: help
help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

.PHONY: run
run: build-deps ## install what is missing, build, and serve an example pool on embedded stores (PORT=8080)
	swift build -c release --product agentpool
	$(RELEASE) run -f $(MANIFEST) --port $(PORT)

.PHONY: test
test: test-deps ## every test: Swift suites, then real clients against the release binary
	Tests/again Tests/Stores/install $(STORES)
	swift build --build-tests
	$(TEST) --skip 'RedisTests|MilvusTests|OperatorTests'
	Tests/again $(CLUSTER) Tests/swift-test --skip-build --filter OperatorTests
	$(TEST) --filter RedisTests
	MILVUS_LITE=$(STORES)/lite/bin/milvus-lite MILVUS_STANDALONE=$(STORES)/standalone/bin/milvus \
	  $(TEST) --filter MilvusTests
	for l2 in redis cluster; do AGENTPOOL_TEST_L2=$$l2 Tests/again python3 Tests/Stores/stores.py \
	  --milvus-lite $(STORES)/lite/bin/milvus-lite -- Tests/swift-test --skip-build --filter 'MemoryTests|OnStoresTests' || exit 1; done
	swift build -c release --product agentpool
	swift build -c release --product agentpool-early-ack
	swift build -c release --product agentpool-api-stand-in
	Tests/again $(CLUSTER) Tests/Chart/run
	Tests/Acceptance/run --lanes 2
	AGENTPOOL_EARLY=.build/release/agentpool-early-ack Tests/again Tests/Acceptance/run crash --kills 40 --expect-loss
	AGENTPOOL_EARLY=.build/release/agentpool-early-ack Tests/again Tests/Acceptance/run bad_stores --expect-loss

.PHONY: tsan
tsan: test-deps ## the Swift suites under the thread sanitizer
	swift build --build-tests --sanitize=thread --scratch-path .build-tsan
	export TSAN_OPTIONS=suppressions=$(CURDIR)/Tests/thread-sanitizer.supp; \
	test="swift test --skip-build --sanitize=thread --scratch-path .build-tsan"; \
	$$test --skip 'RedisTests|MilvusTests' && $$test --filter RedisTests && $$test --filter MilvusTests

.PHONY: bench
bench: test-deps ## the benchmarks, beside what a user would pick instead; prints a table
	swift build -c release --product agentpool
	Benchmarks/run

.PHONY: lint
lint: ## formatting and its rules
	swift format lint --strict --recursive --parallel Package.swift Sources Tests Benchmarks

# The image's name and what its labels say.
VERSION := $(shell sed -n 's/^appVersion: *//p' charts/agentpool/Chart.yaml)
IMAGE ?= agentpool:$(VERSION)
REVISION ?= $(shell git rev-parse HEAD 2> /dev/null || echo unknown)$(if $(shell git status --porcelain 2> /dev/null),-changed)
SOURCE ?= $(shell git config --get remote.origin.url | grep '^https://')
ENGINES ?= docker podman buildah
# More options of the engine's `build`.
IMAGE_FLAGS ?=

.PHONY: image
image: ## the container image (IMAGE=agentpool:VERSION), with the first of docker, podman and buildah that works
	@for engine in $(ENGINES); do \
	  if $$engine info > /dev/null 2>&1; then echo "building $(IMAGE) with $$engine"; \
	    exec $$engine build $(IMAGE_FLAGS) --build-arg VERSION=$(VERSION) --build-arg REVISION=$(REVISION) \
	      --build-arg SOURCE=$(SOURCE) --tag $(IMAGE) .; fi; \
	done; echo "none of these works here: $(ENGINES)"; exit 1

.PHONY: build-deps test-deps
build-deps: PACKAGES := $(BUILD_PACKAGES)
test-deps: PACKAGES := $(BUILD_PACKAGES) $(TEST_PACKAGES)
build-deps test-deps:
	@command -v swift > /dev/null || { echo "install a Swift 6.2 (or newer) toolchain first: https://swift.org/install"; exit 1; }
	@missing=""; for package in $(PACKAGES); do \
	  dpkg-query -W -f '$${Status}' $$package 2> /dev/null | grep -q 'ok installed' || missing="$$missing $$package"; done; \
	if [ -n "$$missing" ]; then echo "installing:$$missing"; \
	  as_root=""; [ "$$(id -u)" = 0 ] || as_root=sudo; \
	  $$as_root apt-get update -qq -o Acquire::Retries=3 && \
	  DEBIAN_FRONTEND=noninteractive $$as_root apt-get install -y -qq -o Acquire::Retries=3 $$missing > /dev/null; fi

# make: builds bin/integritee-service, bin/integritee-cli and bin/ocw (static, pure Go).
WORKER_MODE ?= offchain-worker

ifneq ($(WORKER_MODE),offchain-worker)
$(error WORKER_MODE=$(WORKER_MODE) is not supported: this worker has one mode, offchain-worker)
endif

export CGO_ENABLED = 0
GO_BUILD = go build -trimpath -ldflags "-s -w"

.PHONY: all build test lint fuzz bench clean
all: build

build:
	$(GO_BUILD) -o bin/ ./cmd/integritee-service ./cmd/integritee-cli ./cmd/ocw

test:
	CGO_ENABLED=1 go test -race ./...

lint:
	.ci/lint

fuzz:
	.ci/fuzz

bench:
	go test -run '^$$' -bench . -benchmem ./...

clean:
	rm -rf bin

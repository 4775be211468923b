# make demo   rehearses the shop in examples/shop, from a fresh clone to the report
# make test   runs every test, with the real parts they need
# make check  what a change must pass before it is committed

GO       ?= go
BIN      := bin/premortem
BUDGET   ?= 110s
export CGO_ENABLED = 0

.PHONY: demo test short check bench bench-ghost bench-load bench-rows fuzz build setup-demo setup-test docs

build: $(BIN)

$(BIN): $(shell find . -name '*.go' -not -path './*/node_modules/*' -not -path './.git/*') $(shell find report/html check/testdata clone -type f -not -name '*.go' 2>/dev/null) go.mod go.sum
	@mkdir -p bin
	$(GO) build -trimpath -o $(BIN) ./cmd/premortem

# Everything outside the Go tool chain: PostgreSQL comes by itself on first use.
setup-demo:
	@tools/setup.sh demo

setup-test:
	@tools/setup.sh test

examples/shop/node_modules/.package-lock.json: examples/shop/package-lock.json
	npm ci --prefix examples/shop --no-audit --no-fund --loglevel=error

# Exit code 1 is the demo's right answer: findings stand. Anything else is a failure.
demo: setup-demo build examples/shop/node_modules/.package-lock.json
	@$(BIN) rehearse --budget $(BUDGET) examples/shop; code=$$?; \
	echo "premortem ended with exit code $$code$$([ $$code -eq 1 ] && echo ': findings stand')"; exit $$code

test: setup-test examples/shop/node_modules/.package-lock.json
	cd examples/shop && npm test --silent
	$(GO) vet ./...
	$(GO) test -p 1 -timeout 40m ./...

short:
	$(GO) test -short ./...

check: short
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go'); exit 1; }
	$(GO) vet ./...
	GOOS=darwin $(GO) vet ./...

bench:
	$(GO) test -run '^$$' -bench . -benchtime 1x ./postgres ./wire ./drive
	$(GO) test -run '^$$' -bench BenchmarkCheck -benchtime 1x ./read

# The load generator beside wrk, vegeta and k6, one core for each and another for the
# server. The peers are built from their own modules, as tools/bench/peers pins them.
PEERS := bin/peers
bench-load:
	@mkdir -p $(PEERS)
	$(GO) build -C tools/bench/peers -o $(CURDIR)/$(PEERS)/ github.com/tsenart/vegeta/v12 go.k6.io/k6
	PEERS=$(CURDIR)/$(PEERS) $(GO) test -run '^$$' -bench 'Peers' -benchtime 1x -timeout 10m ./drive

# For the night: each parser is fed for FUZZTIME with what the ones before it found.
FUZZTIME ?= 60s
fuzz:
	@for f in $$($(GO) test -list '^Fuzz' ./read | grep '^Fuzz'); do \
		$(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) -parallel 2 ./read || exit 1; \
	done

# Ghost databases beside really populated ones: every major at its own size, then up to
# 32 times the rows. It prints both tables and the speed; allow an hour.
bench-ghost:
	$(GO) test ./postgres -run 'TestGhostPlansAs|TestGhostPredicts' -ghost-full -v -timeout 3h
	$(GO) test ./postgres -run '^$$' -bench Ghost -benchtime 1x

# The shop with 500,000 users and 2,000,000 orders: its rows against a raw COPY BINARY
# FREEZE of the same bytes and against INSERT … SELECT, in the same run; then ten million
# rows and the memory that making them takes; then how like production's rows are.
bench-rows:
	$(GO) test ./postgres -run '^$$' -bench '^Benchmark(Copy|Load)$$' -benchtime 1x -timeout 1h
	$(GO) test ./postgres -run '^$$' -bench '^BenchmarkMemory$$' -benchtime 1x
	$(GO) test ./postgres -run '^TestRowsOfAProfileAreLikeProductions$$' -v

docs:
	$(GO) test ./check ./judge ./report ./observe -run TestDocsAreCurrent -update

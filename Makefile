.PHONY: test race lint fuzz cover fmt tidy ci soak reliability mutants bench bench-quick bench-gate bench-readme

test:
	go test ./...

race:
	.ci/run race

lint:
	.ci/run format vet staticcheck golangci-lint deadcode

# FUZZTIME=5m make fuzz
fuzz:
	.ci/run fuzz

# Leaves coverage.out for go tool cover -html=coverage.out.
cover:
	.ci/run coverage

fmt:
	GOWORK=off go tool -modfile=tools/go.mod gofumpt -l -w $$(git ls-files --cached --others --exclude-standard '*.go')

# All modules of the workspace.
tidy:
	.ci/tidy

# What a change must pass.
ci:
	.ci/run

# The full size of every row of docs/reliability.md, in about 45 minutes: a
# million executions of the parser's fuzz target (F3), then ten minutes of it
# (F7), and F15 once more under the race detector.
soak:
	rm -f rows-full.json rows-full.json.new
	SSE_SOAK=1 SSE_ROWS=$(CURDIR)/rows-full.json.new go test -count=1 -timeout 2h ./...
	SSE_SOAK=1 go test -race -count=1 -run '^TestCloseFromEverywhere$$' .
	go test -run '^$$' -fuzz '^FuzzParser$$' -fuzztime 1000000x .
	go test -run '^$$' -fuzz '^FuzzParser$$' -fuzztime 10m .
	mv rows-full.json.new rows-full.json

# Writes the figures of the last make soak, and of the scaled run it makes,
# into docs/reliability.md.
reliability:
	rm -f rows.json
	SSE_ROWS=$(CURDIR)/rows.json go test -count=1 ./...
	cat rows-full.json >>rows.json
	go run ./internal/rows/write rows.json docs/reliability.md

# Plants faults in the library and shows that named tests catch them.
mutants:
	go run ./internal/mutants

# Prints the table: this library, hand loops and peers side by side.
bench:
	go run ./bench

# The same in fewer rounds, under 3 minutes.
bench-quick:
	go run ./bench -quick

# Names the cells whose median misses its target by more than 15%.
bench-gate:
	go run ./bench -quick -gate

# Writes the table into README.md, between the lines bench:begin and bench:end.
bench-readme:
	go run ./bench -write

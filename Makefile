.PHONY: test race lint fuzz cover fmt tidy ci

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

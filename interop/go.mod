module github.com/wellspring-go/sse/interop

go 1.25.0

require (
	github.com/cenkalti/backoff/v4 v4.3.0
	github.com/google/go-cmp v0.7.0
	github.com/wellspring-go/sse v0.1.0
)

package main

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/itchyny/gojq"

	"github.com/wellspring-go/sse"
)

// loopVariable in the environment makes this program such a loop. Its value
// is what the loop does with an event, and the first argument the URL.
const loopVariable = "SSE_BENCH_LOOP"

// commandLoop is the other process. It does not return if it is asked for.
func commandLoop() {
	work := os.Getenv(loopVariable)
	if work == "" {
		return
	}
	do, err := loopWork(work)
	if err != nil {
		exit(err)
	}
	o := sse.Options{Method: http.MethodGet, Retry: sse.NoRetry}
	for ev, err := range sse.Source(os.Args[1], o).All() {
		if err == nil {
			err = do(ev)
		}
		if err != nil {
			exit(err)
		}
	}
	exit(nil)
}

// loopWork returns what a loop does with each event.
func loopWork(work string) (func(sse.Event) error, error) {
	switch work {
	case "json":
		type line struct {
			Seq   uint64          `json:"seq"`
			Time  time.Time       `json:"time"`
			Event string          `json:"event"`
			ID    string          `json:"id"`
			Data  string          `json:"data"`
			JSON  json.RawMessage `json:"json,omitempty"`
		}
		out, seq := json.NewEncoder(io.Discard), uint64(0)
		return func(ev sse.Event) error {
			seq++
			l := line{Seq: seq, Time: time.Now(), Event: ev.Name, ID: ev.ID, Data: ev.Data}
			if data := []byte(ev.Data); json.Valid(data) {
				l.JSON = data
			}
			return out.Encode(l)
		}, nil
	case "jq":
		query, err := gojq.Parse(".n")
		if err != nil {
			return nil, err
		}
		code, err := gojq.Compile(query)
		if err != nil {
			return nil, err
		}
		return func(ev sse.Event) error {
			var v any
			if err := json.Unmarshal([]byte(ev.Data), &v); err != nil {
				return err
			}
			for got, ok := code.Run(v).Next(); ok; ok = false {
				if err, ok := got.(error); ok {
					return err
				}
			}
			return nil
		}, nil
	default:
		return func(sse.Event) error { return nil }, nil
	}
}

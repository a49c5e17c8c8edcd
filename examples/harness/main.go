// Harness shows how to test a program that reads an event stream: the program
// is this small one, which prints halts and counts prices until the market
// closes. Its tests, in harness_test.go, put it through an hour of back-off, a
// cut, a refusal and a dead connection, in no time.
//
//	go test -v ./examples/harness
//	go run ./examples/harness URL
package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/wellspring-go/sse"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: harness URL")
		os.Exit(2)
	}
	// Options and loop are functions of their own, so that a test can put
	// another server in between.
	prices, err := watch(sse.Source(os.Args[1], options()), os.Stdout)
	fmt.Println("prices:", prices)
	if err != nil {
		fmt.Println("fatal:", err)
		os.Exit(1)
	}
}

// options say how the market's feed is read. It ends its day with an event
// named "closed", and has a heartbeat of 15 s.
func options() sse.Options {
	return sse.Options{
		Method:      http.MethodGet,
		IdleTimeout: 45 * time.Second,
		EndOn:       func(ev sse.Event) bool { return ev.Name == "closed" },
	}
}

// watch prints halts and returns the number of prices.
func watch(src *sse.EventSource, out io.Writer) (int, error) {
	prices := 0
	for ev, err := range src.All() {
		if err != nil {
			return prices, err
		}
		switch ev.Name {
		case "price":
			prices++
		case "halt":
			fmt.Fprintln(out, "halt:", ev.Data)
		}
	}
	return prices, nil
}

package main

import "os"

// runFaulty is sse with a panic at the place that FAULT names, the third time
// that it is come by.
func runFaulty() {
	times := map[string]int{}
	fault := os.Getenv("FAULT")
	topHook = func(where string) {
		if where == fault {
			if times[where]++; times[where] == 3 {
				panic("this is a test")
			}
		}
	}
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

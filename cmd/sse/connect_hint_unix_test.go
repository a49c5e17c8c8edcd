//go:build unix

package main

const refusedHint = "is the server running, and is the port right?"

package main

// The system has an error of its own for it.
const refusedHint = ""

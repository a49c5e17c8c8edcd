package recording_test

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/wellspring-go/sse"
	"github.com/wellspring-go/sse/recording"
)

func ExampleReader() {
	const text = `:@ open status=200 content-type=text/event-stream
id: 1
data: up

:@ +1m30s
:@ end reset

:@ +2s
:@ open status=503 retry-after=5
`
	for step, err := range recording.NewReader(strings.NewReader(text)).All() {
		if err != nil {
			fmt.Println(err)
			return
		}
		switch step.Kind {
		case recording.Open:
			fmt.Println("after", step.Wait, "status", step.Status)
		case recording.Event:
			fmt.Println("after", step.Wait, "event", step.Event.Data)
		case recording.End:
			fmt.Println("after", step.Wait, "end", step.Cause)
		default: // a comment, say
		}
	}
	// Output:
	// after 0s status 200
	// after 0s event up
	// after 1m30s end reset
	// after 2s status 503
	// after 0s end eof
}

// A plain event stream is a recording of one connection.
func ExampleReader_plain() {
	for step, err := range recording.NewReader(strings.NewReader("data: a\n\ndata: b\n\n")).All() {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("%v %q\n", step.Kind, step.Event.Data)
	}
	// Output:
	// Open ""
	// Event "a"
	// Event "b"
	// End ""
}

func ExampleWriter() {
	w := recording.NewWriter(os.Stdout)
	for _, step := range []recording.Step{
		{Kind: recording.Open, After: 40 * time.Millisecond},
		{Kind: recording.Event, Event: sse.Event{Name: "price", Data: `{"p":10}`, ID: "1"}},
		{Kind: recording.Comment, Text: "@ end reset", Wait: 15 * time.Second},
		{Kind: recording.End, Cause: recording.EOF},
	} {
		if err := w.Write(step); err != nil {
			fmt.Println(err)
			return
		}
	}
	// Output:
	// :@ open status=200 after=40ms
	// id: 1
	// event: price
	// data: {"p":10}
	//
	// :@ +15s
	// :@@ end reset
	// :@ end eof
}

// What a server sends: the id only if it is not in force already.
func ExampleStep_Append() {
	step := recording.Step{Kind: recording.Event, Event: sse.Event{Data: "two\nlines", ID: "7"}}
	fmt.Printf("%q\n%q\n", step.Append(nil, ""), step.Append(nil, "7"))
	// Output:
	// "id: 7\ndata: two\ndata: lines\n\n"
	// "data: two\ndata: lines\n\n"
}

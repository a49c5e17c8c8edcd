package ssetest_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/wellspring-go/sse"
	"github.com/wellspring-go/sse/ssetest"
)

// failing keeps the message of the check that failed.
type failing struct {
	testing.TB
	message string
}

func (f *failing) Helper()                           {}
func (f *failing) Errorf(format string, args ...any) { f.message = fmt.Sprintf(format, args...) }
func (f *failing) Fatalf(format string, args ...any) { f.message = fmt.Sprintf(format, args...) }

// A stream that hangs ends in the usual message, not in a deadlock.
func TestChecksOfAStreamThatHangsSayWhatWasSeen(t *testing.T) {
	two := []sse.Event{{Name: "message", Data: "1"}, {Name: "message", Data: "2"}}
	for name, check := range map[string]func(testing.TB, *sse.EventSource){
		"Collect": func(tb testing.TB, src *sse.EventSource) { ssetest.Collect(tb, src.All(), 2) },
		"Want":    func(tb testing.TB, src *sse.EventSource) { ssetest.Want(tb, src.All(), two) },
		"Take":    func(tb testing.TB, src *sse.EventSource) { ssetest.Take(tb, src.SelectAll().Events(), 2) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := ssetest.New(t, ssetest.Stream(ssetest.Emit(two[0]), ssetest.Hold()))
				f := &failing{TB: t}
				check(f, srv.Source(sse.Options{}))
				for _, part := range []string{"event 1: nothing more came", "got: [{", "want: "} {
					if !strings.Contains(f.message, part) {
						t.Errorf("%q is missing in:\n%s", part, f.message)
					}
				}
			})
		})
	}
}

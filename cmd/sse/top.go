package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/spf13/cobra"
)

// A top is one run of the command top.
type top struct {
	connection
	screen  *topScreen
	tally   *tally
	view    topView
	streams []*topStream
	fault   chan error // a panic of a stream's goroutine
}

// topHook is called by the goroutine of the screen and those of the streams;
// tests make it panic.
var topHook func(where string)

// redrawn is how often the screen is drawn if no key is pressed.
const redrawn = 100 * time.Millisecond

// newTop returns the command top.
func newTop() *cobra.Command {
	t := &top{fault: make(chan error, 1)}
	cmd := &cobra.Command{
		Use:   "top URL...",
		Short: "watch the rates of streams on the full screen",
		Long: `Watch streams on the full screen: the state of each stream, and a row for
each event name with its count, rate, last minute, age and bytes. Keys: space
pauses, / filters, enter shows the last events of a name, r reconnects, ? tells
the others, q quits, with the code of sse tail if all streams have ended.`,
		Example: `  sse top https://example.com/events
  sse top --retry always localhost:8080/a localhost:8080/b`,
		Args: cobra.ArbitraryArgs,
		RunE: t.run,
	}
	t.addFlags(cmd.Flags())
	cmd.Flags().Lookup("state").Hidden = true // refused with a reason
	return cmd
}

// run shows the streams until the user has seen enough.
func (t *top) run(cmd *cobra.Command, args []string) error {
	urls, err := t.urls(cmd, args)
	if err != nil {
		return err
	}
	if t.state != "" {
		return usagef("--state: sse top keeps no state; use sse tail --state FILE")
	}
	if !isTerminal(cmd.OutOrStdout()) {
		return usagef("sse top fills a screen, but stdout is not a terminal; use sse tail")
	}
	if os.Getenv("TERM") == "dumb" {
		return usagef("sse top fills a screen, which this terminal cannot (TERM=dumb); use sse tail")
	}
	if err := t.open(cmd, urls); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(cmd.Context())
	defer cancel()
	screen, err := openScreen()
	if err != nil {
		return codeError{exitOutput, fmt.Errorf("no full screen: %w", err)}
	}
	t.screen = screen
	var wg sync.WaitGroup
	for _, s := range t.streams {
		wg.Go(func() { s.follow(ctx) })
	}
	err = t.show(ctx)
	screen.Fini()
	cancel()
	wg.Wait()
	return err
}

// show draws and takes keys until the end.
func (t *top) show(ctx context.Context) (err error) {
	defer recovered(&err)
	ticker := time.NewTicker(redrawn)
	defer ticker.Stop()
	for {
		t.screen.draw(t.lines())
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case err := <-t.fault:
			return err
		case <-ticker.C:
		case ev, ok := <-t.screen.EventQ():
			// Keys that come faster than they can be drawn are taken together.
			for ok {
				if done, err := t.press(keyName(ev)); done {
					return err
				}
				select {
				case ev, ok = <-t.screen.EventQ():
					continue
				default:
				}
				break
			}
			if !ok {
				return codeError{exitOutput, errors.New("the terminal is gone")}
			}
		}
	}
}

// press does what a key asks for.
func (t *top) press(key string) (done bool, err error) {
	switch t.action(key) {
	case actQuit:
		return true, t.verdict()
	case actInterrupt:
		return true, signalError{os.Interrupt}
	case actRedraw:
		t.screen.Sync()
	case actReconnect:
		for _, s := range t.streams {
			s.reconnect()
		}
	case actNone:
	}
	return false, nil
}

func (t *top) action(key string) topAction {
	t.tally.mu.Lock()
	defer t.tally.mu.Unlock()
	return t.view.key(key, t.tally, time.Now())
}

// lines returns what is to be drawn.
func (t *top) lines() []screenLine {
	t.tally.mu.Lock()
	defer t.tally.mu.Unlock()
	if topHook != nil {
		topHook("lines")
	}
	t.view.width, t.view.height = t.screen.Size()
	return t.view.lines(t.tally, time.Now())
}

// open prepares the streams.
func (t *top) open(cmd *cobra.Command, urls []string) (err error) {
	t.tally = newTally(time.Now())
	for i, url := range urls {
		s := &topStream{top: t, index: i, again: make(chan struct{}, 1)}
		if s.stream, err = t.connection.stream(cmd, url); err != nil {
			return err
		}
		t.streams = append(t.streams, s)
		t.tally.streams = append(t.tally.streams, streamTally{shown: s.shown})
	}
	return nil
}

// verdict returns what the ends of the streams come to: nothing as long as
// one lives.
func (t *top) verdict() error {
	var worst error
	var code int
	for _, s := range t.streams {
		ended, err := s.verdict()
		if !ended {
			return nil
		}
		if coded, ok := errors.AsType[codeError](err); ok && severity(coded.code) > severity(code) {
			worst, code = err, coded.code
		}
	}
	return worst
}

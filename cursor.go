package sse

import (
	"context"
	"fmt"
)

// A Cursor keeps a last event id where it outlives the process. Package
// cursor has two.
type Cursor interface {
	// Load returns the id that was saved last, "" if there is none. It is
	// called before the first request; an error is a failed attempt, which is
	// retriable, and Load is called again with the next.
	Load(ctx context.Context) (id string, err error)
	// Save makes id the one that Load returns. It is called by Ack.
	Save(ctx context.Context, id string) error
}

// Ack says that e and all events before it are handled: it saves e.ID, an
// empty one included, into Options.Cursor and returns when that is done. An id
// that cannot be sent back is refused with an error, and the cursor stays. The
// zero Event does nothing, nor does Ack without a Cursor. It works after Close
// too. Ack in order, from one loop over one selection.
func (s *EventSource) Ack(e Event) error {
	if s.o.Cursor == nil || e == (Event{}) {
		return nil
	}
	if err := checkID(e.ID); err != nil {
		return err
	}
	// What was handled stays handled when the source has ended.
	if err := s.o.Cursor.Save(s.values, e.ID); err != nil {
		return fmt.Errorf("sse: Options.Cursor: Save: %w", err)
	}
	return nil
}

// loadCursor begins at the saved id, once.
func (s *EventSource) loadCursor(ctx context.Context) error {
	if s.o.Cursor == nil || s.loaded {
		return nil
	}
	id, err := s.o.Cursor.Load(ctx)
	if err != nil {
		return failedHook("Options.Cursor: Load", err)
	}
	s.loaded = true
	if id == "" {
		return nil
	}
	if err := checkID(id); err != nil {
		s.report(fmt.Errorf("sse: Options.Cursor: %w", err))
		return nil
	}
	s.mu.Lock()
	s.resumeID = id
	s.mu.Unlock()
	return nil
}

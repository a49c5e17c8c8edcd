package main

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// unsendable says why an id cannot be sent back as Last-Event-ID, or "".
func unsendable(id string) string {
	const most = 4 << 10
	switch {
	case len(id) > most:
		return "is longer than 4 KiB"
	case strings.ContainsFunc(id, isControl):
		return "holds a control character"
	case strings.Trim(id, " \t") != id:
		return "has space at its edges, which gets lost"
	}
	return ""
}

func judgeIDs(events []sentEvent) verdict {
	const give = "give each event an id of its own, by which it can be found again"
	ids := idsOf(events)
	switch {
	case len(events) == 0:
		return checkIDs.skip("no event came")
	case len(ids) == 0:
		return checkIDs.warn(give, "none on %s: a client that is cut off loses some", plural(len(events), "event"))
	}
	known := make(map[string]bool, len(ids))
	for _, id := range ids {
		if why := unsendable(id); why != "" {
			return checkIDs.fail("clients cannot send it back: use plain, short ids", "id %s %s", quoted(id), why)
		}
		if known[id] {
			return checkIDs.fail(give, "id %s is on several events: a client that is cut off between them loses some", quoted(id))
		}
		known[id] = true
	}
	on := fmt.Sprintf("on %d of %s", len(ids), plural(len(events), "event"))
	if len(ids) < len(events) {
		return checkIDs.warn(give, "%s: after a cut the others may come again, or be lost", on)
	}
	switch order(ids) {
	case fallsSomewhere:
		return checkIDs.warn("let ids grow, so that order and gaps can be seen", "%s, unique, but they do not grow", on)
	case grows:
		return checkIDs.ok("%s, unique, growing", on)
	default:
		return checkIDs.ok("%s, unique", on)
	}
}

// idsOf returns the ids that are not empty.
func idsOf(events []sentEvent) []string {
	var ids []string
	for _, e := range events {
		if e.id != "" {
			ids = append(ids, e.id)
		}
	}
	return ids
}

// An ordering is what can be said about the order of ids.
type ordering int

const (
	noOrder ordering = iota // the ids are names, not numbers; or too few
	grows
	fallsSomewhere
)

func order(ids []string) ordering {
	found := noOrder
	for i := 1; i < len(ids); i++ {
		c, ok := compareIDs(ids[i-1], ids[i])
		if !ok {
			return noOrder
		}
		if found != fallsSomewhere {
			found = grows
		}
		if c > 0 {
			found = fallsSomewhere
		}
	}
	return found
}

// compareIDs compares ids that are numbers, or have numbers in the same
// places, as "1526919030474-55".
func compareIDs(a, b string) (c int, ok bool) {
	for a != "" && b != "" {
		if n, m := digits(a), digits(b); n > 0 && m > 0 {
			x, y := strings.TrimLeft(a[:n], "0"), strings.TrimLeft(b[:m], "0")
			c = cmp.Or(c, cmp.Compare(len(x), len(y)), strings.Compare(x, y))
			a, b = a[n:], b[m:]
			continue
		}
		if a[0] != b[0] {
			return 0, false
		}
		a, b = a[1:], b[1:]
	}
	return c, a == b
}

func digits(s string) int { return len(s) - len(strings.TrimLeft(s, "0123456789")) }

// A resumption is what was seen of a stream's answers to Last-Event-ID.
type resumption struct {
	first   *visit
	again   *visit // asked for what follows the last id, "" if there is none
	from    int    // index in the ids of first
	earlier *visit // asked for what follows that id; nil: not asked
}

const resumeAdvice = "after Last-Event-ID: X send what follows X, once, and nothing before"

// judge says whether the server goes on behind the id that it is asked with.
// The last id shows repeats; an earlier one, of which it is known what comes
// next, shows what is skipped.
func (r *resumption) judge() verdict {
	last, reconnect := quoted(r.first.lastID), "the reconnect"
	if r.first.lastID != "" {
		reconnect += " with id " + last
	}
	switch {
	case r.again.end.Status == http.StatusNoContent:
		return checkResume.ok("%s is answered 204: there is no more", reconnect)
	case !r.again.accepted() && passing(r.again):
		return checkResume.warn("let clients come back with Last-Event-ID", "%s is refused for now: %s", reconnect, refusal(r.again))
	case !r.again.accepted():
		return checkResume.fail("let clients come back with Last-Event-ID", "%s is refused: %s", reconnect, refusal(r.again))
	case r.first.lastID == "":
		return r.judgeNameless()
	}
	if id, ok := r.repeated(); ok {
		return checkResume.fail(resumeAdvice, "not honoured: asked for what follows id %s it repeats id %s", last, quoted(id))
	}
	if r.earlier != nil && r.earlier.accepted() {
		return r.judgeEarlier()
	}
	if got := idsOf(r.again.events); len(got) > 0 {
		return checkResume.ok("after id %s it goes on with id %s", last, quoted(got[0]))
	}
	return checkResume.skip("after id %s nothing came within %s: it repeats nothing, but may skip", last, durationText(r.again.took))
}

// repeated returns an id that came again after the last one.
func (r *resumption) repeated() (string, bool) {
	known := idsOf(r.first.events)
	for _, id := range idsOf(r.again.events) {
		if slices.Contains(known, id) {
			return id, true
		}
	}
	return "", false
}

// judgeNameless is about a stream without ids.
func (r *resumption) judgeNameless() verdict {
	const advice = "give events ids, and honour Last-Event-ID"
	old, now := r.first.events, r.again.events
	n := min(len(old), len(now))
	switch {
	case n == 0:
		return checkResume.skip("the reconnect brought nothing within %s", durationText(r.again.took))
	case slices.EqualFunc(old[:n], now[:n], func(a, b sentEvent) bool { return a.sum == b.sum }):
		return checkResume.warn(advice, "without ids each connection begins anew: it repeats the first %s", plural(n, "event"))
	}
	return checkResume.warn(advice, "without ids it skips what is sent while a client is away")
}

func (r *resumption) judgeEarlier() verdict {
	ids := idsOf(r.first.events)
	from, want := ids[r.from], ids[r.from+1:]
	got := idsOf(r.earlier.events)
	asked := "not honoured: asked for what follows id " + quoted(from) + " it "
	switch {
	case len(got) == 0:
		return checkResume.fail(resumeAdvice, "%sskips %s: nothing comes within %s", asked, plural(len(want), "event"), durationText(r.earlier.took))
	case got[0] == want[0]:
		for i := range min(len(got), len(want)) {
			if got[i] != want[i] {
				return checkResume.fail(resumeAdvice, "%ssends id %s in place of id %s", asked, quoted(got[i]), quoted(want[i]))
			}
		}
		return checkResume.ok("honoured: after id %s it goes on with id %s", quoted(from), quoted(got[0]))
	case slices.Contains(ids[:r.from+1], got[0]):
		return checkResume.fail(resumeAdvice, "%srepeats id %s", asked, quoted(got[0]))
	}
	skipped := slices.Index(want, got[0])
	if skipped < 0 {
		skipped = len(want)
	}
	return checkResume.fail(resumeAdvice, "%sskips %s: it goes on with id %s", asked, plural(skipped, "event"), quoted(got[0]))
}

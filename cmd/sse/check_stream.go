package main

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

const (
	// together is how close arrivals are that were sent in one piece: the
	// network may cut it, and a large one takes some reads.
	together = 50 * time.Millisecond
	// aSilence is a time without bytes in which somebody may have kept some.
	aSilence = 500 * time.Millisecond
)

// pieces joins arrivals that came together. The time of a piece is that of its
// first byte.
func pieces(arrivals []arrival) []arrival {
	var all []arrival
	var last time.Duration
	for _, a := range arrivals {
		if n := len(all); n > 0 && a.at-last < together {
			p := &all[n-1]
			p.bytes, p.events, p.beats, p.within = p.bytes+a.bytes, p.events+a.events, p.beats+a.beats, a.within
		} else {
			all = append(all, a)
		}
		last = a.at
	}
	return all
}

// A pace is what the pieces of a stream say about who sends them: a server, or
// a buffer that is full, or whose time is over.
type pace struct {
	pieces, events int
	cut            int   // pieces, but for the last, that end in the middle of an event
	cutSizes       []int // of these
	stale          int   // pieces with several comments after a silence
	beats          int   // the most comments of these
	batches        int   // pieces after a silence with three events or more
	silences       int   // pieces after a silence
	most           int   // events of a batch
	shortest       time.Duration
	longest        time.Duration // silence before a batch
}

// paceOf looks at arrivals. The first piece may be a backlog, and proves
// nothing but by its end.
func paceOf(arrivals []arrival) pace {
	all := pieces(arrivals)
	p := pace{pieces: len(all)}
	for i, a := range all {
		p.events += a.events
		if a.within && i < len(all)-1 && all[i+1].at-a.at >= aSilence {
			p.cut++
			p.cutSizes = append(p.cutSizes, a.bytes)
		}
		if i == 0 || a.at-all[i-1].at < aSilence {
			continue
		}
		p.silences++
		if a.beats > 1 {
			p.stale++
			p.beats = max(p.beats, a.beats)
		}
		if a.events >= 3 {
			gap := a.at - all[i-1].at
			if p.batches++; p.batches == 1 {
				p.shortest = gap
			}
			p.most, p.shortest, p.longest = max(p.most, a.events), min(p.shortest, gap), max(p.longest, gap)
		}
	}
	return p
}

// withheld says what proves that somebody on the way collects bytes, or "".
func (p pace) withheld() string {
	switch {
	case p.cut >= 2:
		sizes := slices.Compact(slices.Clone(p.cutSizes))
		text := fmt.Sprintf("%d of %d pieces end in the middle of an event", p.cut, p.pieces)
		if len(sizes) == 1 {
			text += fmt.Sprintf(", after %d bytes each", sizes[0])
		}
		return text
	case p.stale > 0:
		return fmt.Sprintf("%d heartbeats came at once, after a silence", p.beats)
	}
	return ""
}

// batched says what suggests it, or "".
func (p pace) batched() string {
	if p.batches < 3 || 2*p.batches <= p.silences {
		return ""
	}
	every := durationText(p.shortest)
	if p.longest > p.shortest+p.shortest/10 {
		every += " to " + durationText(p.longest)
	}
	return fmt.Sprintf("events come in batches, up to %d at once, every %s", p.most, every)
}

func judgeBuffering(v *visit) verdict {
	p := paceOf(v.arrivals)
	if text := p.withheld(); text != "" {
		return checkBuffering.fail(unbuffer(v.header), "%s: a proxy or the server collects bytes", text)
	}
	if text := p.batched(); text != "" {
		return checkBuffering.warn("if the server does not send in batches: "+unbuffer(v.header), "%s", text)
	}
	if p.pieces == 1 && p.events >= 3 && v.ended() && v.arrivals[0].at >= time.Second {
		return checkBuffering.warn("if the server sends as it goes: "+unbuffer(v.header),
			"all %d events came at once, after %s, then the end", p.events, durationText(v.arrivals[0].at))
	}
	if p.pieces < 3 {
		return checkBuffering.skip("too little came to tell: %s in %s", plural(p.events, "event"), plural(p.pieces, "piece"))
	}
	return checkBuffering.ok("none seen: %s in %s", plural(p.events, "event"), plural(p.pieces, "piece"))
}

// unbuffer says how to turn buffering off, by what the head tells of the way.
func unbuffer(h http.Header) string {
	server := strings.ToLower(h.Get("Server"))
	switch via := h.Get("Via"); {
	case strings.Contains(server, "nginx"), strings.Contains(server, "openresty"):
		return "nginx: proxy_buffering off, or send X-Accel-Buffering: no"
	case via != "":
		return "turn off buffering in the proxy that Via names: " + quoted(via)
	case h.Get("X-Accel-Buffering") == "":
		return "flush after each event, turn off buffering in proxies, send X-Accel-Buffering: no (nginx)"
	}
	return "flush after each event, turn off buffering in proxies"
}

// judgeCompression is about a stream and, if there was one, a visit that
// offered gzip.
func judgeCompression(v, offered *visit) verdict {
	const advice = "do not compress event streams, or flush the compressor after each event"
	if encoding := contentEncoding(v.header); encoding != "" {
		if text := cmp.Or(paceOf(v.arrivals).withheld(), nothing(v)); text != "" {
			return checkCompression.fail(advice, "%s, and %s", quoted(encoding), text)
		}
		if strings.Contains(v.encodings, encoding) {
			return checkCompression.ok("%s, as asked for, and it withholds nothing", quoted(encoding))
		}
		return checkCompression.warn(advice, "%s, which was not asked for", quoted(encoding))
	}
	switch {
	case offered == nil:
		return checkCompression.ok("none (gzip was not offered)")
	case !offered.accepted():
		return checkCompression.skip("the connection that offered gzip was refused: %s", refusal(offered))
	case contentEncoding(offered.header) == "":
		return checkCompression.ok("none, also if gzip is offered")
	}
	encoding := quoted(contentEncoding(offered.header))
	if len(offered.events) == 0 && len(v.events) > 0 {
		return checkCompression.fail(advice, "if gzip is offered no event comes within %s (else the first after %s)",
			durationText(offered.took), durationText(firstEvent(v)))
	}
	if text := paceOf(offered.arrivals).withheld(); text != "" && paceOf(v.arrivals).withheld() == "" {
		return checkCompression.fail(advice, "if gzip is offered, %s", text)
	}
	if late, early := firstEvent(offered), firstEvent(v); late > 2*early+time.Second {
		return checkCompression.fail(advice, "if gzip is offered the first event comes after %s, else after %s", durationText(late), durationText(early))
	}
	return checkCompression.ok("%s if offered, and it withholds nothing", encoding)
}

// nothing says that no event came, or "".
func nothing(v *visit) string {
	if len(v.events) > 0 {
		return ""
	}
	return "no event came within " + durationText(v.took)
}

// firstEvent returns when the first event was there.
func firstEvent(v *visit) time.Duration {
	for _, a := range v.arrivals {
		if a.events > 0 {
			return a.at
		}
	}
	return v.took
}

// refusal says how a visit that came to no stream ended.
func refusal(v *visit) string {
	switch {
	case v.end.IsLocal:
		return "no response head within " + durationText(v.took)
	case v.response:
		return safeStatus(v.status)
	}
	return v.cause
}

func judgeHeartbeat(v *visit) verdict {
	const (
		advice  = "send a comment line (\":\") whenever nothing was sent for 15 s"
		longish = 15 * time.Second
		tooLong = 30 * time.Second
	)
	longest, last, beats := silences(v)
	text := fmt.Sprintf("longest silence %s, %s", durationText(longest), plural(beats, "comment"))
	if beats > 1 {
		text += ", every " + durationText(beatInterval(v.arrivals))
	}
	switch {
	case longest > tooLong:
		return checkHeartbeat.warn(advice, "%s: many proxies cut after 30 to 60 s of it", text)
	case longest > longish:
		return checkHeartbeat.warn(advice, "%s: rather long, as some proxies cut after 30 s", text)
	case beats == 0 && !v.ended() && (len(v.arrivals) == 0 || 2*last > v.took && last >= 5*time.Second):
		return checkHeartbeat.warn("watch longer (--for 45s) to see one; if there is none: "+advice,
			"none within the last %s", durationText(last))
	case beats == 0 && !v.ended():
		return checkHeartbeat.ok("%s: none was needed", text)
	}
	return checkHeartbeat.ok("%s", text)
}

// silences returns the longest time without a byte from the head on, the one
// at the end, and how many comments there were.
func silences(v *visit) (longest, last time.Duration, beats int) {
	before := v.head
	for _, a := range v.arrivals {
		longest = max(longest, a.at-before)
		before = a.at
		beats += a.beats
	}
	last = max(0, v.took-before)
	return max(longest, last), last, beats
}

// beatInterval is the median time between comments.
func beatInterval(arrivals []arrival) time.Duration {
	var gaps []time.Duration
	before := time.Duration(-1)
	for _, a := range arrivals {
		if a.beats == 0 {
			continue
		}
		if before >= 0 {
			gaps = append(gaps, a.at-before)
		}
		before = a.at
	}
	if len(gaps) == 0 {
		return 0
	}
	slices.Sort(gaps)
	return gaps[len(gaps)/2]
}

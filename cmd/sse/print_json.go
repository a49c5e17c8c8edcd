package main

import (
	"strconv"
	"time"
)

// appendJSON appends the event as a line of JSON. A zero time is left out.
func (p *printer) appendJSON(b []byte, from string, seq uint64, at time.Time, ev *chosen) []byte {
	b = append(b, `{"seq":`...)
	b = strconv.AppendUint(b, seq, 10)
	if !at.IsZero() {
		b = append(b, `,"time":"`...)
		b = append(p.clock.append(b, at), '"')
	}
	if from != "" {
		b = appendMember(b, "from", from)
	}
	b = appendMember(b, "event", ev.Name)
	b = appendMember(b, "id", ev.ID)
	b = appendMember(b, "data", ev.Data)
	if text, ok := ev.value.(string); ok {
		b = appendMember(b, "json", text)
		return append(b, '}', '\n')
	}
	const key = `,"json":`
	if value, ok := appendCompact(append(b, key...), ev.Data); ok {
		b = value
	}
	return append(b, '}', '\n')
}

// appendMember appends a member of an object that has members already.
func appendMember(b []byte, key, value string) []byte {
	b = append(b, ',', '"')
	b = append(b, key...)
	b = append(b, '"', ':')
	return appendQuoted(b, value)
}

// A clock writes times as RFC 3339 with what nanoseconds there are, in UTC. It
// remembers the second.
type clock struct {
	second int64
	text   []byte // up to the second
}

func (c *clock) append(b []byte, at time.Time) []byte {
	if second := at.Unix(); second != c.second || c.text == nil {
		c.second = second
		c.text = at.UTC().AppendFormat(c.text[:0], "2006-01-02T15:04:05")
	}
	b = append(b, c.text...)
	if nanos := at.Nanosecond(); nanos > 0 {
		var digits [10]byte
		end := 0
		for i := 9; i > 0; i-- {
			digits[i] = byte('0' + nanos%10)
			if nanos%10 > 0 && end == 0 {
				end = i + 1
			}
			nanos /= 10
		}
		digits[0] = '.'
		b = append(b, digits[:end]...)
	}
	return append(b, 'Z')
}

package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/wellspring-go/sse"
)

// A verdict is what one check makes of a stream.
type verdict struct {
	Check  string `json:"check"`
	Level  string `json:"level"`
	Found  string `json:"found"`
	Advice string `json:"advice,omitempty"`
}

// The levels of a verdict. Only a fail is a fault.
const (
	levelOK   = "ok"
	levelWarn = "warn"
	levelFail = "fail"
	levelSkip = "skip" // not judged
)

// A check is the name of one, which does not change.
type check string

const (
	checkStatus      check = "status"
	checkRedirects   check = "redirects"
	checkProtocol    check = "protocol"
	checkType        check = "content-type"
	checkCache       check = "cache-control"
	checkHead        check = "head"
	checkCompression check = "compression"
	checkBuffering   check = "buffering"
	checkHeartbeat   check = "heartbeat"
	checkIDs         check = "ids"
	checkResume      check = "resume"
	checkRetry       check = "retry"
	checkText        check = "text"
	checkLines       check = "lines"
	checkFields      check = "fields"
	checkEnd         check = "end"
)

func (c check) ok(format string, args ...any) verdict {
	return verdict{string(c), levelOK, fmt.Sprintf(format, args...), ""}
}

func (c check) skip(format string, args ...any) verdict {
	return verdict{string(c), levelSkip, fmt.Sprintf(format, args...), ""}
}

func (c check) warn(advice, format string, args ...any) verdict {
	return verdict{string(c), levelWarn, fmt.Sprintf(format, args...), advice}
}

func (c check) fail(advice, format string, args ...any) verdict {
	return verdict{string(c), levelFail, fmt.Sprintf(format, args...), advice}
}

// refused reports whether err is about the head of a response.
func refused(err error) bool {
	var r *sse.ResponseError
	return errors.As(err, &r)
}

// judgeRefusal is about a visit that came to no stream.
func judgeRefusal(v *visit) []verdict {
	err := v.end.Err
	switch {
	case v.end.IsLocal:
		return []verdict{checkStatus.fail("send the head before the first event; --for watches longer", "no response head within %s", durationText(v.took))}
	case errors.Is(err, sse.ErrRedirect):
		return []verdict{checkRedirects.fail(v.hint, "%s", v.cause)}
	case v.end.Status == 0:
		return []verdict{checkStatus.fail(v.hint, "%s", v.cause)}
	case v.end.Status == http.StatusNoContent:
		return []verdict{checkStatus.fail("answer 200 if there is something to follow", "%s", safeStatus(v.status))}
	case errors.Is(err, sse.ErrContentType):
		return []verdict{judgeStatus(v), judgeType(v)}
	case errors.Is(err, sse.ErrEncoding):
		return []verdict{judgeStatus(v), judgeType(v), checkCompression.fail("send event streams without compression",
			"%s, which was not asked for", quoted(contentEncoding(v.header)))}
	}
	return []verdict{checkStatus.fail(v.hint, "%s", safeStatus(v.status))}
}

// safeStatus is a status line, whose phrase is the server's.
func safeStatus(status string) string { return strings.Trim(quoted(status), `"`) }

func judgeStatus(v *visit) verdict { return checkStatus.ok("%s", safeStatus(v.status)) }

func judgeRedirects(v *visit) verdict {
	if v.redirects == 0 {
		return checkRedirects.ok("none")
	}
	return checkRedirects.warn("give clients the final URL: each connect pays for the way, and some drop headers on it",
		"%s followed", plural(v.redirects, "redirect"))
}

func judgeProtocol(v *visit) verdict {
	switch v.proto {
	case "HTTP/1.0":
		return checkProtocol.warn("let the server, or the proxy in front of it (nginx: proxy_http_version 1.1), speak HTTP/1.1",
			"HTTP/1.0, which has no chunks: a cut looks like an end")
	case "HTTP/1.1":
		return checkProtocol.ok("HTTP/1.1 (browsers open 6 connections to a host at most)")
	}
	return checkProtocol.ok("%s", safeStatus(v.proto))
}

func judgeType(v *visit) verdict {
	const want = "send Content-Type: text/event-stream"
	value := v.header.Get("Content-Type")
	media, params, err := mime.ParseMediaType(value)
	charset := strings.ToLower(params["charset"])
	switch {
	case value == "":
		return checkType.fail(want, "none")
	case media != "text/event-stream" && err == nil:
		return checkType.fail(want, "%s", quoted(value))
	case err != nil:
		return checkType.warn(want, "%s, which is malformed", quoted(value))
	case charset != "" && charset != "utf-8" && charset != "utf8":
		return checkType.warn("an event stream is UTF-8 always: leave the charset away", "%s", quoted(value))
	}
	return checkType.ok("%s", strings.Trim(quoted(value), `"`))
}

func judgeCache(v *visit) verdict {
	const want = "send Cache-Control: no-store (or no-cache)"
	value := strings.ToLower(strings.Join(v.header.Values("Cache-Control"), ", "))
	if value == "" {
		return checkCache.warn(want, "none: a cache may store, or collect, the stream")
	}
	var names []string
	for part := range strings.SplitSeq(value, ",") {
		name, _, _ := strings.Cut(strings.TrimSpace(part), "=")
		names = append(names, name)
	}
	if !slices.Contains(names, "no-store") && !slices.Contains(names, "no-cache") && !slices.Contains(names, "private") {
		return checkCache.warn(want, "%s lets a cache store the stream", quoted(value))
	}
	return checkCache.ok("%s", strings.Trim(quoted(value), `"`))
}

// slowHead is how long a head may take.
const slowHead = 3 * time.Second

func judgeHead(v *visit) verdict {
	if len(v.arrivals) > 0 && v.head >= time.Second && v.arrivals[0].at-v.head < together {
		return checkHead.warn("send (flush) the head before the first event, so that clients know that they are connected",
			"after %s, and only together with the first bytes", durationText(v.head))
	}
	if v.head > slowHead {
		return checkHead.warn("send (flush) the head at once", "only after %s", durationText(v.head))
	}
	return checkHead.ok("after %s", durationText(v.head))
}

func judgeRetry(v *visit) verdict {
	const least, most = 100 * time.Millisecond, 10 * time.Minute
	if v.retry == "" {
		return checkRetry.ok("none: clients wait as long as they like (browsers a few seconds)")
	}
	ms, err := strconv.ParseInt(v.retry, 10, 64)
	const limit = int64(1<<63-1) / int64(time.Millisecond)
	if err != nil || ms > limit { // out of range
		ms = limit
	}
	d := time.Duration(ms) * time.Millisecond
	switch {
	case d < least:
		return checkRetry.fail("send some seconds (retry: 3000), or after a restart all clients come back at once",
			"%d ms: clients hammer the server", ms)
	case d > most:
		return checkRetry.fail("send some seconds (retry: 3000)", "%s ms, more than 10 minutes: clients seem dead", short(v.retry))
	}
	return checkRetry.ok("%s", durationText(d))
}

// judgeEnd is about the end of the stream, which mayEnd if it answers one
// question, or says that there is no more.
func judgeEnd(v *visit, mayEnd bool) verdict {
	switch odd := v.found[oddUnfinished]; {
	case !v.ended():
		return checkEnd.ok("still open after %s", durationText(v.took))
	case odd.count > 0:
		return checkEnd.fail("end each event with a blank line, and the stream only after one", "line %d: %s", odd.first.line, odd.first.text)
	case v.end.Err != io.EOF:
		return checkEnd.fail(cmp.Or(v.hint, "look for time limits and crashes on the way (proxy_read_timeout, idle timeouts, restarts)"),
			"after %s: %s", durationText(v.took), v.cause)
	case mayEnd:
		return checkEnd.ok("ended by the server after %s, cleanly", durationText(v.took))
	}
	return checkEnd.warn("keep the stream open; to end it for good answer the reconnect with 204, as browsers come back",
		"ended by the server after %s, cleanly", durationText(v.took))
}

// plural counts things.
func plural(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// short clips what is not quoted.
func short(text string) string {
	if len(text) > 20 {
		return text[:20] + "..."
	}
	return text
}

// durationText writes a duration as people do.
func durationText(d time.Duration) string {
	switch {
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < time.Minute:
		return strings.TrimSuffix(fmt.Sprintf("%.1f", d.Seconds()), ".0") + " s"
	}
	return d.Round(time.Second).String()
}

// Package recording reads and writes recordings of event streams: their
// events, comments and reconnection times, the time between them, and the
// statuses, ends, cuts and failed attempts around them.
//
// A recording is itself an event stream: what is not part of the stream
// stands in comments that begin with ":@".
//
//	:@ open status=200 content-type=text/event-stream after=42ms
//	retry: 1000
//
//	id: 1
//	event: price
//	data: {"p":10}
//
//	:@ +15s
//	: heartbeat
//	:@ +2.5s
//	:@ end reset
//
//	:@ +1.2s
//	:@ open status=503 retry-after=5
//	:@ end eof
//
//	:@ +5s
//	:@ fail refused
//
// docs/recording.md specifies the format. An event stream without any of this
// is a recording too: of one connection, without waits. No address, no request
// header, and of the response only a few headers that hold no secrets are ever
// written; what the events say is written as it came.
package recording

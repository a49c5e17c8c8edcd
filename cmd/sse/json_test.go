package main

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strconv"
	"strings"
	"testing"
)

var jsonTexts = []string{
	`null`, ` true `, `false`, `0`, `-0`, `-12.5e+3`, `123456789012345678901234567890`, `9007199254740993`, `1E400`,
	`""`, `"a\"b\\\/\u00e9\ud83d\ude00\ud800"`, `"größe"`, "\"\u009b\u202e\"", `[]`, `[ ]`, `{}`, `{ }`,
	`{"a": [1, {"b": null}], "a": 2, "c d":"x, y: z"}`, "\t[1 ,\n2 ]\r\n", `[[],{},""]`,
	``, ` `, `nul`, `nulll`, `01`, `1.`, `.5`, `+1`, `-`, `1e`, `1e+`, `"`, `"\x"`, `"\u12g4"`, `"\u12`, "\"\n\"", `[1,]`, `[,1]`, `[1 2]`,
	`{"a"}`, `{"a":}`, `{a:1}`, `{"a":1,}`, `{"a" 1}`, `[`, `{`, `]`, `{"a":1`, `[1}`, `1 2`, `tru`, `-a`, `0x1`, `{"a":1]`, "\v1", "\ufeff1",
}

func FuzzJSON(f *testing.F) {
	for _, text := range jsonTexts {
		f.Add(text)
	}
	f.Fuzz(compareJSON)
}

// compareJSON compares what is made of s with what encoding/json makes of it.
func compareJSON(t *testing.T, s string) {
	compact, ok := appendCompact([]byte("x"), s)
	value, decoded := decodeJSON(s)
	if valid := json.Valid([]byte(s)); ok != valid || decoded != valid {
		t.Fatalf("%q: compacted %v, decoded %v, want %v", s, ok, decoded, valid)
	}
	if !ok {
		if string(compact) != "x" {
			t.Fatalf("%q: appended %q", s, compact[1:])
		}
		return
	}
	var want bytes.Buffer
	if err := json.Compact(&want, []byte(s)); err != nil {
		t.Fatal(err)
	}
	compact = compact[1:]
	if shown(want.String()) == want.String() && string(compact) != want.String() {
		t.Fatalf("%q: compact %s, want %s", s, compact, want.Bytes())
	}
	if bad := unfit(string(compact), ""); bad >= 0 {
		t.Fatalf("%q: compact %q has %U", s, compact, bad)
	}
	for _, text := range []string{s, string(compact), string(appendValue(nil, string(compact), "  ", false))} {
		if got := viaStandard(t, text); !reflect.DeepEqual(value, got) {
			t.Fatalf("%q: %q is %#v, want %#v", s, text, got, value)
		}
	}
}

// viaStandard decodes by encoding/json, with integers as decodeJSON has them.
func viaStandard(t *testing.T, s string) any {
	t.Helper()
	var v any
	d := json.NewDecoder(strings.NewReader(s))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%q: %v", s, err)
	}
	return integers(v)
}

func integers(v any) any {
	switch v := v.(type) {
	case json.Number:
		if n, err := strconv.Atoi(v.String()); err == nil && v != "-0" {
			return n
		}
	case []any:
		for i := range v {
			v[i] = integers(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = integers(v[k])
		}
	}
	return v
}

func TestJSONOfAnyDepthDoesNotExhaustTheStack(t *testing.T) {
	for _, depth := range []int{maxDepth, maxDepth + 1, 1 << 22} {
		for _, text := range []string{strings.Repeat("[", depth), strings.Repeat("[", depth) + strings.Repeat("]", depth)} {
			ok, _ := scanJSON(text)
			if want := depth <= maxDepth && json.Valid([]byte(text)); ok != want {
				t.Errorf("depth %d, length %d: %v, want %v", depth, len(text), ok, want)
			}
		}
	}
}

func TestJSONIsScannedAndDecodedWithoutMoreThanItsValues(t *testing.T) {
	const text = `{"symbol":"ACME","price":12.5,"at":1700000000}`
	b := make([]byte, 0, 256)
	if n := testing.AllocsPerRun(100, func() { b, _ = appendCompact(b[:0], text) }); n != 0 {
		t.Errorf("compacting allocates %v times", n)
	}
}

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"text/template"
	"text/template/parse"
	"time"
)

// A layout is the template of --template.
type layout struct{ template *template.Template }

// A row is what a layout sees of an event.
type row struct {
	Seq   uint64
	Time  stamp
	Event string
	ID    string
	Data  string
	From  string
}

// JSON returns the data decoded, or nil if it is not JSON.
func (r row) JSON() any {
	v, _ := decodeJSON(r.Data)
	return v
}

// A stamp is a time that prints itself like the times in the lines of JSON.
type stamp struct{ time.Time }

func (s stamp) String() string { return s.UTC().Format(time.RFC3339Nano) }

// newLayout parses a template. Its error is a usageError.
func newLayout(text string) (*layout, error) {
	const flag = "--template"
	t, err := template.New(flag).Funcs(template.FuncMap{"json": jsonText, "quote": quotedText}).Parse(text)
	if err != nil {
		return nil, usagef("%s", shown(strings.TrimPrefix(err.Error(), "template: ")))
	}
	for _, t := range t.Templates() {
		if t.Tree == nil {
			continue
		}
		unescape(t.Root)
	}
	if t.Tree == nil || parse.IsEmptyTree(t.Root) { // nothing but definitions, say
		return nil, usagef("%s prints nothing", flag)
	}
	if field := unknownField(t.Root); field != "" {
		return nil, usagef("%s: there is no .%s; there are .Seq .Time .Event .ID .Data .JSON .From", flag, shown(field))
	}
	return &layout{t}, nil
}

// line returns an event by the template, with a newline.
func (l *layout) line(from string, seq uint64, at time.Time, ev *chosen) ([]byte, error) {
	var b bytes.Buffer
	r := row{Seq: seq, Time: stamp{at}, Event: ev.Name, ID: ev.ID, Data: ev.Data, From: from}
	if err := l.template.Execute(&b, r); err != nil {
		return nil, fmt.Errorf("%s", strings.TrimPrefix(err.Error(), "template: "))
	}
	b.WriteByte('\n')
	return b.Bytes(), nil
}

// jsonText is the function json of templates: the value as compact JSON.
func jsonText(v any) (string, error) {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return strings.TrimSuffix(b.String(), "\n"), err
}

// quotedText is the function quote of templates: the value's text in quotes, as a
// JSON string.
func quotedText(v any) string { return string(appendQuoted(nil, fmt.Sprint(v))) }

// unescape makes \n, \t and \\ in the texts between the actions what they
// stand for.
func unescape(n parse.Node) {
	escapes := strings.NewReplacer(`\\`, `\`, `\n`, "\n", `\t`, "\t")
	walk(n, func(n parse.Node, _ bool) {
		if text, ok := n.(*parse.TextNode); ok {
			text.Text = []byte(escapes.Replace(string(text.Text)))
		}
	})
}

// unknownField returns the name of a field that a row has not, if there is
// one. Where the dot is something else only fields of $ are looked at.
func unknownField(n parse.Node) string {
	unknown := ""
	walk(n, func(n parse.Node, dotted bool) {
		switch n := n.(type) {
		case *parse.FieldNode:
			if !dotted && unknown == "" && !hasField(n.Ident[0]) {
				unknown = n.Ident[0]
			}
		case *parse.VariableNode:
			if n.Ident[0] == "$" && len(n.Ident) > 1 && unknown == "" && !hasField(n.Ident[1]) {
				unknown = n.Ident[1]
			}
		}
	})
	return unknown
}

func hasField(name string) bool {
	t := reflect.TypeFor[row]()
	_, field := t.FieldByName(name)
	_, method := t.MethodByName(name)
	return field || method
}

// walk calls f with the nodes below n, and whether the dot was set to
// something else there.
func walk(n parse.Node, f func(n parse.Node, dotted bool)) { walkDotted(n, false, f) }

func walkDotted(n parse.Node, dotted bool, f func(parse.Node, bool)) {
	if n == nil || reflect.ValueOf(n).IsNil() {
		return
	}
	f(n, dotted)
	branch := func(b *parse.BranchNode, sets bool) {
		walkDotted(b.Pipe, dotted, f)
		walkDotted(b.List, dotted || sets, f)
		walkDotted(b.ElseList, dotted, f)
	}
	switch n := n.(type) {
	case *parse.ListNode:
		for _, n := range n.Nodes {
			walkDotted(n, dotted, f)
		}
	case *parse.ActionNode:
		walkDotted(n.Pipe, dotted, f)
	case *parse.TemplateNode:
		walkDotted(n.Pipe, dotted, f)
	case *parse.IfNode:
		branch(&n.BranchNode, false)
	case *parse.RangeNode:
		branch(&n.BranchNode, true)
	case *parse.WithNode:
		branch(&n.BranchNode, true)
	case *parse.PipeNode:
		for _, c := range n.Cmds {
			for _, arg := range c.Args {
				walkDotted(arg, dotted, f)
			}
		}
	case *parse.ChainNode:
		walkDotted(n.Node, dotted, f)
	}
}

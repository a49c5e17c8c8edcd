package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

func TestManualPagesReadAsManualPages(t *testing.T) {
	eachCommand(newRoot(), func(cmd *cobra.Command) {
		t.Run(cmd.CommandPath(), func(t *testing.T) {
			page := manualPage(cmd)
			for _, artefact := range []string{`=""`, "=0s", "[=", "=[]", "`", `\-\-help`} {
				if strings.Contains(page, artefact) {
					t.Errorf("the page has %q:\n%s", artefact, page)
				}
			}
			for _, want := range []string{".SH NAME\nsse", ".SH SYNOPSIS\n", ".SH DESCRIPTION\n", ".SH EXIT STATUS\n", ".SH EXAMPLES\n", ".SH SEE ALSO\n"} {
				if !strings.Contains(page, want) {
					t.Errorf("the page has no %q:\n%s", want, page)
				}
			}
			for line := range strings.Lines(page) {
				if macro, _, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " "); strings.HasPrefix(line, ".") &&
					!slices.Contains([]string{".TH", ".SH", ".TP", ".PP", ".br", ".nf", ".fi"}, macro) {
					t.Errorf("an unknown macro: %s", line)
				}
			}
		})
	})
}

func TestManualPageOfTailNamesItsArguments(t *testing.T) {
	root := newRoot()
	tail, _, err := root.Find([]string{"tail"})
	if err != nil {
		t.Fatal(err)
	}
	for page, wanted := range map[string][]string{
		manualPage(root): {
			".SH SYNOPSIS\n\\fBsse\\fR URL... [flags]\n.br\n\\fBsse\\fR COMMAND\n",
			"\n\\fBsse\\-tail\\fR(1), ",
		},
		manualPage(tail): {
			".SH SYNOPSIS\n\\fBsse tail\\fR URL... [flags]\n",
			"\n.TP\n\\fB\\-\\-cacert\\fR \\fIFILE\\fR\ntrust the ",
			"\n.TP\n\\fB\\-\\-for\\fR \\fIDUR\\fR\nend with 0 ",
			"\n.TP\n\\fB\\-\\-timestamps\\fR\nprint when ",
			"\n.TP\n\\fB\\-H\\fR, \\fB\\-\\-header\\fR \\fI\\(aqK: V\\(aq\\fR\nrequest header ",
			"\n.TP\n\\fB124\\fR\n",
			"\n\\fBsse\\fR(1)\n",
		},
	} {
		for _, want := range wanted {
			if !strings.Contains(page, want) {
				t.Errorf("no %q in:\n%s", want, page)
			}
		}
	}
}

func TestRoffEscapesWhatTroffWouldObey(t *testing.T) {
	for text, want := range map[string]string{
		`a\b-c`:      `a\eb\-c`,
		".p\n'q\nr.": "\\&.p\n\\(aqq\nr.",
	} {
		if got := roff(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

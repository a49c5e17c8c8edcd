package main

import (
	"fmt"
	"image/color"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

const (
	plotWidth  = 16 * vg.Centimeter
	plotHeight = 10 * vg.Centimeter
)

// curveStyles tell curves apart by colour and by mark: some readers, and
// some printers, have no colours.
var curveStyles = []struct {
	color color.Color
	mark  draw.GlyphDrawer
}{
	{color.RGBA{R: 0x77, G: 0x77, B: 0x77, A: 0xff}, draw.CrossGlyph{}},
	{color.RGBA{R: 0x00, G: 0x60, B: 0xb0, A: 0xff}, draw.CircleGlyph{}},
	{color.RGBA{R: 0xc0, G: 0x50, B: 0x00, A: 0xff}, draw.SquareGlyph{}},
	{color.RGBA{R: 0x00, G: 0x80, B: 0x50, A: 0xff}, draw.PyramidGlyph{}},
}

// draw writes the figure as an SVG file. Both axes are logarithmic: what is
// proportional shows as a straight line, and a ratio as a distance. The plot
// gets logarithms, as plot.LogScale misplaces the labels of axes.
func (f figure) draw(file string) error {
	p := plot.New()
	p.BackgroundColor = color.White // for pages that are dark
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = f.title, f.xLabel, f.yLabel
	for _, text := range []*font.Font{
		&p.Title.TextStyle.Font, &p.X.Label.TextStyle.Font, &p.Y.Label.TextStyle.Font,
		&p.X.Tick.Label.Font, &p.Y.Tick.Label.Font, &p.Legend.TextStyle.Font,
	} {
		text.Variant = "Sans"
		text.Size = 10
	}
	p.Title.TextStyle.Font.Size = 12
	p.Title.Padding = vg.Points(6)
	p.Add(plotter.NewGrid())
	for i, c := range f.curves {
		line, marks, err := plotter.NewLinePoints(c.points())
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		style := curveStyles[i%len(curveStyles)]
		line.Color, line.Width = style.color, vg.Points(1.5)
		marks.Color, marks.Shape, marks.Radius = style.color, style.mark, vg.Points(3)
		p.Add(line, marks)
		p.Legend.Add(c.name, line, marks)
	}
	p.X.Tick.Marker = f.xTicks()
	p.Y.Min, p.Y.Max = f.yRange()
	p.Y.Tick.Marker = decades(p.Y.Min, p.Y.Max)
	p.Legend.Padding = vg.Points(2)
	p.Legend.XOffs, p.Legend.YOffs = vg.Points(12), vg.Points(8)
	p.Legend.Left = true
	return p.Save(plotWidth, plotHeight, file)
}

func (c curve) points() plotter.XYs {
	points := make(plotter.XYs, len(c.x))
	for i := range points {
		points[i] = plotter.XY{X: math.Log10(c.x[i]), Y: math.Log10(c.y[i])}
	}
	return points
}

// xTicks marks what was measured.
func (f figure) xTicks() plot.ConstantTicks {
	var ticks plot.ConstantTicks
	if len(f.curves) == 0 {
		return ticks
	}
	for _, x := range f.curves[0].x {
		ticks = append(ticks, plot.Tick{Value: math.Log10(x), Label: f.xText(x)})
	}
	return ticks
}

func (f figure) xText(x float64) string {
	if f.bytes {
		return byteText(x)
	}
	return countText(x)
}

// yRange returns the range of the curves' logarithms, with room below for the
// legend.
func (f figure) yRange() (low, high float64) {
	low, high = math.Inf(1), math.Inf(-1)
	for _, c := range f.curves {
		for _, y := range c.y {
			low, high = min(low, y), max(high, y)
		}
	}
	return math.Floor(math.Log10(low) - 0.7), math.Ceil(math.Log10(high)*2) / 2
}

// decades marks 1, 2 and 5 times each power of ten; only the first gets text
// where there are many.
func decades(low, high float64) plot.ConstantTicks {
	var ticks plot.ConstantTicks
	for power := low; power <= high; power++ {
		for _, m := range []float64{1, 2, 5} {
			v := power + math.Log10(m)
			label := countText(m * math.Pow(10, power))
			if m > 1 && high-low > 4 {
				label = ""
			}
			if v <= high {
				ticks = append(ticks, plot.Tick{Value: v, Label: label})
			}
		}
	}
	return ticks
}

// countText writes a number as short as an axis wants it.
func countText(n float64) string {
	switch {
	case n >= 1e6:
		return fmt.Sprintf("%.3gM", n/1e6)
	case n >= 1e3:
		return fmt.Sprintf("%.3gk", n/1e3)
	}
	return fmt.Sprintf("%.3g", n)
}

func byteText(n float64) string {
	switch {
	case n >= 1<<20:
		return fmt.Sprintf("%.3g MiB", n/(1<<20))
	case n >= 1<<10:
		return fmt.Sprintf("%.3g KiB", n/(1<<10))
	}
	return fmt.Sprintf("%.3g B", n)
}

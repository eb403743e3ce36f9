/// Names of the series with a sample of each, in as many rows as the width asks for.
struct PlotLegend {
  private static let sample = 26.0
  private static let rowHeight = 19.0

  let drawn: String
  /// Where the last row ends.
  let bottom: Double

  init(_ plot: Plot, width: Double, top: Double) {
    let series = plot.series.filter(\.isInLegend)
    guard !series.isEmpty else {
      drawn = ""
      bottom = top - Self.rowHeight / 2
      return
    }
    var (x, y) = (1.0, top)
    let longest = Int((width - Self.sample - 8) / 7.4)
    drawn = series.map { series in
      let name = Markup.shortened(series.name, to: min(longest, 32))
      let length = Self.sample + 6 + SVGPlot.width(name)
      if x > 1, x + length > width {
        x = 1
        y += Self.rowHeight
      }
      defer { x += length + 14 }
      return Self.entry(series, name, x, y)
    }.joined(separator: "\n")
    bottom = y + 6
  }

  private static func entry(_ series: PlotSeries, _ name: String, _ x: Double, _ y: Double) -> String {
    let middle = y - 4.5
    let place = { (at: Double) in SVGPlot.number(at) + "," + SVGPlot.number(middle) }
    var sample =
      "<polyline class=\"plot-line\(series.style.lineClass)\" points=\"\(place(x)) \(place(x + Self.sample))\"/>"
    if series.style.hasMarkers {
      let path = PlotStyle.marker(series.color, x + Self.sample / 2, middle, 3.6)
      sample += "<path class=\"plot-marker\" d=\"\(path)\"/>"
    }
    return "<g class=\"\(PlotStyle.classes(series.color))\">\(sample)"
      + SVGPlot.text(name, x + Self.sample + 6, y, "") + "</g>"
  }
}

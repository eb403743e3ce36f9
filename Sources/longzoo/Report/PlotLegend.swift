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

  /// The names of all series of several plots, each once, for a page; nothing where one plot says it all by its title.
  static func element(of plots: [Plot]) -> String {
    var seen = Set<String>()
    let entries = plots.flatMap(\.series).filter {
      $0.isInLegend && seen.insert("\($0.color) \($0.name)").inserted
    }
    guard !entries.isEmpty else { return "" }
    let items = entries.map { series in
      "<li class=\"\(PlotStyle.classes(series.color))\"><svg class=\"sample\" viewBox=\"0 0 \(Int(sample)) 12\" aria-hidden=\"true\">"
        + drawnSample(series, 0, 6) + "</svg>" + Markup.escaped(Markup.shortened(series.name, to: 64))
        + "</li>"
    }
    return "<ul class=\"legend\">\(items.joined())</ul>"
  }

  private static func entry(_ series: PlotSeries, _ name: String, _ x: Double, _ y: Double) -> String {
    "<g class=\"\(PlotStyle.classes(series.color))\">" + drawnSample(series, x, y - 4.5)
      + SVGPlot.text(name, x + sample + 6, y, "") + "</g>"
  }

  /// A piece of the line, with a marker if it has any.
  private static func drawnSample(_ series: PlotSeries, _ x: Double, _ middle: Double) -> String {
    let place = { (at: Double) in SVGPlot.number(at) + "," + SVGPlot.number(middle) }
    let line =
      "<polyline class=\"plot-line\(series.style.lineClass)\" points=\"\(place(x)) \(place(x + sample))\"/>"
    guard series.style.hasMarkers else { return line }
    return line
      + "<path class=\"plot-marker\" d=\"\(PlotStyle.marker(series.color, x + sample / 2, middle, 3.6))\"/>"
  }
}

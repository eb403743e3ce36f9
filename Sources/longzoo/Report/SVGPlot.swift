import Foundation
import LongzooTraining

/// Draws a plot as SVG. Every plot is drawn for one width, so that its letters keep their size; a page holds a wide and a
/// narrow drawing and shows the one that fits.
struct SVGPlot {
  struct Size {
    var width: Double
    var height: Double
    /// The most points of one series.
    var points: Int
    var xTicks: Int

    static let wide = Size(width: 560, height: 360, points: 320, xTicks: 6)
    static let narrow = Size(width: 350, height: 300, points: 240, xTicks: 5)
  }

  let plot: Plot
  let size: Size
  private let x: Axis
  private let y: Axis
  private let legend: PlotLegend
  private let left: Double
  private let top: Double
  private let right: Double
  private let bottom: Double

  init(_ plot: Plot, _ size: Size) {
    self.plot = plot
    self.size = size
    x = plot.xAxis(ticks: size.xTicks)
    let y = plot.yAxis(ticks: 6)
    self.y = y
    legend = PlotLegend(plot, width: size.width - 4, top: 40)
    left = 9 + (y.ticks.map { Self.width(y.label($0)) }.max() ?? 0)
    top = legend.bottom + 26
    right = size.width - 22
    bottom = legend.bottom + size.height - 86
  }

  private var height: Double { bottom + 46 }

  /// The element, for a page that has `PlotStyle`'s rules.
  func element(class name: String) -> String {
    """
    <svg class="\(name)" viewBox="0 0 \(Self.number(size.width)) \(Self.number(height))" role="img" \
    aria-label="\(Markup.escaped(summary))" data-left="\(Self.number(left))" data-right="\(Self.number(right))" \
    data-top="\(Self.number(top))" data-bottom="\(Self.number(bottom))">
    \(content)</svg>
    """
  }

  /// A file that can be looked at by itself.
  func document() -> String {
    """
    <svg xmlns="http://www.w3.org/2000/svg" viewBox="-12 -4 \(Self.number(size.width + 24)) \(Self.number(height + 10))" role="img" \
    aria-label="\(Markup.escaped(summary))">
    <style>
    \(PlotStyle.alone)</style>
    <rect class="plot-ground" x="-12" y="-4" width="100%" height="100%"/>
    \(content)</svg>

    """
  }

  /// The plot in words, for those who hear the page.
  private var summary: String {
    let curves = plot.series.compactMap { series -> String? in
      let points = series.points.filter(plot.canBeShown)
      guard let first = points.first, let last = points.last else { return nil }
      let ends = "\(plot.y.quantity.text(first.y)) at \(plot.x.quantity.text(first.x))"
      return points.count == 1
        ? "\(series.name): \(ends)"
        : "\(series.name): from \(ends) to \(plot.y.quantity.text(last.y)) at \(plot.x.quantity.text(last.x))"
    }
    let what = "\(plot.title). \(plot.y.label) against \(plot.x.label)."
    return ([what] + (curves.isEmpty ? ["No points yet."] : curves.map { $0 + "." })).joined(separator: " ")
  }

  private var content: String {
    var parts = [
      Self.text(plot.title, 1, 20, "plot-title"), legend.drawn,
      Self.text(plot.y.label, 1, top - 12, "plot-dim"),
      Self.text(plot.x.label, (left + right) / 2, bottom + 38, "plot-dim", anchor: "middle"),
    ]
    parts += y.ticks.map { tick in
      let at = vertical(tick)
      return Self.line(left, at, right, at, "plot-grid")
        + Self.text(y.label(tick), left - 7, at + 4.5, "plot-dim", anchor: "end")
    }
    parts += xTickLabels()
    if plot.isEmpty {
      parts.append(
        Self.text("no points yet", (left + right) / 2, (top + bottom) / 2, "plot-dim", anchor: "middle"))
    } else {
      parts += plot.series.map(drawn)
      parts += plot.references.enumerated().map { drawn($0.element, onLeft: $0.offset % 2 == 1) }
    }
    return parts.joined(separator: "\n") + "\n"
  }

  /// Labels that would touch the one before them are left out.
  private func xTickLabels() -> [String] {
    var free = -Double.infinity
    return x.ticks.map { tick in
      let at = horizontal(tick)
      let mark = Self.line(at, top, at, bottom, "plot-grid")
      let (label, half) = (x.label(tick), Self.width(x.label(tick)) / 2)
      guard at - half > free else { return mark }
      free = at + half + 8
      return mark
        + Self.text(label, min(at, size.width - half - 1), bottom + 18, "plot-dim", anchor: "middle")
    }
  }

  private func drawn(_ series: PlotSeries) -> String {
    let points = Downsampling.extremes(series.points.filter(plot.canBeShown), to: size.points)
    guard !points.isEmpty else { return "" }
    let places = points.map { Self.number(horizontal($0.x)) + "," + Self.number(vertical($0.y)) }
    var out =
      "<g class=\"plot-series \(PlotStyle.classes(series.color))\" data-name=\"\(Markup.escaped(series.name))\""
      + " data-x=\"\(values(points.map { plot.x.quantity.text($0.x) }))\""
      + " data-y=\"\(values(points.map { plot.y.quantity.text($0.y) + ($0.isHollow ? " (computed)" : "") }))\">"
      + "<polyline class=\"plot-line\(series.style.lineClass)\""
      + " points=\"\(places.joined(separator: " "))\"/>"
    if series.style.hasMarkers || points.count == 1 {
      out += points.map { marker($0, of: series) }.joined()
    }
    return out + "</g>"
  }

  private func marker(_ point: PlotPoint, of series: PlotSeries) -> String {
    let title =
      "\(series.name): \(plot.y.quantity.text(point.y)) at \(plot.x.quantity.text(point.x))"
      + (point.isHollow ? " (computed)" : "")
    let path = PlotStyle.marker(series.color, horizontal(point.x), vertical(point.y), 3.6)
    return "<path class=\"plot-marker\(point.isHollow ? " plot-hollow" : "")\" d=\"\(path)\">"
      + "<title>\(Markup.escaped(title))</title></path>"
  }

  private func drawn(_ reference: PlotReference, onLeft: Bool) -> String {
    guard Axis.isUsable(reference.y, plot.y.scale) else { return "" }
    let at = vertical(reference.y)
    let text = reference.name + " " + plot.y.quantity.text(reference.y)
    return Self.line(left, at, right, at, "plot-reference")
      + Self.text(
        text, onLeft ? left + 6 : right - 4, at - 5, "plot-dim plot-halo", anchor: onLeft ? "start" : "end")
  }

  private func values(_ texts: [String]) -> String { Markup.escaped(texts.joined(separator: "|")) }
  private func horizontal(_ value: Double) -> Double { left + x.position(of: value) * (right - left) }
  private func vertical(_ value: Double) -> Double { bottom - y.position(of: value) * (bottom - top) }
}

extension SVGPlot {
  static func text(_ text: String, _ x: Double, _ y: Double, _ name: String, anchor: String = "start")
    -> String
  {
    "<text class=\"plot-text \(name)\" x=\"\(number(x))\" y=\"\(number(y))\" text-anchor=\"\(anchor)\">"
      + Markup.escaped(text) + "</text>"
  }

  static func line(_ x1: Double, _ y1: Double, _ x2: Double, _ y2: Double, _ name: String) -> String {
    "<line class=\"\(name)\" x1=\"\(number(x1))\" y1=\"\(number(y1))\" x2=\"\(number(x2))\" y2=\"\(number(y2))\"/>"
  }

  /// A guess that is rather too wide: nobody knows the font.
  static func width(_ text: String) -> Double { Double(text.count) * 7.4 }

  /// A tenth of a pixel is finer than any screen. What lies far outside of the picture, or nowhere, is put at its edge: a file may
  /// hold any number.
  static func number(_ value: Double) -> String {
    let bounded = value.isNaN ? 0 : min(max(value, -1e6), 1e6)
    let tenths = Int((bounded * 10).rounded())
    return tenths % 10 == 0 ? "\(tenths / 10)" : String(format: "%.1f", Double(tenths) / 10)
  }
}

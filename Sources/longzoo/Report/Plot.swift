/// A plot as data: what is to be seen, not how it is drawn.
struct Plot {
  struct Measure {
    var label: String
    var quantity: Quantity
    var scale = Axis.Scale.linear
    var fromZero = false
  }

  var title: String
  var x: Measure
  var y: Measure
  var series: [PlotSeries]
  var references: [PlotReference] = []

  func xAxis(ticks: Int = 6) -> Axis {
    Axis(
      points.map(\.x), scale: x.scale, quantity: x.quantity, fromZero: x.fromZero, isTight: true, ticks: ticks
    )
  }

  func yAxis(ticks: Int = 6) -> Axis {
    Axis(
      points.map(\.y) + references.map(\.y), scale: y.scale, quantity: y.quantity, fromZero: y.fromZero,
      ticks: ticks)
  }

  /// A point that has no place on one axis must not stretch the other.
  private var points: [PlotPoint] { series.flatMap(\.points).filter(canBeShown) }

  func canBeShown(_ point: PlotPoint) -> Bool {
    Axis.isUsable(point.x, x.scale) && Axis.isUsable(point.y, y.scale)
  }

  var isEmpty: Bool { points.isEmpty }

  /// This plot without its legend, for pages where the names stand elsewhere.
  var withoutLegend: Plot {
    var plot = self
    for index in plot.series.indices { plot.series[index].isInLegend = false }
    return plot
  }

  /// Logarithmic where values of one plot differ so much that the smaller ones would lie on the axis.
  func scaledByRange() -> Plot {
    var plot = self
    if Self.isWide(series.compactMap { $0.points.map(\.x).filter { $0 > 0 }.max() }) {
      plot.x.scale = .logarithmic
    }
    if Self.isWide(points.map(\.y) + references.map(\.y)) { plot.y.scale = .logarithmic }
    return plot
  }

  /// Whether positive values span more than a factor that a linear axis can show.
  private static func isWide(_ values: [Double]) -> Bool {
    let usable = values.filter(\.isFinite)
    guard let low = usable.min(), let high = usable.max(), low > 0 else { return false }
    return high / low >= 30
  }
}

struct PlotPoint {
  var x: Double
  var y: Double
  /// Computed and not measured.
  var isHollow = false
}

struct PlotSeries {
  enum Style {
    case line
    /// Thin and pale: what is noisy, behind what is not.
    case faint
    case lineWithMarkers
    /// Of what lies between the points nothing is known.
    case markers

    var hasMarkers: Bool { self == .lineWithMarkers || self == .markers }
    var lineClass: String { self == .faint ? " plot-faint" : self == .markers ? " plot-none" : "" }
  }

  var name: String
  var points: [PlotPoint]
  /// Which of the page's colors, dashes and markers.
  var color: Int
  var style = Style.line
  var isInLegend = true
}

/// A horizontal line at a value that is known beforehand.
struct PlotReference {
  var name: String
  var y: Double
}

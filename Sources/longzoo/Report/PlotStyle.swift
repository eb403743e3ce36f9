/// The looks of all plots, in a page and alone.
enum PlotStyle {
  static let colors = 8
  static let markers = 5

  private static let light = [
    "#0b65c2", "#c2410c", "#0f8a5f", "#8a3ffc", "#9a7400", "#0e8a9a", "#c0267e", "#5b6470",
  ]
  private static let dark = [
    "#64b0f4", "#fb923c", "#4fd1a1", "#c4a1ff", "#e3c04b", "#5fd0de", "#f48fc5", "#b6bec9",
  ]

  private static func variables(_ colors: [String], ground: String, ink: String, dim: String, grid: String)
    -> String
  {
    let series = colors.enumerated().map { "--s\($0.offset):\($0.element)" }.joined(separator: ";")
    return ":root{\(series);--ground:\(ground);--ink:\(ink);--dim:\(dim);--grid:\(grid)}"
  }

  /// The colors as variables, for light and for dark surroundings.
  static let palette =
    variables(light, ground: "#ffffff", ink: "#1c2128", dim: "#57606a", grid: "#dfe3e8") + "\n"
    + "@media (prefers-color-scheme:dark){"
    + variables(dark, ground: "#14171c", ink: "#e6e9ee", dim: "#9aa4b0", grid: "#333a44") + "}\n"

  /// The rules of the elements that `SVGPlot` draws. Repeated colors differ by dashes.
  static let rules = """
    .plot-text{font:13px system-ui,-apple-system,"Segoe UI",sans-serif;fill:var(--ink)}
    .plot-title{font-weight:600;font-size:15px}
    .plot-dim{fill:var(--dim)}
    .plot-halo{paint-order:stroke;stroke:var(--ground);stroke-width:4px;stroke-linejoin:round}
    .plot-grid{stroke:var(--grid);stroke-width:1}
    .plot-reference{stroke:var(--dim);stroke-width:1.2;stroke-dasharray:2 4}
    .plot-line{fill:none;stroke:var(--c);stroke-width:2;stroke-linejoin:round;stroke-linecap:round}
    .plot-faint{stroke-width:1.2;opacity:.55}
    .plot-none{stroke:none}
    .plot-marker{fill:var(--c);stroke:var(--c);stroke-width:1.5}
    .plot-hollow{fill:var(--ground)}
    .plot-cursor{stroke:var(--dim);stroke-width:1}

    """
    + (0..<colors).map { ".plot-c\($0){--c:var(--s\($0))}" }.joined(separator: "\n")
    + "\n.plot-again .plot-line{stroke-dasharray:7 4}\n"

  /// For an SVG file that stands alone.
  static let alone = palette + rules + ".plot-ground{fill:var(--ground)}\n"

  /// The classes of the `color`-th series.
  static func classes(_ color: Int) -> String {
    "plot-c\(color % colors)" + (color >= colors ? " plot-again" : "")
  }

  /// A marker of about `radius` around a point, as path data.
  static func marker(_ color: Int, _ x: Double, _ y: Double, _ radius: Double) -> String {
    func corners(_ offsets: [(Double, Double)]) -> String {
      let places = offsets.map { SVGPlot.number(x + $0.0 * radius) + " " + SVGPlot.number(y + $0.1 * radius) }
      return "M" + places.joined(separator: "L") + "Z"
    }
    switch color % markers {
    case 0:
      let r = SVGPlot.number(radius)
      return
        "M\(SVGPlot.number(x - radius)) \(SVGPlot.number(y))a\(r) \(r) 0 1 0 \(SVGPlot.number(2 * radius)) 0"
        + "a\(r) \(r) 0 1 0 \(SVGPlot.number(-2 * radius)) 0Z"
    case 1: return corners([(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)])
    case 2: return corners([(0, -1.2), (1.1, 0.9), (-1.1, 0.9)])
    case 3: return corners([(0, -1.3), (1.3, 0), (0, 1.3), (-1.3, 0)])
    default: return corners([(-1.1, -0.9), (1.1, -0.9), (0, 1.2)])
    }
  }
}

import Foundation
import LongzooTraining

/// A plot in braille dots, for people on a terminal far away. Needs no colors.
struct TerminalPlot {
  let plot: Plot
  /// Characters in all.
  var columns = 80
  var rows = 18

  /// Marks of the series that have them; the lines of the others are dots only.
  private static let marks = Array("●ABCDEFGHIJKLMNOPQRSTUVWXYZ")

  var text: String {
    guard !plot.isEmpty else { return "\(plot.title)\n  no points yet\n" }
    let y = plot.yAxis(ticks: max(rows / 3, 2))
    let margin = (y.ticks.map { y.label($0).count }.max() ?? 0) + 1
    let x = plot.xAxis(ticks: max((columns - margin) / 14, 2))
    var canvas = BrailleCanvas(columns: max(columns - margin - 1, 10), rows: rows)
    var names: [String] = []
    for series in plot.series { draw(series, x, y, &canvas, &names) }
    let lines = canvas.lines.enumerated().map { row, line in
      label(row: row, y).leftPadded(to: margin) + "│" + line.trimmedRight
    }
    let all = head(names) + lines + axis(x, margin: margin, width: canvas.columns)
    return all.map { Markup.shortened($0, to: columns) }.joined(separator: "\n") + "\n"
  }

  /// The title and the names of the series, in as many lines as they need.
  private func head(_ names: [String]) -> [String] {
    var lines = [plot.title + ", " + plot.y.label]
    for name in names.map({ Markup.shortened($0, to: columns) }) {
      let isFirst = lines.count == 1 && !names.isEmpty && lines[0].hasSuffix(plot.y.label)
      let longer = lines[lines.count - 1] + (isFirst ? "   " : "  ") + name
      if longer.count <= columns { lines[lines.count - 1] = longer } else { lines.append(name) }
    }
    return lines
  }

  private func draw(
    _ series: PlotSeries, _ x: Axis, _ y: Axis, _ canvas: inout BrailleCanvas, _ names: inout [String]
  ) {
    let places = series.points.filter(plot.canBeShown).map { point in
      (
        x: Int((x.position(of: point.x) * Double(canvas.columns * 2 - 1)).rounded()),
        y: Int(((1 - y.position(of: point.y)) * Double(rows * 4 - 1)).rounded())
      )
    }
    guard let first = places.first else { return }
    var last = first
    for place in places {
      canvas.line(from: last, to: place)
      last = place
    }
    guard series.style.hasMarkers else { return }
    let isAlone = plot.series.count(where: { $0.style.hasMarkers }) == 1
    let mark = isAlone ? Self.marks[0] : Self.marks[1 + series.color % (Self.marks.count - 1)]
    for place in places { canvas.put(mark, at: place) }
    names.append("\(mark) \(TerminalText.line(series.name))")
  }

  /// The tick that falls into this row, if one does.
  private func label(row: Int, _ y: Axis) -> String {
    let tick = y.ticks.first { Int(((1 - y.position(of: $0)) * Double(rows * 4 - 1)).rounded()) / 4 == row }
    return tick.map(y.label) ?? ""
  }

  /// The rule, and below it the ticks with what they count: after the last one, or where that is too wide on a line of its own.
  private func axis(_ x: Axis, margin: Int, width: Int) -> [String] {
    var line = Array(String(repeating: " ", count: margin + 1 + width))
    var rule = Array(String(repeating: " ", count: margin) + "└" + String(repeating: "─", count: width))
    var free = 0
    for tick in x.ticks {
      let at = margin + 1 + Int((x.position(of: tick) * Double(width - 1)).rounded())
      let label = Array(x.label(tick))
      let start = min(max(at - label.count / 2, 0), line.count - label.count)
      rule[at] = "┴"
      guard start >= free else { continue }
      line.replaceSubrange(start..<start + label.count, with: label)
      free = start + label.count + 2
    }
    let ticks = String(line).trimmedRight
    let labelled = ticks + "  " + plot.x.label
    if labelled.count <= columns { return [String(rule), labelled] }
    return [String(rule), ticks, plot.x.label.leftPadded(to: columns)]
  }

  /// Of the terminal on standard output; else what COLUMNS says, or 80.
  static func terminalWidth() -> Int {
    var size = winsize()
    if ioctl(1, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 { return max(Int(size.ws_col), 24) }
    let given = ProcessInfo.processInfo.environment["COLUMNS"].flatMap(Int.init)
    return min(max(given ?? 80, 24), 1000)
  }
}

extension String {
  fileprivate func leftPadded(to count: Int) -> String {
    String(repeating: " ", count: max(count - self.count, 0)) + self
  }

  fileprivate var trimmedRight: String {
    var text = self[...]
    while text.last == " " { text.removeLast() }
    return String(text)
  }
}

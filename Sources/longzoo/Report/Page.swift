import Foundation
import LongzooTraining

/// A page in one file: no network, no other files, dark and light, on a wide and on a narrow screen. It is HTML and XML.
struct Page {
  var title: String
  var body: [String] = []

  mutating func heading(_ text: String) { body.append("<h2>\(Markup.escaped(text))</h2>") }
  mutating func subheading(_ text: String) { body.append("<h3>\(Markup.escaped(text))</h3>") }

  mutating func paragraph(_ text: String, isDim: Bool = false) {
    body.append("<p\(isDim ? " class=\"dim\"" : "")>\(Markup.escaped(text))</p>")
  }

  /// Plots next to each other, below one legend for all of them.
  mutating func plots(_ plots: [Plot]) {
    body.append(PlotLegend.element(of: plots))
    let figures = plots.map(\.withoutLegend).map { plot in
      "<figure>" + SVGPlot(plot, .wide).element(class: "wide")
        + SVGPlot(plot, .narrow).element(class: "narrow") + "</figure>"
    }
    body.append("<div class=\"plots\">\n\(figures.joined(separator: "\n"))\n</div>")
  }

  mutating func table(_ table: PageTable) { body.append(table.element) }

  /// Commands, of which no option is broken in two at its hyphens.
  mutating func code(_ text: String) {
    let lines = text.split(separator: "\n").map { line in
      line.split(separator: " ").map { "<span class=\"word\">\(Markup.escaped(String($0)))</span>" }
        .joined(separator: " ")
    }
    body.append("<pre>\(lines.joined(separator: "\n"))</pre>")
  }

  /// Hidden until it is asked for.
  mutating func details(_ summary: String, _ content: (inout Page) -> Void) {
    var inner = Page(title: "")
    content(&inner)
    body.append(
      "<details><summary>\(Markup.escaped(summary))</summary>\n\(inner.body.joined(separator: "\n"))\n</details>"
    )
  }

  /// The file. The policy makes the browser keep what is promised: nothing is loaded from anywhere.
  var document: String {
    """
    <!DOCTYPE html>
    <html lang="en">
    <head>
    <meta charset="utf-8"/>
    <meta name="viewport" content="width=device-width, initial-scale=1"/>
    <meta http-equiv="Content-Security-Policy" \
    content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"/>
    <title>\(Markup.escaped(title))</title>
    <style>
    \(PageStyle.css)</style>
    </head>
    <body>
    <main>
    <h1>\(Markup.escaped(title))</h1>
    \(body.joined(separator: "\n"))
    </main>
    <footer>Made by longzoo \(ProgramVersion.text), \(Self.now).</footer>
    <script>
    \(PageStyle.script)</script>
    </body>
    </html>

    """
  }

  /// Writes the page, whole or not at all.
  /// - Throws: exit code 74.
  func write(to path: String) throws {
    let text = document
    try AtomicFile.write(to: path) { try $0.write(text) }
  }

  private static var now: String {
    let format = DateFormatter()
    format.locale = Locale(identifier: "en_US_POSIX")
    format.timeZone = TimeZone(identifier: "UTC")
    format.dateFormat = "yyyy-MM-dd HH:mm 'UTC'"
    return format.string(from: Date())
  }
}

/// A table that becomes a list of cards on a phone.
struct PageTable {
  struct Cell {
    var text: String
    /// The swatch of this color before it.
    var color: Int?

    init(_ text: String, color: Int? = nil) {
      self.text = text
      self.color = color
    }
  }

  var caption: String?
  /// The first column names the row; the others say at which side they stand.
  var columns: [(name: String, isNumber: Bool)]
  var rows: [[Cell]]

  var element: String {
    let heads = columns.map {
      "<th scope=\"col\"\($0.isNumber ? " class=\"n\"" : "")>\(Markup.escaped($0.name))</th>"
    }
    let caption = caption.map { "<caption>\(Markup.escaped($0))</caption>\n" } ?? ""
    return "<div class=\"scroll\"><table>\n\(caption)<thead><tr>\(heads.joined())</tr></thead>\n<tbody>\n"
      + rows.map(row).joined(separator: "\n") + "\n</tbody>\n</table></div>"
  }

  private func row(_ cells: [Cell]) -> String {
    let parts = zip(columns, cells).enumerated().map { index, pair -> String in
      let (column, cell) = pair
      let swatch =
        cell.color.map {
          "<span class=\"swatch plot-c\($0 % PlotStyle.colors)\($0 >= PlotStyle.colors ? " again" : "")\"></span>"
        } ?? ""
      let text = swatch + Markup.escaped(cell.text)
      if index == 0 { return "<th scope=\"row\">\(text)</th>" }
      let classes = [column.isNumber ? "n" : nil, ["", "–"].contains(cell.text) ? "empty" : nil].compactMap {
        $0
      }
      let attribute = classes.isEmpty ? "" : " class=\"\(classes.joined(separator: " "))\""
      return "<td\(attribute) data-label=\"\(Markup.escaped(column.name))\"><span>\(text)</span></td>"
    }
    return "<tr>\(parts.joined())</tr>"
  }
}

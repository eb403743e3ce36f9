import Foundation
import LongzooMemory
import LongzooTraining

/// The page of one or more runs.
enum RunReport {
  static func page(_ runs: [RunRecord]) -> Page {
    var page = Page(title: runs.count == 1 ? "Run \(runs[0].name)" : "\(runs.count) runs")
    page.paragraph(
      runs.count == 1 ? inWords(runs[0]) : "Training runs of longzoo, side by side.", isDim: true)
    for warning in runs.flatMap(\.warnings) { page.paragraph(warning + ".") }
    page.plots(
      RunCurves.Against.allCases.map { RunCurves.learning(runs, against: $0) } + [RunCurves.memory(runs)])
    if runs.contains(where: { !$0.heldOut.isEmpty }) {
      page.paragraph(
        "Pale lines: the running mean of the training loss. Lines with marks: held-out tokens.", isDim: true)
    }
    page.heading(runs.count == 1 ? "The run" : "The runs")
    page.table(overview(runs))
    differences(runs, &page)
    memory(runs, &page)
    configuration(runs, &page)
    return page
  }

  private static func inWords(_ run: RunRecord) -> String {
    var parts = [run.state.text.prefix(1).uppercased() + run.state.text.dropFirst()]
    if let steps = run.steps { parts.append("\(ByteSize.grouped(steps)) updates") }
    if let tokens = run.tokens { parts.append("\(ByteSize.grouped(tokens)) tokens") }
    if let seconds = run.seconds { parts.append("\(Quantity.seconds.text(seconds)) of training") }
    if let bits = run.lastHeldOut { parts.append("\(Text.number(bits, 3)) bits per held-out token") }
    return parts.joined(separator: ", ") + "."
  }

  private static func overview(_ runs: [RunRecord]) -> PageTable {
    let columns: [(name: String, isNumber: Bool)] =
      [("run", false), ("state", false)]
      + [
        ("updates", true), ("tokens", true), ("training, bits", true), ("held out, best", true),
        ("held out, last", true), ("peak RSS", true), ("time", true), ("seed", true),
      ]
    let rows = runs.enumerated().map { index, run -> [PageTable.Cell] in
      let texts: [String] =
        [run.state.text]
        + [
          run.steps.map(ByteSize.grouped) ?? "–", run.tokens.map(ByteSize.grouped) ?? "–",
          Text.number(run.lastTraining, 3), Text.number(run.bestHeldOut, 3), Text.number(run.lastHeldOut, 3),
          run.peakResident.map(ByteSize.formatted) ?? "–", run.seconds.map(Quantity.seconds.text) ?? "–",
          run.seed ?? "–",
        ]
      return [PageTable.Cell(run.name, color: index)] + texts.map { PageTable.Cell($0) }
    }
    return PageTable(columns: columns, rows: rows)
  }

  /// Every option that is not the same in all runs, a row each.
  private static func differences(_ runs: [RunRecord], _ page: inout Page) {
    let keys = runs.count > 1 ? RunOptionText.differing(runs) : []
    guard !keys.isEmpty else { return }
    page.heading("What differs")
    page.table(
      PageTable(
        columns: [("option", false)] + runs.map { ($0.name, false) },
        rows: keys.map { key in
          [PageTable.Cell(RunOptionText.label(key))]
            + runs.map { PageTable.Cell(short($0.configuration[key])) }
        }))
  }

  /// To four digits: the exact value stands in the command line.
  private static func short(_ value: JSONValue?) -> String {
    if case .number(let number) = value { return Quantity.significant(number, 4) }
    return value.map(RunOptionText.value) ?? "–"
  }

  private static func memory(_ runs: [RunRecord], _ page: inout Page) {
    let known = runs.enumerated().filter { $0.element.memory != nil }
    page.heading("Memory by category")
    guard !known.isEmpty else {
      return page.paragraph(
        "Known when a run has ended: the ledger's peaks are then in its summary.json.", isDim: true)
    }
    let keys = MemoryCategory.allCases.map(\.rawValue) + ["peak_total", "budget"]
    let shown = keys.filter { key in known.contains { $0.element.memory?[key]?.integer != nil } }
    let titles = ["peak_total": "all at once", "budget": "budget"]
    page.table(
      PageTable(
        caption: "Peaks as the ledger charged them, and the resident set that the kernel saw.",
        columns: [("run", false)] + shown.map { (titles[$0] ?? $0, true) } + [("peak RSS", true)],
        rows: known.map { index, run in
          [PageTable.Cell(run.name, color: index)]
            + shown.map { key in PageTable.Cell(run.memory?[key]?.integer.map(ByteSize.formatted) ?? "–") }
            + [PageTable.Cell(run.peakResident.map(ByteSize.formatted) ?? "–")]
        }))
  }

  private static func configuration(_ runs: [RunRecord], _ page: inout Page) {
    page.heading("To make \(runs.count == 1 ? "it" : "them") again")
    for run in runs {
      if runs.count > 1 { page.subheading(run.name) }
      if let command = RunCommandText.command(run.configuration) {
        page.code(command)
      } else {
        page.paragraph("There is no config.json in \(run.path), or none that can be read.")
      }
    }
    let differing = Set(RunOptionText.differing(runs))
    let keys = RunOptionText.keys(runs)
    guard !keys.isEmpty else { return }
    page.details("All options") { page in
      page.table(
        PageTable(
          columns: [("option", false)] + runs.map { ($0.name, false) },
          rows: keys.map { key in
            let mark = runs.count > 1 && differing.contains(key) ? " (differs)" : ""
            return [
              PageTable.Cell(RunOptionText.label(key) + mark)
            ]
              + runs.map { PageTable.Cell($0.configuration[key].map(RunOptionText.value) ?? "–") }
          }))
    }
  }
}

import ArgumentParser
import Foundation
import LongzooTraining

struct ReportCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "report",
    abstract: "Draws the curves of one or more runs: a page, or a plot in the terminal.",
    discussion: """
      The page is one file that needs no network. A run that is still going is drawn as far as it has come; make the report \
      again for more.
      """)

  @Argument(help: ArgumentHelp("Run folders.", valueName: "run")) var runs: [String]
  @Option(
    name: [.customShort("o"), .customLong("out")],
    help: ArgumentHelp("Write the page here.", valueName: "path"))
  var out: String?
  @Flag(help: "Draw the learning curve in the terminal.") var plot = false
  @Option(
    name: .customLong("x"),
    help: "With --plot: what the curve is drawn against, updates, time or tokens. (default: updates)")
  var against: RunCurves.Against?
  @Flag(help: "Print the figures of the runs as one JSON object on standard output.") var json = false

  func validate() throws {
    if runs.isEmpty { throw ValidationError("name the folder of a run.") }
    if out == nil, !plot, !json {
      throw ValidationError(
        "say where the report goes: -o report.html, or --plot for the terminal, or --json.")
    }
    if against != nil, !plot {
      throw ValidationError("--x is for the curve of --plot; the page has all of them.")
    }
    if plot, json { throw ValidationError("--plot and --json both print: take one of them.") }
  }

  func run() throws {
    let records = try RunRecord.read(runs, stop: { Signals.received != nil })
    for warning in records.flatMap(\.warnings) { StandardStreams.tell("longzoo: warning: \(warning)\n") }
    if let out { try RunReport.page(records).write(to: out) }
    if json { try StandardStreams.printResult(RunReportJSON.text(records, page: out)) }
    if plot {
      let curve = RunCurves.learning(records, against: against ?? .updates)
      try StandardStreams.printResult(TerminalPlot(plot: curve, columns: TerminalPlot.terminalWidth()).text)
    }
  }
}

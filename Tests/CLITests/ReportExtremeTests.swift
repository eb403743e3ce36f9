import Foundation
import Testing

@testable import LongzooTraining
@testable import longzoo

/// A report of files that say anything: a page, a plot and JSON, whatever the numbers.
@Suite struct ReportExtremeTests {
  @Test func anyFieldAtAnyValueMakesAPage() throws {
    let runs = Runs("--max-steps", "3", "--val-fraction", "0.1", "--log-interval", "1")
    let data = runs.folder.put("data", Sample.tokens(2000))
    try runs.train(data, out: "run")
    let metrics = runs.folder.text("run/metrics.jsonl").split(separator: "\n").map(String.init)
    for name in ["config.json", "summary.json"] {
      let sound = runs.folder.bytes("run/" + name)
      let object = try #require(try JSONSerialization.jsonObject(with: Data(sound)) as? [String: Any])
      for (field, value, changed) in some(of: Extreme.changes(of: object)) {
        _ = runs.folder.put("run/" + name, Array(try JSONSerialization.data(withJSONObject: changed)))
        try expectReport(runs.folder("run"), "\(name) \(field) \(value)")
      }
      _ = runs.folder.put("run/" + name, sound)
    }
    let line = try #require(try JSONSerialization.jsonObject(with: Data(metrics[0].utf8)) as? [String: Any])
    for (field, value, changed) in some(of: Extreme.changes(of: line)) {
      let other = try JSONSerialization.data(withJSONObject: changed)
      _ = runs.folder.put("run/metrics.jsonl", Array((metrics[0] + "\n").utf8) + other + Array("\n".utf8))
      try expectReport(runs.folder("run"), "metrics \(field) \(value)")
    }
  }

  /// Every 23rd: a page takes a quarter of a second, and there are some thousand changes. 23 divides no number of values, so that each field
  /// and each value have their turn.
  private func some<Change>(of changes: [Change]) -> [Change] {
    changes.indices.filter { $0 % 23 == 0 }.map { changes[$0] }
  }

  private func expectReport(_ path: String, _ what: String) throws {
    let record = try RunRecord(path: path)
    #expect(!RunReport.page([record]).document.isEmpty, "\(what)")
    let json = RunReportJSON.text([record], page: nil)
    #expect((try? JSONSerialization.jsonObject(with: Data(json.utf8))) != nil, "\(what): \(json)")
    for against in RunCurves.Against.allCases {
      #expect(
        !TerminalPlot(plot: RunCurves.learning([record], against: against), columns: 60).text.isEmpty,
        "\(what)")
    }
  }
}

import Foundation
import LongzooMemory
import LongzooTraining

/// The results as Markdown, for a terminal or a text; and the words that the page uses, too.
enum CompareTable {
  static func columns(_ settings: CompareSettings) -> [(name: String, isNumber: Bool)] {
    [
      ("method", false), ("context", true), ("activations", true), ("ledger", true), ("peak RSS", true),
      ("unexplained", true),
      ("tokens an update", true), ("time an update", true),
      ("bits after \(settings.steps) updates", true),
      ("bits after \(Quantity.count.short(Double(settings.tokenColumns))) token-columns", true),
      ("bits after \(seconds(settings))", true), ("cosine", true), ("remarks", false),
    ]
  }

  static func cells(_ result: CompareResult) -> [String] {
    [
      result.cell.method.rawValue, Quantity.count.short(Double(result.cell.context)),
      bytes(result.activationBytes), bytes(result.neededBytes), bytes(result.peakResident),
      result.unexplainedBytes.map(signedBytes) ?? "–",
      result.tokensPerUpdate.map { Quantity.count.text($0.rounded()) } ?? "–",
      result.secondsPerUpdate.map(Quantity.seconds.text) ?? "–", Text.bits(result.lossEqualSteps),
      Text.bits(result.lossEqualTokenColumns), Text.bits(result.lossEqualSeconds),
      result.cosine.map { Text.number($0, 4) } ?? "–", remark(result),
    ]
  }

  private static func remark(_ result: CompareResult) -> String {
    result.note.map { result.ran ? $0 : "not run: \($0)" } ?? ""
  }

  static func markdown(_ results: [CompareResult], _ settings: CompareSettings) -> String {
    markdown(columns(settings), results.map(cells))
  }

  private static func markdown(_ columns: [(name: String, isNumber: Bool)], _ rows: [[String]]) -> String {
    func line(_ cells: [String]) -> String {
      "| " + cells.map { $0.replacingOccurrences(of: "|", with: "\\|") }.joined(separator: " | ") + " |"
    }
    let rule = columns.map { $0.isNumber ? "---:" : "---" }
    return ([line(columns.map(\.name)), line(rule)] + rows.map(line)).joined(separator: "\n")
  }

  /// A result in one line, while the others are still to come.
  static func line(_ result: CompareResult) -> String {
    let head = "\(result.cell.method.rawValue), context \(Quantity.count.short(Double(result.cell.context)))"
    let remark = remark(result)
    if !result.ran { return "\(head): \(remark)" }
    let time = result.secondsPerUpdate.map { ", \(Quantity.seconds.text($0)) an update" } ?? ""
    return
      "\(head): activations \(bytes(result.activationBytes)), peak RSS \(bytes(result.peakResident))\(time)"
      + (remark.isEmpty ? "" : "; " + remark)
  }

  static let checkColumns: [(name: String, isNumber: Bool)] = [
    ("directions", false), ("parameters d", true), ("pairs n", true), ("cosine", true),
    ("standard error", true), ("√(n/(n+d−1))", true), ("off by", true),
  ]

  static func cells(_ row: EstimateCheck.Row) -> [String] {
    let off = (row.cosine - row.theory) / row.standardError
    return [
      "\(row.directions)", ByteSize.grouped(row.parameters), "\(row.pairs)", Text.number(row.cosine, 4),
      Text.number(row.standardError, 4), Text.number(row.theory, 4),
      (off < 0 ? "−" : "+") + Text.number(abs(off), 1) + " s.e.",
    ]
  }

  static func markdown(_ rows: [EstimateCheck.Row]) -> String { markdown(checkColumns, rows.map(cells)) }

  private static func signedBytes(_ count: Int) -> String {
    (count < 0 ? "−" : "+") + ByteSize.formatted(abs(count))
  }

  static func cosineLine(_ cell: CompareCell, _ cosine: Double) -> String {
    "\(cell.method.rawValue), context \(Quantity.count.short(Double(cell.context))): cosine with the exact gradient \(Text.number(cosine, 4))"
  }

  static func json(
    _ results: [CompareResult], _ settings: CompareSettings, check: [EstimateCheck.Row] = []
  ) -> String {
    let model = settings.common.model
    return "{\"command\":\"compare\",\"cell\":\"\(model.cell.name)\",\"block\":\"\(model.block.rawValue)\","
      + "\"hidden_size\":\(model.hiddenSize),\"layers\":\(model.layers),\"embedding_size\":\(model.embeddingSize),"
      + "\"streams\":\(settings.streams),\"seed\":\(settings.common.run.seed),\"steps\":\(settings.steps),"
      + "\"seconds\":\(JSONText.number(settings.seconds)),"
      + "\"available_bytes\":\(JSONText.number(MachineMemory.available)),"
      + "\"token_columns\":\(settings.tokenColumns),"
      + "\"estimate_check\":[\(check.map(\.json).joined(separator: ","))],"
      + "\"results\":[\(results.map(\.json).joined(separator: ","))]}"
  }

  static func seconds(_ settings: CompareSettings) -> String { Quantity.seconds.text(settings.seconds) }

  private static func bytes(_ count: Int?) -> String { count.map(ByteSize.formatted) ?? "–" }
}

import Foundation
import Memory

/// The results as Markdown, for a terminal or a text; and the words that the page uses, too.
enum CompareTable {
  static func columns(_ settings: CompareSettings) -> [(name: String, isNumber: Bool)] {
    [
      ("method", false), ("context", true), ("activations", true), ("ledger", true), ("peak RSS", true),
      ("tokens an update", true), ("time an update", true),
      ("bits after \(settings.steps) updates", true), ("bits after \(seconds(settings))", true),
      ("remarks", false),
    ]
  }

  static func cells(_ result: CompareResult) -> [String] {
    [
      result.cell.method.rawValue, Quantity.count.short(Double(result.cell.context)),
      bytes(result.activationBytes), bytes(result.neededBytes), bytes(result.peakResident),
      result.tokensPerUpdate.map { Quantity.count.text($0.rounded()) } ?? "–",
      result.secondsPerUpdate.map(Quantity.seconds.text) ?? "–", Text.bits(result.lossEqualSteps),
      Text.bits(result.lossEqualSeconds), remark(result),
    ]
  }

  private static func remark(_ result: CompareResult) -> String {
    let cosine = result.cosine.map { "cosine \(Text.number($0, 4))" }
    let note = result.note.map { result.ran ? $0 : "not run: \($0)" }
    return [cosine, note].compactMap { $0 }.joined(separator: "; ")
  }

  static func markdown(_ results: [CompareResult], _ settings: CompareSettings) -> String {
    let columns = columns(settings)
    func line(_ cells: [String]) -> String {
      "| " + cells.map { $0.replacingOccurrences(of: "|", with: "\\|") }.joined(separator: " | ") + " |"
    }
    let rule = columns.map { $0.isNumber ? "---:" : "---" }
    return ([line(columns.map(\.name)), line(rule)] + results.map { line(cells($0)) }).joined(separator: "\n")
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

  static func json(_ results: [CompareResult], _ settings: CompareSettings) -> String {
    "{\"command\":\"compare\",\"hidden_size\":\(settings.hiddenSize),\"layers\":\(settings.layers),"
      + "\"streams\":\(settings.streams),\"seed\":\(settings.seed),\"steps\":\(settings.steps),"
      + "\"seconds\":\(JSONText.number(settings.seconds)),"
      + "\"available_bytes\":\(JSONText.number(MachineMemory.available)),"
      + "\"results\":[\(results.map(\.json).joined(separator: ","))]}"
  }

  static func seconds(_ settings: CompareSettings) -> String { Quantity.seconds.text(settings.seconds) }

  private static func bytes(_ count: Int?) -> String { count.map(ByteSize.formatted) ?? "–" }
}

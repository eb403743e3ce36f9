import Foundation
import Testing

@testable import LongzooTraining
@testable import longzoo

/// The page and the table of results that no machine had to produce.
@Suite struct ReportComparePageTests {
  private let settings: CompareSettings = {
    var settings = CompareSettings()
    settings.contexts = [1000, 10_000, 100_000, 1_000_000]
    (settings.common.model.hiddenSize, settings.pairs) = (128, 256)
    return settings
  }()

  /// Memory as theory has it; the longest context does not fit for bptt, and bptt-binomial is unknown.
  private func result(_ method: CompareMethod, _ context: Int) -> CompareResult {
    var result = CompareResult(
      CompareCell(method: method, context: context), command: "longzoo train --context \(context) 'a b.zst'")
    let length = Double(context)
    let activations: Double =
      switch method {
      case .cdRGE, .fdRGE, .jvp, .nres, .pes, .node: 4_445_504
      case .tbptt, .hybrid: 400_000
      case .bptt: length * 4096
      case .bpttSqrt: length.squareRoot() * 8192
      case .bpttBinomial: 40e6
      }
    if method == .bpttBinomial {
      result.note = "train does not know it"
      return result
    }
    result.memory = [
      "activations": .integer(Int(activations)), "peak_total": .integer(Int(activations) + 20_000_000),
    ]
    guard activations < 1e9 else {
      result.note = "needs more | than there is"
      return result
    }
    result.ran = true
    result.peakResident = Int(activations) + 40_000_000
    result.steps = 100
    result.tokens = 100 * (method.updatesOnceAContext ? context : 8)
    result.seconds = 100 * (method.updatesOnceAContext ? length * 1e-5 : 0.002)
    result.lossEqualSeconds = 2.5 + Double(method.index) / 10
    return result
  }

  private var results: [CompareResult] {
    settings.methods.flatMap { method in settings.contexts.map { result(method, $0) } }
  }

  @Test func thePageHasAllMethods() throws {
    let page = ComparePage(settings: settings, results: results).page.document
    let parsed = try ParsedPage(page)
    parsed.expectSelfContained()
    for text in [
      "cd-rge", "bptt-sqrt", "tbptt", "1M", "100k", "not run", "Hollow marks", "'a b.zst'", "3.81 GiB",
    ] {
      #expect(parsed.text.contains(text), "\(text)")
    }
    #expect(parsed.attributes.contains { $0.value == "plot-marker plot-hollow" })
  }

  @Test func whatWasNotMeasuredIsNull() throws {
    let text = CompareTable.json(results, settings)
    let all = try #require(try RunResult(text).values["results"] as? [[String: Any]])
    #expect(all.count == 24)
    let unknown = try #require(all.first { $0["method"] as? String == "bptt-binomial" })
    for key in [
      "activation_bytes", "peak_rss_bytes", "seconds_per_update", "loss_equal_steps", "cosine",
      "needed_bytes",
    ] {
      #expect(unknown[key] is NSNull, "\(key)")
    }
    let large = try #require(
      all.first { $0["method"] as? String == "bptt" && $0["context"] as? Int == 1_000_000 })
    #expect(large["ran"] as? Bool == false)
    #expect((large["needed_bytes"] as? Int ?? 0) > 4_000_000_000)
  }

  @Test func theTableEscapesItsBars() {
    let lines = CompareTable.markdown(results, settings).split(separator: "\n")
    #expect(lines.count == 26)
    let bars = lines.map { $0.replacingOccurrences(of: "\\|", with: "").count(where: { $0 == "|" }) }
    #expect(Set(bars).count == 1)
  }
}

import ArgumentParser
import Foundation
import LongzooTraining

/// The plots of a report.
enum RunCurves {
  /// What a learning curve can be drawn against.
  enum Against: String, CaseIterable, ExpressibleByArgument {
    case updates
    case seconds = "time"
    case tokens

    var measure: Plot.Measure {
      switch self {
      case .updates: return .init(label: "updates", quantity: .count, fromZero: true)
      case .seconds: return .init(label: "time of training", quantity: .seconds, fromZero: true)
      case .tokens: return .init(label: "tokens read", quantity: .count, fromZero: true)
      }
    }

    func value(_ record: MetricsRecord) -> Double? {
      switch self {
      case .updates: return Double(record.step)
      case .seconds: return record.wallSeconds
      case .tokens: return Double(record.tokens)
      }
    }
  }

  /// Bits per token, in training (faint) and held out.
  static func learning(_ runs: [RunRecord], against: Against) -> Plot {
    let title =
      switch against {
      case .updates: "Loss against updates"
      case .seconds: "Loss against time"
      case .tokens: "Loss against tokens"
      }
    return Plot(
      title: title, x: against.measure, y: .init(label: "bits per token", quantity: .plain),
      series: runs.enumerated().flatMap {
        learning($0.element, color: $0.offset, against, isAlone: runs.count == 1)
      },
      references: references(runs)
    ).scaledByRange()
  }

  private static func learning(
    _ run: RunRecord, color: Int, _ against: Against, isAlone: Bool
  ) -> [PlotSeries] {
    func points(_ values: [(record: MetricsRecord, bits: Double)]) -> [PlotPoint] {
      values.compactMap { value in against.value(value.record).map { PlotPoint(x: $0, y: value.bits) } }
    }
    let heldOut = points(run.heldOut)
    let hasHeldOut = !heldOut.isEmpty
    return [
      PlotSeries(
        name: isAlone ? "training" : run.name + (hasHeldOut ? ", training" : ""),
        points: points(run.training),
        color: color, style: hasHeldOut ? .faint : .line, isInLegend: isAlone || !hasHeldOut),
      PlotSeries(
        name: isAlone ? "held out" : run.name, points: heldOut, color: color, style: .lineWithMarkers,
        isInLegend: hasHeldOut),
    ]
  }

  /// What tables of frequencies reach on the same tokens, where the runs agree on it.
  private static func references(_ runs: [RunRecord]) -> [PlotReference] {
    [("unigram", "unigram_bits"), ("bigram", "bigram_bits")].compactMap { name, key in
      let values = runs.map { $0.summary?[key]?.double }
      guard let first = values.first ?? nil, values.allSatisfy({ $0 == first }) else { return nil }
      return PlotReference(name: name, y: first)
    }
  }

  /// Resident bytes over time; of one run also what the ledger has.
  static func memory(_ runs: [RunRecord]) -> Plot {
    let ledger = runs.count == 1 ? runs[0].memory?["peak_total"]?.double : nil
    return Plot(
      title: "Memory over time", x: Against.seconds.measure,
      y: .init(label: "resident memory", quantity: .bytes, fromZero: true),
      series: runs.enumerated().map { index, run in
        PlotSeries(
          name: runs.count == 1 ? "resident set" : run.name,
          points: run.history.records.compactMap { record in
            guard let seconds = record.wallSeconds, let bytes = record.residentBytes else { return nil }
            return PlotPoint(x: seconds, y: Double(bytes))
          }, color: index)
      },
      references: ledger.map { [PlotReference(name: "ledger's peak", y: $0)] } ?? [])
  }
}

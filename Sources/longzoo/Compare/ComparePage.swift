import Foundation
import LongzooMemory
import LongzooTraining

/// The page of a comparison.
struct ComparePage {
  let settings: CompareSettings
  let results: [CompareResult]
  var check: [EstimateCheck.Row] = []

  var page: Page {
    var page = Page(title: "Memory, time and loss against context")
    let (model, seed) = (settings.common.model, settings.common.run.seed)
    let streams = settings.streams == 1 ? "one stream" : "\(settings.streams) streams"
    page.paragraph(
      "\(model.cell.name), H = \(model.hiddenSize), \(model.layersText), \(streams), \(settings.pairs) pairs where a method has pairs, seed \(seed). "
        + "Every method at every context was a process of its own, with \(CompareTable.seconds(settings)) of training.",
      isDim: true)
    page.plots([memoryPlot, residentPlot, timePlot, lossPlot].filter { !$0.isEmpty })
    if results.contains(where: { !$0.ran && $0.activationBytes != nil }) {
      page.paragraph("Hollow marks: computed, not run.", isDim: true)
    }
    page.heading("The figures")
    page.table(table)
    page.paragraph(Self.legend, isDim: true)
    if !check.isEmpty {
      page.heading("The estimate against theory")
      page.paragraph(
        "The cosine of CD-RGE's estimate with the exact gradient, and what theory says of n random directions for d parameters. "
          + "One window of \(EstimateCheck.tokens) tokens, H = \(EstimateCheck.hiddenSize), ε = 1/1024, everything perturbed; "
          + "means over 32 to 256 draws.", isDim: true)
      page.table(
        PageTable(
          columns: CompareTable.checkColumns,
          rows: check.map { row in CompareTable.cells(row).map { PageTable.Cell($0) } }))
    }
    let curves = settings.contexts.map(learning).filter { !$0.isEmpty }
    if !curves.isEmpty {
      page.heading("Learning curves")
      page.paragraph(
        "Pale lines: the running mean of the training loss. Marks: held-out tokens.", isDim: true)
      page.plots(curves)
    }
    page.heading("Memory by category")
    page.table(categories)
    page.heading("To make them again")
    page.code(results.map(\.command).joined(separator: "\n"))
    return page
  }

  private static let legend =
    "Unexplained: the peak resident set less the ledger and less what the program held before it reserved anything. "
    + "Token-columns: tokens times the models that read them. Cosine: of the mean gradient over a whole context with the "
    + "exact one, the weights held still; a dash where measuring it takes too long."

  /// The plot that says what the program is for.
  var memoryPlot: Plot {
    plot("Memory against context", y: .init(label: "activations", quantity: .bytes, scale: .logarithmic)) {
      result in
      result.activationBytes.map { (Double($0), isHollow: !result.ran) }
    }
  }

  private var residentPlot: Plot {
    var plot = plot(
      "All memory against context",
      y: .init(label: "peak resident set", quantity: .bytes, scale: .logarithmic)
    ) { result in
      (result.peakResident ?? (result.ran ? nil : result.neededBytes)).map {
        (Double($0), isHollow: !result.ran)
      }
    }
    plot.references =
      MachineMemory.available.map { [PlotReference(name: "available here", y: Double($0))] } ?? []
    return plot
  }

  private var timePlot: Plot {
    plot(
      "Time of an update against context",
      y: .init(label: "seconds an update", quantity: .seconds, scale: .logarithmic)
    ) {
      $0.secondsPerUpdate.map { ($0, isHollow: false) }
    }
  }

  private var lossPlot: Plot {
    plot(
      "Loss after \(CompareTable.seconds(settings)) against context",
      y: .init(label: "bits per held-out token", quantity: .plain)
    ) { $0.lossEqualSeconds.map { ($0 / log(2), isHollow: false) } }.scaledByRange()
  }

  private func plot(
    _ title: String, y: Plot.Measure, value: (CompareResult) -> (Double, isHollow: Bool)?
  ) -> Plot {
    Plot(
      title: title, x: .init(label: "context, tokens", quantity: .count, scale: .logarithmic), y: y,
      series: settings.methods.map { method in
        let points = results.filter { $0.cell.method == method }.sorted { $0.cell.context < $1.cell.context }
          .compactMap { result in
            value(result).map { PlotPoint(x: Double(result.cell.context), y: $0.0, isHollow: $0.isHollow) }
          }
        return PlotSeries(
          name: method.rawValue, points: points, color: method.index, style: .lineWithMarkers,
          isInLegend: !points.isEmpty)
      })
  }

  private func learning(_ context: Int) -> Plot {
    let shown = results.filter { $0.cell.context == context && !$0.history.records.isEmpty }
    return Plot(
      title: "Loss against time, context \(Quantity.count.short(Double(context)))",
      x: RunCurves.Against.seconds.measure, y: .init(label: "bits per token", quantity: .plain),
      series: shown.flatMap { result -> [PlotSeries] in
        func points(_ loss: (MetricsRecord) -> Double?) -> [PlotPoint] {
          result.history.records.compactMap { record in
            guard let seconds = record.wallSeconds, let nats = loss(record) else { return nil }
            return PlotPoint(x: seconds, y: nats / log(2))
          }
        }
        let (name, color) = (result.cell.method.rawValue, result.cell.method.index)
        return [
          PlotSeries(
            name: name + ", training", points: points(\.trainLoss), color: color, style: .faint,
            isInLegend: false),
          PlotSeries(name: name, points: points(\.valLoss), color: color, style: .markers),
        ]
      }
    ).scaledByRange()
  }

  private var table: PageTable {
    PageTable(
      columns: CompareTable.columns(settings),
      rows: results.map { result in
        CompareTable.cells(result).enumerated().map { index, text in
          PageTable.Cell(text, color: index == 0 ? result.cell.method.index : nil)
        }
      })
  }

  private var categories: PageTable {
    let names = MemoryCategory.allCases.map(\.rawValue)
    return PageTable(
      columns: [("method", false), ("context", true)] + names.map { ($0, true) } + [("all at once", true)],
      rows: results.filter { !$0.memory.isEmpty }.map { result in
        [
          PageTable.Cell(result.cell.method.rawValue, color: result.cell.method.index),
          PageTable.Cell(Quantity.count.short(Double(result.cell.context))),
        ]
          + (names + ["peak_total"]).map {
            PageTable.Cell(result.memory[$0]?.integer.map(ByteSize.formatted) ?? "–")
          }
      })
  }
}

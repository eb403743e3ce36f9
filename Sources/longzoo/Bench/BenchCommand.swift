import ArgumentParser
import Foundation
import LongzooEstimator
import LongzooMemory
import LongzooModel
import LongzooTraining

struct BenchCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bench",
    abstract: "Measures this machine's multiply-add peak and the population step, in one run.",
    discussion: """
      Peak and steps take turns, and each figure is the median over the rounds, so that other load on the machine falls
      on both. A FLOP is one multiply or one add of the shared matrix products; what directions, gates and softmax cost is
      time. The step is that of train: with --readout exact the readout's own gradient is summed in it, with zo all
      parameters are perturbed. Updates are whole ones: windows of --window tokens, the estimate, Adam, averaging and packing.
      """)

  @Option(help: ArgumentHelp("Hidden sizes, separated by commas.", valueName: "list")) var hiddenSize =
    "64,128,256,512"
  @OptionGroup var layers: LayerOptions
  @Option(help: "Vocabulary.", transform: TokenCount.number) var vocabSize = 256
  @Option(help: "Pairs; columns are twice as many.", transform: TokenCount.number) var pairs = 256
  @Option(
    help: "Directions: rank1, rademacher or gaussian. (default: rank1, and rademacher at the sizes up to 256)"
  )
  var perturbation: Perturbation?
  @Option(help: "Products in a direction of rank1.", transform: TokenCount.number) var rank = 1
  @Option(help: "How the readout is trained: exact or zo.") var readout = ReadoutKind.exact
  @Option(help: "Tokens between updates.", transform: TokenCount.number) var window =
    EstimatorFamily.standard.defaults.window.tokens ?? 8
  @Option(
    help: ArgumentHelp(
      "Kernels to measure, and whose peak: avx512, avx2 or portable. (default: the widest here)",
      valueName: "set"))
  var instructions: Instructions?
  @Option(help: "Threads. (default: all processors)", transform: TokenCount.number) var threads: Int?
  @Option(help: "Rounds to take the median of.", transform: TokenCount.number) var rounds = 7
  @Flag(help: "Print one JSON object on standard output.") var json = false

  func run() throws {
    let sizes = try hiddenSizes()
    let threads = threads ?? ProcessInfo.processInfo.activeProcessorCount
    guard (1...1000).contains(rounds) else {
      throw RunFailure.usage("--rounds \(rounds) is not from 1 to 1000")
    }
    let instructions = try chosenInstructions()
    let plans = try sizes.flatMap { size in try kinds(size).map { try plan(size, $0, threads) } }
    let pool = try ThreadPool(threads: threads)
    let cases = try plans.map {
      try BenchCase($0, instructions, pool: pool, stop: { Signals.received != nil })
    }
    var peaks: [Double] = []
    for round in 0..<rounds {
      for (index, one) in cases.enumerated() {
        for measure in [one.measureStep, one.measureUpdates] {
          let peak = PeakMeter.gflops(instructions, on: pool)
          peaks.append(peak)
          try measure(peak)
        }
        if Signals.received != nil { throw RunStopped() }
        if !json, isatty(2) == 1 {
          StandardStreams.showStatus("round \(round + 1)/\(rounds), case \(index + 1)/\(cases.count)")
        }
      }
    }
    let peak = BenchFigure.median(peaks)
    try StandardStreams.printResult(json ? jsonText(cases, peak, threads) : text(cases, peak, threads))
  }

  private func chosenInstructions() throws -> Instructions {
    let instructions = instructions ?? .best
    guard instructions.isSupported, instructions != .reference else {
      throw RunFailure.usage("--instructions \(instructions.rawValue): this processor has no such kernels")
    }
    return instructions
  }

  private func hiddenSizes() throws -> [Int] {
    let sizes = hiddenSize.split(separator: ",").map { Int($0) ?? 0 }
    guard !sizes.isEmpty, sizes.allSatisfy({ $0 > 0 }) else {
      throw RunFailure.usage("--hidden-size \(hiddenSize) is no list of sizes such as 64,128")
    }
    return sizes
  }

  private func kinds(_ size: Int) -> [Perturbation] {
    perturbation.map { [$0] } ?? (size <= 256 && rank == 1 ? [.rank1, .rademacher] : [.rank1])
  }

  private func plan(_ size: Int, _ kind: Perturbation, _ threads: Int) throws -> RunPlan {
    var c = RunPlan()
    c.model.hiddenSize = size
    c.data.vocabularySize = vocabSize
    layers.apply(to: &c.model)
    c.model.settle()
    c.estimator.pairs = pairs
    c.streaming.streams = pairs
    c.estimator.perturbation = kind
    c.estimator.rank = rank
    c.estimator.readout = readout
    c.streaming.window = .tokens(window)
    c.run.threads = threads
    c.data.paths = ["none"]
    try c.validate()
    try MemoryPlan.requireMemory(for: MemoryPlan.tableWithoutData(for: c), "H = \(size)")
    return c
  }

  private func jsonText(_ cases: [BenchCase], _ peak: Double, _ threads: Int) -> String {
    let results = cases.map { one in
      let model = one.plan.model
      return """
        {"cell":"\(model.cell.name)","block":"\(model.block.rawValue)","perturbation":"\(one.plan.estimator.perturbation.rawValue)","rank":\(rank),"readout":"\(readout.rawValue)",\
        "hidden_size":\(model.hiddenSize),"vocab_size":\(vocabSize),"layers":\(model.layers),"columns":\(2 * pairs),\
        "threads":\(threads),"token_columns_per_second":\(JSONText.number(one.step.rate)),\
        "gflops":\(JSONText.number(one.step.gflops)),"fraction_of_peak":\(JSONText.number(one.step.fraction)),\
        "window":\(window),"update_token_columns_per_second":\(JSONText.number(one.update.rate)),\
        "update_fraction_of_peak":\(JSONText.number(one.update.fraction))}
        """
    }
    return """
      {"command":"bench","instructions":"\((instructions ?? .best).rawValue)","peak_gflops":\(JSONText.number(peak)),\
      "threads":\(threads),"rounds":\(rounds),"results":[\(results.joined(separator: ","))]}
      """
  }

  private func text(_ cases: [BenchCase], _ peak: Double, _ threads: Int) -> String {
    var lines = [
      "multiply-add peak: \(Text.number(peak, 1)) GFLOP/s on \(threads) thread\(threads == 1 ? "" : "s") (\((instructions ?? .best).rawValue))",
      "\(cases[0].plan.model.cell.name), \(cases[0].plan.model.layersText), V = \(vocabSize), \(2 * pairs) columns, readout \(readout.rawValue), medians of \(rounds) rounds",
      "updates: windows of \(window) tokens, with estimate, Adam, averaging and packing", "",
      "| directions | H | step, GFLOP/s | of peak | token-columns/s | updates, of peak | token-columns/s |",
      "|---|---|---|---|---|---|---|",
    ]
    for one in cases {
      lines.append(
        "| \(one.plan.directions) | \(one.plan.model.hiddenSize) | \(Text.number(one.step.gflops, 1)) | "
          + "\(Text.number(one.step.fraction, 3)) | \(ProgressLine.scaled(one.step.rate)) | "
          + "\(Text.number(one.update.fraction, 3)) | \(ProgressLine.scaled(one.update.rate)) |")
    }
    return lines.joined(separator: "\n")
  }
}

import ArgumentParser
import Foundation
import LongzooEstimator
import LongzooModel
import LongzooStream
import LongzooTraining

struct CompareCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "compare",
    abstract:
      "Measures memory, time and loss of several methods at several contexts, each in a process of its own.",
    discussion: """
      Without DATA the bundled corpus is used. The table is Markdown, its losses are bits per held-out token; those of --json are \
      nats. What would not fit in the memory of this machine is not run, but its need is told.
      """)

  @Argument(help: ArgumentHelp("Token files, plain or compressed.", valueName: "data")) var paths: [String] =
    []
  @Option(help: ArgumentHelp("Contexts in tokens, separated by commas.", valueName: "list")) var contexts =
    "1k,10k,100k,1M"
  @Option(
    help: ArgumentHelp(
      "Methods, separated by commas, of \(CompareMethod.allCases.map(\.rawValue).joined(separator: ", ")).",
      valueName: "list"))
  var methods = CompareMethod.usual.map(\.rawValue).joined(separator: ",")
  @OptionGroup(title: "Data") var data: DataOptions
  @OptionGroup var layers: LayerOptions
  @Option(help: "Units of a layer.", transform: TokenCount.number) var hiddenSize = 128
  @Option(help: "Pairs of all methods that have any.", transform: TokenCount.number) var pairs =
    EstimatorFamily.standard.defaults.pairs
  @Option(
    help: "Positions in the data that are read in parallel, by every method.", transform: TokenCount.number)
  var streams = 1
  @Option(
    help:
      "Tokens between updates of the methods that update within a context. (default: those of train)",
    transform: TokenCount.number)
  var window: Int?
  @Option(
    help: ArgumentHelp("Memory budget of bptt-binomial.", valueName: "size"),
    transform: ByteSizeArgument.parse)
  var budget = ByteSizeArgument(CompareSettings.defaultBudget)
  @Option(
    help: "Seconds of training in every cell, after which losses are compared.",
    transform: DurationText.parse)
  var seconds = 10.0
  @Option(help: "Updates after which losses are compared.", transform: TokenCount.number) var steps = 10
  @Option(
    help: "Token-columns (tokens times the models that read them) after which losses are compared.",
    transform: TokenCount.number)
  var tokenColumns = 200_000
  @Option(
    help:
      "Seconds for measuring a cosine with the exact gradient; where it takes longer it is left out. 0: nowhere.",
    transform: DurationText.parse)
  var cosineSeconds = 10.0
  @Option(
    help: ArgumentHelp(
      "Wall seconds for all cells together. (default: ten minutes, or what --seconds asks for)"),
    transform: DurationText.parse)
  var limit: Double?
  @Option(help: "Held-out tokens that an evaluation reads.", transform: TokenCount.number) var evalTokens =
    20_000
  @Option(help: "Seed of all randomness.", transform: Seed.parse) var seed: UInt64 = 1337
  @Option(help: "Threads. (default: all processors)", transform: TokenCount.number) var threads: Int?
  @Option(
    name: [.customShort("o"), .customLong("out")],
    parsing: .singleValue,
    help: ArgumentHelp(
      "Write a page here; a name that ends in .svg gets the plot of memory alone. May be given more than once.",
      valueName: "path"))
  var out: [String] = []
  @Flag(help: "Measure as well how near cd-rge's estimate comes to what theory says of it.") var theory =
    false
  @Flag(help: "Print one JSON object on standard output instead of the table.") var json = false
  @Flag(help: "No progress.") var quiet = false

  func validate() throws {
    if let pipe = paths.first(where: DataPath.isPipe) {
      throw ValidationError(
        "every cell reads the data from its start: give files, not \(pipe == "-" ? "-" : "the pipe \(pipe)")."
      )
    }
    if !(seconds > 0 && seconds.isFinite) { throw ValidationError("--seconds must be a positive number.") }
    if let limit, !(limit > 0 && limit.isFinite) {
      throw ValidationError("--limit must be a positive number.")
    }
    if !(cosineSeconds >= 0 && cosineSeconds.isFinite) {
      throw ValidationError("--cosine-seconds must be a number of at least 0.")
    }
    for (option, number, most) in [
      ("--token-columns", tokenColumns, Comparison.never), ("--steps", steps, Comparison.never),
      ("--pairs", pairs, 1 << 20), ("--streams", streams, 1 << 20),
    ] where !(1...most).contains(number) {
      throw ValidationError("\(option) \(number) is not from 1 to \(most).")
    }
    if let window, window < 1 { throw ValidationError("--window must be at least 1 token.") }
    _ = try parsedContexts()
    _ = try parsedMethods()
  }

  func run() throws {
    let settings = try settings()
    let folder = try TemporaryFolder()
    let comparison = Comparison(settings, folder: folder.path) { line in
      if !quiet { StandardStreams.tell(line + "\n") }
    }
    let (results, check): ([CompareResult], [EstimateCheck.Row])
    do {
      results = try comparison.run()
      check = theory ? try comparison.checkEstimate() : []
    } catch let end as RunStopped {
      // The program ends without it being deinitialized.
      folder.remove()
      throw end
    }
    folder.remove()
    let page = ComparePage(settings: settings, results: results, check: check)
    for path in out {
      guard path.hasSuffix(".svg") else {
        try page.page.write(to: path)
        continue
      }
      let drawing = SVGPlot(page.memoryPlot, .wide).document()
      try AtomicFile.write(to: path) { try $0.write(drawing) }
    }
    try StandardStreams.printResult(
      json
        ? CompareTable.json(results, settings, check: check)
        : ([CompareTable.markdown(results, settings)] + (check.isEmpty ? [] : [CompareTable.markdown(check)]))
          .joined(separator: "\n\n"))
  }

  private func settings() throws -> CompareSettings {
    let (contexts, methods) = (try parsedContexts(), try parsedMethods())
    let asked = Double(contexts.count * methods.count) * (seconds * 1.2 + 5)
    var settings = CompareSettings()
    settings.common = try common()
    (settings.contexts, settings.methods) = (contexts, methods)
    (settings.pairs, settings.window, settings.budget) = (pairs, window, budget.bytes)
    (settings.seconds, settings.steps, settings.tokenColumns) = (seconds, steps, tokenColumns)
    settings.cosineSeconds = cosineSeconds
    // A little less than ten minutes, for what is done beside the cells.
    settings.limit = limit ?? max(570, asked)
    return settings
  }

  /// What does not depend on the method.
  private func common() throws -> RunPlan {
    var plan = RunPlan()
    data.apply(to: &plan.data)
    if paths.isEmpty {
      plan.data.$paths.settle([AbsolutePath.of(try BundledCorpus.path())])
    } else {
      plan.data.paths = paths.map(AbsolutePath.of)
    }
    plan.model.hiddenSize = hiddenSize
    layers.apply(to: &plan.model)
    plan.model.settle()
    plan.streaming.streams = streams
    (plan.run.seed, plan.run.evalTokens, plan.run.evalInterval) = (seed, evalTokens, 0)
    if let threads { plan.run.threads = threads }
    return plan
  }

  private func parsedContexts() throws -> [Int] {
    let counts = try contexts.split(separator: ",").map { text in
      do {
        return try TokenCount.parse(text.trimmingCharacters(in: .whitespaces)).value
      } catch {
        throw ValidationError("--contexts: \"\(text)\" is no number of tokens: \(error)")
      }
    }
    guard !counts.isEmpty, counts.allSatisfy({ $0 >= 1 }) else {
      throw ValidationError("--contexts must be numbers of tokens of at least 1, such as 1k,10k.")
    }
    return Self.withoutRepetitions(counts)
  }

  private func parsedMethods() throws -> [CompareMethod] {
    let names = methods.split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) }
    let known = CompareMethod.allCases.map(\.rawValue).joined(separator: ", ")
    let methods = try names.map { name in
      guard let method = CompareMethod(rawValue: name) else {
        throw ValidationError("--methods: there is no \"\(name)\"; take some of \(known).")
      }
      return method
    }
    guard !methods.isEmpty else { throw ValidationError("--methods: take some of \(known).") }
    return Self.withoutRepetitions(methods)
  }

  private static func withoutRepetitions<T: Hashable>(_ values: [T]) -> [T] {
    var seen = Set<T>()
    return values.filter { seen.insert($0).inserted }
  }
}

/// A folder that is gone when the object is.
final class TemporaryFolder {
  let path: String

  /// - Throws: exit code 74.
  init() throws(RunFailure) {
    let base = ProcessInfo.processInfo.environment["TMPDIR"].flatMap { $0.isEmpty ? nil : $0 } ?? "/tmp"
    var template = Array((base + "/longzoo-compare-XXXXXX").utf8CString)
    guard mkdtemp(&template) != nil else { throw .system("make a temporary folder in", base, errno: errno) }
    path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  /// For ends of the program at which nothing is deinitialized.
  func remove() { try? FileManager.default.removeItem(atPath: path) }

  deinit { remove() }
}

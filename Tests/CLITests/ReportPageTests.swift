import Foundation
import Testing

@testable import LongzooTraining
@testable import longzoo

@Suite struct ReportPageTests {
  private let folder = TestFolder()
  private let curve = (1...40).map { ReportSample.line($0 * 10, val: $0 % 4 == 0 ? "2.2" : "null") }.joined()

  @Test func onePageOfOneRun() throws {
    let summary = #"""
      {"command":"train","steps":400,"tokens":204800,"seconds":40.0,"peak_rss_bytes":40000000,"stopped_by":"max-steps",
       "unigram_bits":4.1,"bigram_bits":3.0,"memory":{"parameters":10,"activations":20480,"peak_total":99999,"budget":null}}
      """#
    let page = try ReportSample.page([ReportSample.run(folder, "a run", metrics: curve, summary: summary)])
    let parsed = try ParsedPage(page)
    parsed.expectSelfContained()
    #expect(!page.contains("http://") && !page.contains("https://"))
    for text in [
      "a run", "finished (max-steps)", "20.00 KiB", "38.15 MiB", "unigram 4.1", "--hidden-size 8", "--seed 7",
    ] {
      #expect(parsed.text.contains(text), "\(text)")
    }
    // Four plots, each for a wide and for a narrow screen, below one legend of three names.
    #expect(parsed.elements["figure"] == 4)
    #expect(page.components(separatedBy: "class=\"legend\"").count == 2)
    #expect(parsed.elements["svg"] == 4 * 2 + 3)
    #expect(page.components(separatedBy: ">resident set<").count == 2)
    #expect(!page.contains("NaN") && !page.contains("inf\""))
  }

  @Test func severalRunsAndWhatDiffers() throws {
    let paths = [
      ReportSample.run(
        folder, "one", metrics: curve, configuration: #"{"seed":1,"pairs":16,"window":{"tokens":{"_0":8}}}"#),
      ReportSample.run(
        folder, "two", metrics: curve, configuration: #"{"seed":2,"pairs":32,"window":{"context":{}}}"#),
      ReportSample.run(
        folder, "three", metrics: nil, configuration: #"{"seed":18446744073709551615,"pairs":16}"#),
    ]
    let parsed = try ParsedPage(try ReportSample.page(paths))
    parsed.expectSelfContained()
    for text in [
      "3 runs", "one", "two", "three", "not finished", "--pairs 32", "--window context",
      "18446744073709551615",
    ] {
      #expect(parsed.text.contains(text), "\(text)")
    }
    #expect(RunOptionText.differing(try RunRecord.read(paths)) == ["pairs", "seed", "window"])
  }

  /// However many there are: two runs that differ in an option that is not shown would pass for the same.
  @Test func allOptionsThatDifferAreListed() throws {
    let keys = [
      "pairs", "lifetime", "hiddenSize", "learningRate", "momentum", "warmup", "maxSteps", "threads",
      "memoryBudget", "products",
    ]
    let paths = (1...2).map { run in
      let fields = keys.map { "\"\($0)\":\(run)" }.joined(separator: ",")
      return ReportSample.run(
        folder, "run\(run)", metrics: curve,
        configuration: "{\"layers\":1,\"paths\":[\"d\(run)\"],\(fields)}")
    }
    let page = try ReportSample.page(paths)
    let start = try #require(page.range(of: "<h2>What differs</h2>")).upperBound
    let end = try #require(page.range(of: "</table>", range: start..<page.endIndex)).lowerBound
    for name in keys.map({ "--" + RunOptionText.name($0) }) + ["data"] {
      #expect(page[start..<end].contains(">\(name)</th>"), "\(name)")
    }
    #expect(page[start..<end].contains(">--rank</th>") && !page[start..<end].contains("--layers"))
    #expect(!(try ReportSample.page([paths[0]])).contains("What differs"))
  }

  @Test func axesFollowTheRange() {
    func plot(_ series: [[(Double, Double)]]) -> Plot {
      Plot(
        title: "t", x: .init(label: "x", quantity: .count, fromZero: true),
        y: .init(label: "y", quantity: .plain),
        series: series.enumerated().map { index, points in
          PlotSeries(name: "\(index)", points: points.map { PlotPoint(x: $0.0, y: $0.1) }, color: index)
        }
      ).scaledByRange()
    }
    let usual = plot([[(1, 8), (1000, 2)], [(1, 8), (3000, 1.5)]])
    #expect(usual.x.scale == .linear && usual.y.scale == .linear)
    // A run of a hundred updates beside one of a hundred thousand; losses from 6 bits to a thousandth.
    #expect(plot([[(1, 8), (100, 4)], [(1, 8), (100_000, 2)]]).x.scale == .logarithmic)
    #expect(plot([[(0, 6), (50, 0.001)]]).y.scale == .logarithmic)
    // Zero has no place on such an axis.
    #expect(plot([[(0, 6), (50, 0)]]).y.scale == .linear)
    #expect(plot([]).y.scale == .linear)
  }

  @Test(arguments: [24, 40, 80, 81, 200])
  func theTerminalPlotFits(columns: Int) throws {
    for count in [1, 7] {
      let paths = (0..<count).map { index in
        ReportSample.run(folder, "a run with a long name \(columns)-\(count)-\(index)", metrics: curve)
      }
      for against in RunCurves.Against.allCases {
        let plot = RunCurves.learning(try RunRecord.read(paths), against: against)
        let lines = TerminalPlot(plot: plot, columns: columns).text.split(separator: "\n")
        #expect(lines.allSatisfy { $0.count <= columns }, "\(lines.map(\.count)) of \(columns)")
        #expect(lines.last?.hasSuffix(against.measure.label) == true, "\(lines.last ?? "")")
        #expect(lines.count >= 20 && lines.contains { $0.contains("└") })
      }
    }
  }

  @Test func manyRunsWithOneName() throws {
    let paths = (0..<11).map { index in
      mkdir(folder("\(index)"), 0o755)
      return ReportSample.run(folder, "\(index)/run", metrics: curve)
    }
    #expect(Set(try RunRecord.read(paths).map(\.name)).count == 11)
    try ParsedPage(try ReportSample.page(paths)).expectSelfContained()
  }

  @Test(arguments: [
    "<script>alert(1)</script>", "\"><img src=x onerror=alert(1)>", "a&b;'\"", "]]><!--",
    "\u{202E}evil\u{1}\u{7}",
    "x|y", "{{7*7}}", "très long " + String(repeating: "ö", count: 110), "</style></script>",
    "https:--example.org",
  ])
  func hostileNamesAreText(name: String) throws {
    let safe = name.replacingOccurrences(of: "/", with: "∕")
    let configuration =
      "{\"paths\":[\(JSONText.quoted(name))],\(JSONText.quoted(name)):\(JSONText.quoted(name)),\"seed\":3}"
    let path = ReportSample.run(folder, safe, metrics: curve, configuration: configuration)
    let page = try ReportSample.page([path, ReportSample.run(folder, "other", metrics: curve)])
    let parsed = try ParsedPage(page)
    parsed.expectSelfContained()
    #expect(!page.contains("<img") && !page.contains("alert(1)</script>") && !page.contains("\u{202E}"))
    let visible = String(name.unicodeScalars.filter { $0.value > 0x1F && $0.value != 0x202E }.prefix(12))
    #expect(parsed.text.contains(visible), "\(visible)")
  }

  @Test(arguments: [
    "", "\n", "{", "{\"step\":1", "{\"step\":1}", "null\n[1]\n\"x\"\n", "{}\n{\"step\":}\n", "\0\0\u{7F}\n",
    "{\"step\":1,\"wall_s\":null,\"val/loss\":null}\n", "{\"step\":1e99}\n{\"step\":1,\"tokens\":1e300}\n",
    "{\"step\":1,\"train/loss\":NaN,\"val/loss\":Infinity,\"wall_s\":1e999,\"rss_bytes\":-5}\n",
  ])
  func anyMetricsMakeAPage(metrics: String) throws {
    let path = ReportSample.run(folder, "run", metrics: metrics)
    try ParsedPage(try ReportSample.page([path])).expectSelfContained()
    let plot = RunCurves.learning([try RunRecord(path: path)], against: .seconds)
    #expect(!TerminalPlot(plot: plot, columns: 60).text.isEmpty)
  }

  @Test(arguments: [
    "", "{", "[]", "{\"seed\":{}}", "{\"paths\":5,\"window\":[1]}", "{\"pairs\":null,\"lr\":true}",
  ])
  func anyConfigurationMakesAPage(configuration: String) throws {
    let path = ReportSample.run(
      folder, "run", metrics: curve, configuration: configuration, summary: configuration)
    try ParsedPage(try ReportSample.page([path])).expectSelfContained()
  }

  @Test func tornLinesAreLeftOutAndToldOf() throws {
    let torn =
      ReportSample.line(10) + "{\"step\":2\n" + ReportSample.line(30, train: "null") + "{\"step\":40,\"tok"
    let run = try RunRecord(path: ReportSample.run(folder, "run", metrics: torn))
    #expect(run.history.records.map(\.step) == [10, 30])
    #expect(run.history.unreadableLines == 1)
    #expect(run.training.count == 1)
    #expect(run.state == .unfinished)
    #expect(run.tokens == 30 * 512)
    #expect(run.warnings.count == 2)
    #expect(run.warnings.first?.contains("metrics.jsonl: line 2 is no record") == true)
    #expect(run.warnings.last?.contains("metrics.jsonl: line 4 is cut short") == true)
    #expect(try ReportSample.page([run.path]).contains("line 4 is cut short"))
    let whole = try RunRecord(path: ReportSample.run(folder, "whole", metrics: ReportSample.line(10)))
    #expect(whole.warnings.isEmpty)
    let junk = try RunRecord(path: ReportSample.run(folder, "junk", metrics: "a\nb\nc\n"))
    #expect(junk.warnings.first?.contains("line 1 and 2 after it are no records") == true)
  }

  @Test func numbersOfALineAreRead() throws {
    let record = MetricsRecord(
      step: 12, tokens: 3456, trainLoss: 1.5e-7, valLoss: nil, learningRate: 0.01, tokensPerSecond: 1e6,
      residentBytes: 1 << 33, wallSeconds: 7.25)
    let bytes = Array(record.json.utf8)
    #expect(bytes.withUnsafeBytes { MetricsLine.record($0) } == record)
  }

  @Test func pointsWithoutAPlaceAreLeftOut() throws {
    let points = [(Double.nan, 1.0), (1, .nan), (0, 1), (10, -1), (100, 8), (1000, 16)].map {
      PlotPoint(x: $0.0, y: $0.1)
    }
    let plot = Plot(
      title: "t", x: .init(label: "x", quantity: .count, scale: .logarithmic),
      y: .init(label: "y", quantity: .bytes, scale: .logarithmic),
      series: [PlotSeries(name: "s", points: points, color: 0, style: .lineWithMarkers)])
    let drawing = SVGPlot(plot, .wide).document()
    let parsed = try ParsedPage(drawing)
    let curve = try #require(
      parsed.attributes.first { $0.element == "polyline" && $0.name == "points" && $0.value.contains("\(0)") }
    )
    #expect(!drawing.contains("nan"))
    #expect(parsed.attributes.contains { $0.name == "data-x" && $0.value == "100|1,000" }, "\(curve)")
    let empty = Plot(title: "t", x: plot.x, y: plot.y, series: [])
    #expect(try ParsedPage(SVGPlot(empty, .narrow).document()).text.contains("no points yet"))
  }

  @Test func everyOptionOfTheCommandLineIsKnown() throws {
    // A configuration in which nothing is the default, as options, must be one that train reads.
    let object = try #require(JSONValue.object(in: try JSONEncoder().encode(RunPlan())))
    let known = TrainCommand.helpMessage(includeHidden: true, columns: 400)
    for key in object.keys where key != RunOptionText.paths {
      #expect(known.contains("--\(RunOptionText.name(key))"), "\(key)")
    }
  }
}

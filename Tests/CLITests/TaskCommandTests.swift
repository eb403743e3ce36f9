import Foundation
import Testing

/// The streams of `longzoo task`, byte for byte.
@Suite struct TaskCommandTests {
  private let folder = TestFolder()

  private func bytes(_ arguments: String..., sourceLocation: SourceLocation = #_sourceLocation) throws
    -> [UInt8]
  {
    let name = UUID().uuidString
    let outcome = try LongzooProcess(["task"] + arguments, in: folder, output: folder(name))
      .wait(sourceLocation: sourceLocation)
    try #require(outcome.exitCode == 0, "\(arguments): \(outcome.errors)", sourceLocation: sourceLocation)
    return folder.bytes(name)
  }

  private func lines(_ bytes: [UInt8]) -> [String] {
    String(decoding: bytes, as: UTF8.self).split(separator: "\n").map(String.init)
  }

  private func ids(_ bytes: [UInt8]) -> [UInt8] { bytes.map { $0 & 0x7f } }

  @Test(arguments: ["copy", "reverse", "sort"])
  func letters(task: String) throws {
    let lines = lines(try bytes(task, "--sequences", "500", "--length", "2..6"))
    #expect(lines.count == 500)
    for line in lines {
      let parts = line.split(separator: " ").map(String.init)
      try #require(parts.count == 2, "\(line)")
      #expect((2...6).contains(parts[0].count) && parts[0].allSatisfy { "a"..."z" ~= $0 })
      let expected =
        switch task {
        case "reverse": String(parts[0].reversed())
        case "sort": String(parts[0].sorted())
        default: parts[0]
        }
      #expect(parts[1] == expected)
    }
    #expect(Set(lines.map { $0.firstIndex(of: " ")!.utf16Offset(in: $0) }) == [2, 3, 4, 5, 6])
    #expect(Set(lines).count > 480)
  }

  @Test func repeatCopy() throws {
    let lines = lines(try bytes("repeat-copy", "--sequences", "300"))
    for line in lines {
      let parts = line.split(separator: " ").map(String.init)
      try #require(parts.count == 3, "\(line)")
      let times = try #require(Int(parts[1]))
      #expect((1...4).contains(times))
      #expect(parts[2] == String(repeating: parts[0], count: times))
    }
  }

  @Test func add() throws {
    let lines = lines(try bytes("add", "--sequences", "300"))
    for line in lines {
      let parts = line.split(separator: "=").map(String.init)
      let terms = parts[0].split(separator: "+").compactMap { Int($0) }
      #expect((2...5).contains(terms.count) && terms.allSatisfy { $0 < 10 })
      #expect(Int(parts[1]) == terms.reduce(0, +))
    }
  }

  @Test func latch() throws {
    let stream = try bytes("latch", "--length", "1000", "--sequences", "60", "--targets", "marked")
    #expect(stream.count == 60 * 1003)
    var symbols: Set<UInt8> = []
    for start in stride(from: 0, to: stream.count, by: 1003) {
      let sequence = stream[start..<start + 1003].map { $0 }
      #expect(sequence[..<1002].allSatisfy { $0 >= 0x80 } && sequence[1002] < 4)
      let id = ids(sequence)
      #expect(id[0] == id[1002] && id[1001] == 4)
      #expect(Set(id[1...1000]) == [5, 6, 7, 8])
      symbols.insert(id[0])
    }
    #expect(symbols == [0, 1, 2, 3])
    // Noise is not the same in every sequence, and not periodic.
    #expect(stream[1...1000] != stream[1004...2003] && stream[1...160] != stream[161...320])
    let many = try bytes("latch", "--length", "1", "--symbols", "64", "--count", "4k")
    #expect(Set(many).count == 69 && many.max() == 68)
  }

  @Test func recall() throws {
    let stream = try bytes("recall", "--length", "400", "--count", "80k", "--targets", "marked")
    #expect(stream.count == 80_000)
    var facts: [UInt8: (value: UInt8, place: Int)] = [:]
    var gaps: [Int] = []
    for place in stride(from: 0, to: stream.count, by: 4) {
      let unit = ids(Array(stream[place..<place + 4]))
      let isQuestion = unit[1] == UInt8(ascii: "?")
      #expect(stream[place..<place + 4].map { $0 < 0x80 } == [false, false, isQuestion, false])
      if unit[1] == UInt8(ascii: "=") { facts[unit[0]] = (unit[2], place) }
      guard isQuestion else { continue }
      let fact = try #require(facts[unit[0]])
      #expect(fact.value == unit[2])
      gaps.append(place - fact.place)
    }
    #expect(
      facts.count == 8 && gaps.count > 1000 && gaps.max()! <= 400 && gaps.max()! > 380 && gaps.min()! < 20)
  }

  /// With --length A..B nothing within A tokens before a question tells its answer, be it a fact or another answer.
  @Test func recallOfWhatIsAtLeastSoFarBack() throws {
    let stream = try bytes("recall", "--length", "32..96", "--symbols", "2", "--count", "80k")
    var toldAt: [UInt8: Int] = [:]
    var statedAt: [UInt8: Int] = [:]
    var values: [UInt8: UInt8] = [:]
    var gaps: [Int] = []
    for place in stride(from: 0, to: stream.count, by: 4) {
      let (key, kind) = (stream[place], stream[place + 1])
      guard kind == UInt8(ascii: "=") || kind == UInt8(ascii: "?") else { continue }
      if kind == UInt8(ascii: "?") {
        gaps.append(place - toldAt[key]!)
        #expect(place - statedAt[key]! <= 96 && values[key] == stream[place + 2])
      } else {
        (statedAt[key], values[key]) = (place, stream[place + 2])
      }
      toldAt[key] = place
    }
    #expect(values.count == 2 && gaps.count > 500 && gaps.min()! == 32 && gaps.max()! > 90)
  }

  @Test(arguments: ["copy", "reverse", "sort", "add", "repeat-copy", "latch", "recall"])
  func aStreamIsAFunctionOfItsSeed(task: String) throws {
    let all = try bytes(task, "--count", "20k")
    #expect(all.count == 20_000)
    #expect(try bytes(task, "--count", "7001") == Array(all[..<7001]))
    #expect(try bytes(task, "--count", "20k", "--seed", "1337") == all)
    #expect(try bytes(task, "--count", "20k", "--seed", "7") != all)
    let marked = try bytes(task, "--count", "20k", "--targets", "marked")
    #expect(ids(marked) == all && marked != all && marked.contains { $0 < 0x80 })
    #expect(try bytes(task, "--count", "200k").prefix(20_000) == all[...])
  }

  @Test(arguments: ["copy", "reverse", "sort", "add", "repeat-copy", "latch"])
  func paddedSequencesHaveOneLength(task: String) throws {
    let loose = try bytes(task, "--sequences", "200", "--length", "1..9", "--targets", "marked")
    let stream = try bytes(
      task, "--sequences", "200", "--length", "1..9", "--targets", "marked", "--pad", "60")
    #expect(stream.count == 200 * 60)
    var joined: [UInt8] = []
    for start in stride(from: 0, to: stream.count, by: 60) {
      let sequence = Array(stream[start..<start + 60])
      // Nothing but filling behind the answer, which ends the sequence.
      let end = try #require(sequence.lastIndex { $0 < 0x80 })
      #expect(Set(sequence[(end + 1)...]) == [task == "latch" ? 0x85 : 0x80 | UInt8(ascii: ".")])
      joined += sequence[...end]
    }
    #expect(joined == loose)
  }

  @Test func answersOfMarkedSequencesAreWhole() throws {
    let stream = try bytes("copy", "--sequences", "50", "--targets", "marked")
    let text = String(decoding: stream.map { $0 < 0x80 ? $0 : UInt8(ascii: "-") }, as: UTF8.self)
    let shown = lines(ids(stream))
    let answers = lines(Array(text.utf8)).map { $0.trimmingPrefix { $0 == "-" } }
    #expect(zip(shown, answers).allSatisfy { $0.split(separator: " ")[1] == $1 })
  }

  @Test func theReaderMayLeave() throws {
    let binary = try LongzooProcess.binary.get()
    let process = Process()
    process.executableURL = URL(filePath: "/bin/bash")
    process.arguments = [
      "-c", "\"$0\" task latch 2>&1 | head -c 100000 | wc -c; echo ${PIPESTATUS[0]}", binary,
    ]
    let pipe = Pipe()
    process.standardOutput = pipe
    try process.run()
    let data = pipe.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    #expect(String(decoding: data, as: UTF8.self) == "100000\n0\n")
  }

  @Test func whatIsRefused() throws {
    for (arguments, mention) in [
      (["latch", "--pad", "1002"], "1003"), (["recall", "--pad", "10"], "without sequences"),
      (["copy", "--symbols", "3"], "--symbols"), (["latch", "--symbols", "65"], "2 to 64"),
      (["copy", "--count", "3", "--sequences", "2"], "exclude"), (["copy", "--length", "0..3"], "1 ≤ A ≤ B"),
      (["copy", "--length", "5..3"], "1 ≤ A ≤ B"), (["copy", "--length", "x"], "number"),
      (["recall", "--symbols", "27"], "1 to 26"), (["copy", "--length", "2M"], "at most 1M"),
      (["sing"], "sing"),
    ] {
      let outcome = try LongzooProcess.run(["task"] + arguments, in: folder)
      outcome.expectFailure(64, mentions: [mention], "\(arguments)")
    }
    if access("/dev/full", W_OK) == 0 {
      let full = try LongzooProcess(["task", "copy"], in: folder, output: "/dev/full").wait()
      #expect(full.exitCode == 74 && full.errors.contains("standard output"), "\(full.errors)")
    }
  }

  /// What the tasks are for: a model that reads and answers, from a file of one sequence a context.
  @Test func aModelLearnsToLatch() throws {
    folder.put("train", try bytes("latch", "--length", "6", "--sequences", "1280", "--targets", "marked"))
    folder.put(
      "held", try bytes("latch", "--length", "50", "--sequences", "200", "--targets", "marked", "--seed", "2")
    )
    let outcome = try LongzooProcess.run(
      [
        "train", "train", "--targets", "marked", "--vocab-size", "9", "--hidden-size", "16", "--window",
        "context",
        "--context", "9", "--pairs", "128", "--eps", "0.1", "--lr", "0.02", "--max-steps", "2500",
        "--val-fraction",
        "0", "--json", "--quiet", "--out-dir", "run", "--stop-below", "0.01",
      ], in: folder)
    try #require(outcome.exitCode == 0, "\(outcome.errors)")
    let run = try RunResult(outcome.output)
    #expect(run["stopped_by"] == "stop-below" && run.steps < 2500)
    let loss: Double = try #require(run["train_loss_nats"])
    #expect(loss < 0.01)
    #expect(run["targets"] == run.steps * 128)
    let evaluated = try LongzooProcess.run(
      ["eval", "run", "held", "--reset-every", "53", "--json"], in: folder)
    let result = try RunResult(evaluated.output)
    let right: Double = try #require(result["sequence_accuracy"])
    #expect(result["answers"] == 200 && right > 0.95)
  }
}

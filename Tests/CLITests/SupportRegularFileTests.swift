import Foundation
import Testing

@testable import LongzooTraining
@testable import longzoo

/// A run folder that came from elsewhere: links in it are not followed, and nothing hangs on a pipe.
@Suite(.timeLimit(.minutes(1))) struct RegularFileTests {
  private static let names = [
    ".lock", "metrics.jsonl", "config.json", "summary.json", "replay.log", "model.safetensors",
    "checkpoint.safetensors",
    "model.previous.safetensors", "checkpoint.previous.safetensors",
  ]

  @Test(arguments: names)
  func aRunTakesNoFolderWithALinkInIt(name: String) throws {
    let folder = TestFolder()
    let precious = folder.put("precious", Array("precious".utf8))
    for target in ["../precious", "../nothing"] {
      mkdir(folder("run"), 0o755)
      symlink(target, folder("run/" + name))
      let error = failure { _ = try RunFolder(path: folder("run")) }
      #expect(error?.exitCode == 74)
      #expect(error?.message.contains("run/\(name) is a link") == true, "\(String(describing: error))")
      #expect(folder.text("precious") == "precious")
      #expect(folder.names == ["precious", "run"], "\(folder.names)")
      try FileManager.default.removeItem(atPath: folder("run"))
    }
    _ = precious
  }

  @Test(arguments: names)
  func aRunTakesNoFolderWithAPipeInIt(name: String) throws {
    let folder = TestFolder()
    mkfifo(folder(name), 0o644)
    let error = failure { _ = try RunFolder(path: folder.path) }
    #expect(error?.exitCode == 74)
    #expect(error?.message.contains("a pipe") == true, "\(String(describing: error))")
  }

  @Test(arguments: ["metrics.jsonl", "config.json", "summary.json"], [false, true])
  func aReportReadsFilesOnly(name: String, isPipe: Bool) throws {
    let folder = TestFolder()
    ReportSample.run(folder, "run", metrics: ReportSample.line(1), summary: "{}")
    _ = try RunRecord(path: folder("run"))
    try FileManager.default.moveItem(atPath: folder("run/" + name), toPath: folder("moved"))
    if isPipe { mkfifo(folder("run/" + name), 0o644) } else { symlink("../moved", folder("run/" + name)) }
    let error = failure { _ = try RunRecord(path: folder("run")) }
    #expect(error?.exitCode == 74, "\(String(describing: error))")
  }

  @Test func weightsInAFolderAreFiles() throws {
    let folder = TestFolder()
    folder.put("elsewhere", [])
    for name in ["model.safetensors", "checkpoint.safetensors"] {
      symlink("elsewhere", folder(name))
      #expect(failure { _ = try RunFolder.weights(folder.path) }?.exitCode == 74)
      unlink(folder(name))
    }
    // What a person names is followed.
    symlink("elsewhere", folder("link"))
    #expect(try RunFolder.weights(folder("link")) == folder("link"))
  }

  @Test func aReplayLogIsAFile() throws {
    let folder = TestFolder()
    mkfifo(folder("replay.log"), 0o644)
    #expect(failure { _ = try ReplayReader(path: folder("replay.log")) }?.exitCode == 74)
    for arguments in [["replay", ".", "--step", "1"], ["replay", "replay.log", "--step", "1"]] {
      try LongzooProcess.run(arguments, in: folder).expectFailure(74, mentions: ["pipe"], "\(arguments)")
    }
  }

  @Test func filesOfARunReplaceNoLink() throws {
    let folder = TestFolder()
    folder.put("precious", [1])
    symlink("precious", folder("link"))
    #expect(
      failure { try AtomicFile.write(to: folder("link"), isOfRun: true) { try $0.write("x") } }?.exitCode
        == 74)
    #expect(failure { _ = try MetricsLog(path: folder("link")) }?.exitCode == 74)
    #expect(failure { try MetricsLog.truncate(folder("link"), toStep: 1) }?.exitCode == 74)
    #expect(folder.bytes("precious") == [1])
  }

  /// A temporary's name may be guessed.
  @Test func temporariesAreNew() throws {
    let folder = TestFolder()
    folder.put("precious", [1])
    symlink("precious", folder(".a.tmp-\(getpid())"))
    try AtomicFile.write(to: folder("a")) { try $0.write("x") }
    mkfifo(folder(".a.tmp-\(getpid())"), 0o644)
    try AtomicFile.write(to: folder("a")) { try $0.write("y") }
    #expect(folder.names == ["a", "precious"])
    #expect(folder.bytes("precious") == [1] && folder.text("a") == "y")
  }

  @Test func smallFilesAreSmall() throws {
    let folder = TestFolder()
    let path = folder.put("a", [1, 2, 3])
    #expect(try RegularFile.contents(path, limit: 3) == Data([1, 2, 3]))
    #expect(failure { _ = try RegularFile.contents(path, limit: 2) }?.exitCode == 74)
    #expect(try RegularFile.contents(folder("none")) == nil)
  }
}

@Suite struct LineReaderTests {
  private func lines(_ bytes: [UInt8]) throws -> [(text: String, isWhole: Bool, isTooLong: Bool)] {
    let folder = TestFolder()
    let reader = try #require(try LineReader(path: folder.put("a", bytes)))
    var out: [(String, Bool, Bool)] = []
    while let line = try reader.next() {
      out.append((String(decoding: line.text, as: UTF8.self), line.isWhole, line.isTooLong))
    }
    return out
  }

  @Test func linesAreLines() throws {
    #expect(try lines([]).isEmpty)
    #expect(try lines(Array("a\n\nbc".utf8)).map(\.text) == ["a", "", "bc"])
    #expect(try lines(Array("a\n\nbc".utf8)).map(\.isWhole) == [true, true, false])
    #expect(try lines(Array("a\n".utf8)).map(\.text) == ["a"])
    #expect(try LineReader(path: "/nowhere/at/all") == nil)
  }

  @Test func longLinesArePassedOver() throws {
    for count in [
      LineReader.longest - 2, LineReader.longest - 1, LineReader.longest, 5 * LineReader.longest + 7,
    ] {
      let long = [UInt8](repeating: 0x78, count: count)
      let found = try lines(Array("a\n".utf8) + long + Array("\nb\n".utf8) + long)
      #expect(
        found.map(\.text.isEmpty) == [false, count >= LineReader.longest, false, count >= LineReader.longest])
      #expect(
        found.map(\.isTooLong) == [false, count >= LineReader.longest, false, count >= LineReader.longest])
      #expect(found.map(\.isWhole) == [true, true, true, false])
    }
  }

  @Test func aLongLineOfMetricsIsNoRecord() throws {
    let folder = TestFolder()
    let (first, second) = (ReportSample.line(1), ReportSample.line(2))
    let long = #"{"step":1,"x":"# + String(repeating: "1", count: 3 * LineReader.longest) + "}\n"
    let path = folder.put("m", Array((first + long + second).utf8))
    let history = try MetricsHistory(path: path)
    #expect(history.records.map(\.step) == [1, 2])
    #expect(history.unreadableLines == 1)
    try MetricsLog.truncate(path, toStep: 2)
    #expect(folder.text("m") == first + second)
  }
}

@Suite struct NewFolderTests {
  /// As many runs that begin in one second.
  @Test func everyRunGetsAFolderOfItsOwn() async throws {
    let folder = TestFolder()
    let path = folder("runs/now")
    let names = try await withThrowingTaskGroup(of: String.self) { group in
      for _ in 0..<24 { group.addTask { try RunFolder.makeNew(path) } }
      return try await group.reduce(into: Set<String>()) { $0.insert($1) }
    }
    #expect(names.count == 24)
    #expect(names.contains(folder("runs/now")) && names.contains(folder("runs/now-24")))
    #expect(failure { _ = try RunFolder.makeNew("/proc/longzoo/now") }?.exitCode == 74)
  }
}

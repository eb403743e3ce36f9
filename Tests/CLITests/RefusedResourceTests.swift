import Foundation
import Testing

@testable import LongzooTraining
@testable import longzoo

/// Too little memory or too few threads end in a sentence, and end.
@Suite struct RefusedResourceTests {
  private let runs = Runs("--max-steps", "3", "--context", "1000")

  /// From what the program alone cannot begin with to what a run needs.
  private func expectASentence(
    _ arguments: [String], most: Int, sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    var codes: Set<Int32> = []
    for limit in stride(from: 100_000, through: most, by: 37_000) {
      let outcome = try LongzooProcess.run(
        arguments, in: runs.folder, shell: "rm -rf run; ulimit -v \(limit);", seconds: 30,
        sourceLocation: sourceLocation)
      codes.insert(outcome.exitCode)
      // Below what the loader itself takes there is no program that could speak.
      if outcome.exitCode == 127 { continue }
      #expect(
        [0, 74].contains(outcome.exitCode), "ulimit -v \(limit): \(outcome.exitCode), \(outcome.errors)",
        sourceLocation: sourceLocation)
      guard outcome.exitCode == 74 else { continue }
      #expect(
        outcome.errors.hasPrefix("longzoo: ") && outcome.errors.split(separator: "\n").count == 1,
        "\(outcome.errors)", sourceLocation: sourceLocation)
      #expect(outcome.errors.contains("ulimit"), "\(outcome.errors)", sourceLocation: sourceLocation)
    }
    #expect(codes.contains(0) && codes.isSubset(of: [0, 74]), "\(codes)", sourceLocation: sourceLocation)
  }

  @Test func addressSpaceForTraining() throws {
    let data = runs.folder.put("data", Sample.tokens(5000))
    try expectASentence(runs.arguments([data], out: "run"), most: 900_000)
  }

  @Test func addressSpaceForReports() throws {
    let folder = runs.folder
    ReportSample.run(folder, "r", metrics: ReportSample.line(1))
    try expectASentence(["report", "r", "-o", "p.html"], most: 600_000)
  }

  @Test func addressSpaceForThreads() throws {
    let data = runs.folder.put("data", Sample.tokens(5000))
    let error = try runs.fail(
      74, ["--threads", "200", data], shell: "ulimit -v 2000000;", mentions: ["--threads"])
    #expect(error.split(separator: "\n").count == 1, "\(error)")
  }

  /// A limit of processes says nothing to root, and one of a control group needs a file system that can be written.
  @Test(
    .enabled(
      if: mkdir("/sys/fs/cgroup/pids/longzoo-test", 0o755) == 0
        && rmdir("/sys/fs/cgroup/pids/longzoo-test") == 0))
  func threads() throws {
    let group = "/sys/fs/cgroup/pids/longzoo-\(UUID().uuidString)"
    try #require(mkdir(group, 0o755) == 0)
    defer { for _ in 0..<100 where rmdir(group) != 0 { usleep(10_000) } }
    let data = runs.folder.put("data", Sample.tokens(5000))
    try "6".write(toFile: group + "/pids.max", atomically: false, encoding: .utf8)
    let error = try runs.fail(
      74, ["--threads", "16", data], shell: "echo $$ > \(group)/cgroup.procs;",
      mentions: ["thread", "--threads"])
    #expect(error.split(separator: "\n").count == 1, "\(error)")
  }

  @Test func aHeaderWithoutMemory() throws {
    let count = 90 << 20
    let header = withUnsafeBytes(of: UInt64(count).littleEndian) { Array($0) } + [UInt8(ascii: "{")]
    let path = runs.folder.put("m", header + [UInt8](repeating: 0x20, count: count - 2) + [UInt8(ascii: "}")])
    let outcome = try LongzooProcess.run(
      ["eval", path, "data"], in: runs.folder, shell: "ulimit -v 250000;")
    outcome.expectFailure(74, mentions: ["header", "ulimit"], "a header of 90 MiB")
  }

  /// A sound file is not called damaged because its window of 512 MiB does not fit.
  @Test func decompressionWithoutMemory() throws {
    let folder = runs.folder
    // Its header asks for the window: no single segment, a descriptor of 2^(10 + 19), no sizes; one raw block.
    let content = Sample.tokens(3000)
    let block = UInt32(content.count << 3 | 1)
    let data = folder.put(
      "data.zst",
      [0x28, 0xB5, 0x2F, 0xFD, 0x00, 19 << 3]
        + withUnsafeBytes(of: block.littleEndian) { Array($0.prefix(3)) } + content)
    let options = ["--zstd-window-log", "29", data]
    _ = try runs.train("--zstd-window-log", "29", data)
    var codes: Set<Int32> = []
    for limit in stride(from: 300_000, through: 1_500_000, by: 60_000) {
      let outcome = try LongzooProcess.run(
        runs.arguments(options, out: "run"), in: folder, shell: "rm -rf run; ulimit -v \(limit);", seconds: 30
      )
      codes.insert(outcome.exitCode)
      #expect(
        [0, 74].contains(outcome.exitCode), "ulimit -v \(limit): \(outcome.exitCode), \(outcome.errors)")
      #expect(!outcome.errors.contains("damaged"), "\(outcome.errors)")
      if outcome.errors.contains("decompression by zstd") { codes.insert(-1) }
    }
    #expect(codes == [0, 74, -1], "\(codes)")
  }
}

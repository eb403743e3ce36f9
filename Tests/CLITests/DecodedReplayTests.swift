import Foundation
import Testing

@testable import LongzooTraining
@testable import longzoo

/// A replay log is believed no more than anything else that comes from a file.
@Suite struct DecodedReplayTests {
  private let runs = Runs()
  private let text: ReplayText

  init() throws {
    let data = runs.folder.put("data", Sample.tokens(4000))
    let options = [
      "--readout", "zo", "--replay-log", "--context", "60", "--lifetime", "2", "--max-steps", "9", data,
    ]
    let outcome = try LongzooProcess.run(runs.arguments(options, out: "run"), in: runs.folder)
    try #require(outcome.exitCode == 0, "\(outcome.errors)")
    text = try ReplayText(runs.folder.bytes("run/replay.log"))
  }

  /// Follows a log to its end.
  private func follow(_ bytes: [UInt8]) throws -> Int {
    let reader = try ReplayReader(path: runs.folder.put("changed", bytes))
    let replay = try Replay(reader, threads: 1, checkpoint: nil)
    try replay.follow(to: 9)
    return replay.step
  }

  @Test func extremesOfTheConfigurationAreRefusedOrFollowed() throws {
    #expect(try follow(text.file(text.configuration)) == 9)
    var refused = 0
    for (field, value, configuration) in Extreme.changes(of: text.configuration) {
      do {
        #expect(try follow(text.file(configuration)) == 9)
      } catch let error as RunFailure {
        #expect([64, 65].contains(error.exitCode), "\(field) \(value): \(error)")
        #expect(error.message.contains(runs.folder("changed")), "\(field) \(value): \(error)")
        refused += 1
      }
    }
    #expect(refused > 250, "\(refused)")
  }

  /// payload: u64 step, u8 flags, f32 rate, [pairs] f32 coefficients, u32 count, ids
  @Test func extremesOfRecordsAreRefused() throws {
    #expect(try follow(text.file { _ in }) == 9)
    let changes: [(String, (inout [UInt8]) -> Void)] = [
      ("step", { $0[7] = 0xff }), ("step", { $0[7] = 0x7f }), ("step", { $0[0] = 2 }),
      ("flags", { $0[8] |= 4 }), ("flags", { $0[8] = 0 }),
      ("rate", { $0.replaceSubrange(9..<13, with: [0, 0, 0xc0, 0x7f]) }),
      ("rate", { $0.replaceSubrange(9..<13, with: [0, 0, 0x80, 0xff]) }),
      ("coefficient", { $0.replaceSubrange(13..<17, with: [0, 0, 0x80, 0x7f]) }),
      ("count", { $0.replaceSubrange(77..<81, with: [0xff, 0xff, 0xff, 0xff]) }),
      ("count", { $0.replaceSubrange(77..<81, with: [0xff, 0xff, 0xff, 0x7f]) }),
      ("id", { $0[81] = 64 }), ("length", { $0.removeLast() }), ("length", { $0.append(0) }),
      ("length", { $0 += [UInt8](repeating: 0, count: 4096) }), ("length", { $0.removeLast($0.count - 13) }),
    ]
    for (what, change) in changes {
      #expect(failure { _ = try follow(text.file(payload: change)) }?.exitCode == 65, "\(what)")
    }
  }

  @Test func headersAreChecked() throws {
    let bytes = try text.file(text.configuration)
    for (offset, new) in [
      (0, [UInt8](repeating: 0, count: 8)), (8, [2, 0, 0, 0]), (12, [0, 0, 0, 0, 0, 0, 0, 0x80]),
      (12, [UInt8](repeating: 0xff, count: 8)), (20, [0xff, 0xff, 0xff, 0xff]), (20, [0xff, 0xff, 0x0f, 0]),
      (20, [2, 0, 0, 0]),
    ] {
      var changed = bytes
      changed.replaceSubrange(offset..<offset + new.count, with: new)
      #expect(failure { _ = try follow(changed) }?.exitCode == 65, "\(offset) \(new)")
    }
    for count in [0, 7, 23, 30, 200] {
      #expect(failure { _ = try follow(Array(bytes[..<count])) }?.exitCode == 65, "\(count) bytes")
    }
  }

  /// Nothing is reserved by what a log of 2 KB says, and a process ends as the tests above do.
  @Test func aLargeModelIsRefusedBeforeItIsReserved() throws {
    for (field, value, code) in [
      ("hiddenSize", 1 << 24, 65), ("vocabularySize", 1 << 24, 64), ("pairs", 1 << 20, 0), ("epsilon", 0, 65),
    ] as [(String, Int, Int32)] {
      var configuration = text.configuration
      configuration[field] = value
      configuration["hiddenSize"] = field == "vocabularySize" ? 1 << 16 : configuration["hiddenSize"]
      _ = runs.folder.put("changed", try text.file(configuration))
      let outcome = try LongzooProcess.run(
        ["replay", "changed", "--step", "9", "--threads", "1"], in: runs.folder, shell: "ulimit -v 8000000;")
      #expect(
        !outcome.isCrash && (code == 0 || outcome.exitCode == code),
        "\(field): \(outcome.exitCode) \(outcome.errors)")
    }
  }

  /// A log that an earlier run has left is not that of the run whose folder it lies in.
  @Test func logsOfEarlierRunsAreRefused() throws {
    let data = runs.folder.put("data", Sample.tokens(4000))
    let sound = runs.folder.bytes("run/replay.log")
    // The same options, the same data, another run.
    let options = [
      "--readout", "zo", "--replay-log", "--context", "60", "--lifetime", "2", "--max-steps", "9", data,
    ]
    #expect(try LongzooProcess.run(runs.arguments(options, out: "other"), in: runs.folder).exitCode == 0)
    _ = runs.folder.put("other/replay.log", sound)
    try LongzooProcess.run(["replay", "other", "--step", "5"], in: runs.folder)
      .expectFailure(65, mentions: ["other/replay.log", "earlier run"], "a stale log")
    try LongzooProcess.run(["train", "--resume", "other", "--max-steps", "12"], in: runs.folder)
      .expectFailure(65, mentions: ["other/replay.log", "another run"], "a resume onto a stale log")
    try LongzooProcess.run(["replay", "run", "--step", "9", "--from", "other"], in: runs.folder)
      .expectFailure(
        65, mentions: ["other/checkpoint.safetensors", "another run"], "another run's checkpoint")
    // A copy without a run around it, and runs of before there were identities.
    mkdir(runs.folder("copy"), 0o755)
    _ = runs.folder.put("copy/replay.log", sound)
    #expect(try LongzooProcess.run(["replay", "copy", "--step", "5"], in: runs.folder).exitCode == 0)
    var old = text.configuration
    #expect((old["identity"] as? String)?.count == 16)
    old["identity"] = nil
    _ = runs.folder.put("copy/replay.log", try text.file(old))
    _ = runs.folder.put("copy/config.json", Array(try JSONSerialization.data(withJSONObject: old)))
    #expect(try LongzooProcess.run(["replay", "copy", "--step", "5"], in: runs.folder).exitCode == 0)
  }
}

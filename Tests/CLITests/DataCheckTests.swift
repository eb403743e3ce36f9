import Foundation
import LongzooMemory
import Testing

@testable import LongzooTraining
@testable import longzoo

/// Data that is no stream of tokens, or not the one that is meant, is found before it does harm.
@Suite struct DataCheckTests {
  private let runs = Runs("--max-steps", "40")
  private let tokens = Sample.tokens(20_000)
  private let gzip: [UInt8] = [0x1F, 0x8B, 8, 0] + Sample.tokens(1000)

  @Test func knownFormatsAreRefused() throws {
    let data = runs.folder.put("data", tokens)
    let packed = runs.folder.put("t.gz", gzip)
    for arguments in [[packed], ["--val", packed, data], [data, packed]] {
      try runs.fail(65, arguments, mentions: [packed, "gzip", "zcat", "--format raw"])
      #expect(!runs.folder.names.contains("failed") || runs.checkpoint("failed").isEmpty)
    }
    try runs.fail(65, ["-"], input: .bytes(gzip), mentions: ["standard input", "gzip"])
    try runs.train("--vocab-size", "256", "--format", "raw", packed, out: "raw")
    try runs.resume("raw", "--max-steps", "50")
    let eval = ["eval", "raw", packed]
    try LongzooProcess.run(eval, in: runs.folder).expectFailure(65, mentions: [packed, "gzip"], "eval")
    #expect(try LongzooProcess.run(eval + ["--format", "raw"], in: runs.folder).exitCode == 0)
  }

  @Test func anotherWidthIsAWarning() throws {
    let wide = runs.folder.put("wide", tokens.flatMap { [$0, 0] })
    let outcome = try LongzooProcess.run(runs.arguments([wide], out: "run"), in: runs.folder)
    #expect(outcome.exitCode == 0)
    #expect(
      outcome.errors.contains("warning: \(wide)") && outcome.errors.contains("--dtype u16 --vocab-size 64"))
    let right = try LongzooProcess.run(
      runs.arguments(["--dtype", "u16", wide], out: "right"), in: runs.folder)
    #expect(right.exitCode == 0 && right.errors.isEmpty, "\(right.errors)")
  }

  @Test func heldOutDataIsLookedAtFirst() throws {
    let data = runs.folder.put("data", tokens)
    for (bytes, mentions) in [
      (tokens + [64], "token 20000"), ([1], "1 of the at least 2 tokens"),
      (Sample.zstd(tokens + [200]), "the id 200"),
    ] {
      let held = runs.folder.put("held", bytes)
      let text = try runs.fail(65, ["--val", held, data], mentions: [held, mentions])
      #expect(!text.contains("--val-fraction"))
      #expect(runs.checkpoint("failed").isEmpty)
    }
    // The last tenth of the training data, before training comes to it.
    try runs.fail(
      65, ["--val-fraction", "0.1", runs.folder.put("d", tokens + [99])], mentions: ["token 20000"])
  }

  /// Held-out tokens, streams and threads meet an id anywhere; people look for it from the start of the file.
  @Test func theFirstBadIdIsNamed() throws {
    var bad = tokens
    for (place, id) in [(5000, 77), (9000, 78), (19_500, 79)] { bad[place] = UInt8(id) }
    let data = runs.folder.put("bad", bad)
    let good = runs.folder.put("good", tokens)
    for (arguments, mention) in [
      (["--val-fraction", "0.1", data], "the id 77"), (["--streams", "16", data], "the id 77"),
      (["--val-fraction", "0.1", "--skip-tokens", "9001", data], "the id 79"),
    ] {
      let text = try runs.fail(65, arguments, mentions: [data, mention])
      #expect(text.contains("at byte ") && text.contains("token "), "\(text)")
    }
    try runs.fail(
      65, ["--val-fraction", "0.2", good, data], mentions: [data, "the id 77", "byte 5000", "token 25000"])
    try runs.fail(
      65, ["--val-fraction", "0", "--val", data, good], mentions: [data, "the id 77", "byte 5000"])
  }

  /// Weights are not lost to held-out data that changes while a run reads a pipe.
  @Test func changedHeldOutDataEndsARunThatIsSaved() throws {
    let fifo = runs.folder("fifo")
    mkfifo(fifo, 0o600)
    let writer = open(fifo, O_RDWR)
    defer { close(writer) }
    let held = runs.folder.put("held", Array(tokens[..<4000]))
    let child = try LongzooProcess(
      runs.arguments(
        [
          "--val", held, "--eval-interval", "10", "--save-interval", "0", "--log-interval", "1",
          "--max-steps", "35", fifo,
        ],
        out: "run"), in: runs.folder)
    let bytes = tokens
    func send(_ range: Range<Int>) {
      _ = bytes[range].withUnsafeBytes { write(writer, $0.baseAddress, $0.count) }
    }
    send(0..<8 * 15)
    let deadline = Date().addingTimeInterval(40)
    while Date() < deadline, (try? runs.metrics("run").contains { $0["step"] as? Int == 14 }) != true {
      usleep(20_000)
    }
    truncate(held, 2000)
    send(8 * 15..<8 * 40)
    let outcome = child.wait()
    outcome.expectFailure(74, mentions: [held, "became shorter"], "held-out data was cut off")
    let state = try Checkpoint.state(of: SafetensorsReader(path: runs.folder("run/checkpoint.safetensors")))
    #expect(state.progress.step == 20)
  }

  @Test func aRunThatPredictsNothingFails() throws {
    let marked = runs.folder.put("marked", tokens.map { $0 | 0x80 })
    try runs.fail(65, ["--targets", "marked", marked], out: "a", mentions: [marked, "marked", "--targets"])
    try runs.fail(
      65, ["--targets", "marked", "--val-fraction", "0.1", marked], out: "b",
      mentions: ["none is left to predict"])
    try runs.fail(
      65, ["--targets", "marked", "-"], out: "c", input: .bytes(tokens.map { $0 | 0x80 }),
      mentions: ["standard input"])
  }

  /// Every file that a run writes says how its data is stored.
  @Test func evaluationTakesTheWidthOfTheRun() throws {
    let wide = runs.folder.put("wide", tokens.flatMap { [$0, $0 & 1] })
    try runs.train("--dtype", "u16", "--vocab-size", "400", wide, out: "run")
    func eval(_ checkpoint: String, _ more: String...) throws -> LongzooProcess.Outcome {
      try LongzooProcess.run(["eval", checkpoint, wide, "--json", "--threads", "1"] + more, in: runs.folder)
    }
    for file in ["run", "run/model.safetensors", "run/checkpoint.safetensors"] {
      #expect(try RunResult(eval(file).output)["tokens"] == 19_999, "\(file)")
    }
    // A checkpoint of an older version has its configuration only, and weights of others have nothing.
    let reader = try SafetensorsReader(path: runs.folder("run/checkpoint.safetensors"))
    for (name, keys) in [("old", [Checkpoint.key]), ("foreign", [])] {
      try copy(reader, to: runs.folder(name), metadata: reader.metadata.filter { keys.contains($0.key) })
    }
    #expect(try RunResult(eval("old").output)["tokens"] == 19_999)
    try eval("foreign").expectFailure(64, mentions: ["400 ids", "--dtype"], "no width")
    #expect(try RunResult(eval("foreign", "--dtype", "u16").output)["tokens"] == 19_999)
  }

  private func copy(_ reader: SafetensorsReader, to path: String, metadata: [String: String]) throws {
    let tensors = try reader.entries.map { entry in
      var bytes = [UInt8](repeating: 0, count: entry.elementCount * entry.dtype.width)
      try bytes.withUnsafeMutableBytes { try reader.read(entry.name, into: $0) }
      return TensorToWrite(name: entry.name, dtype: entry.dtype, shape: entry.shape) { offset, piece in
        piece.copyBytes(from: bytes[offset..<(offset + piece.count)])
      }
    }
    try SafetensorsWriter.write(
      to: path, metadata: metadata, tensors: tensors, through: TransferBuffer(ledger: MemoryLedger()))
  }
}

import CLongzooLZ4
import CLongzooZstd
import Foundation
import Testing

@testable import LongzooTraining
@testable import longzoo

/// Training runs of a model so small that a few hundred updates take no time.
struct Runs {
  let folder = TestFolder()
  /// Given to every run; later options win. At a rate that does not fall towards the end a run that a resume makes longer is
  /// the one that ran through.
  var common = [
    "--hidden-size", "8", "--pairs", "16", "--vocab-size", "64", "--val-fraction", "0", "--streams", "1",
    "--threads", "1", "--lr-schedule", "constant",
  ]

  /// Whether the runs must be processes of their own, as where their memory is measured.
  private let isProcess: Bool

  init(_ more: String..., isProcess: Bool = false) {
    common += more
    self.isProcess = isProcess
  }

  /// The JSON object of a run in this process: what the command does, with its paths in the test's folder.
  private func trained(_ arguments: [String]) throws -> String {
    let typed = try ArgumentLayers(arguments, environment: [:]).arguments
    var command = try #require(try LongzooCommand.parseAsRoot(typed) as? TrainCommand)
    command.paths = command.paths.map { $0 == "-" ? $0 : inFolder($0) }
    command.limits.outDir = command.limits.outDir.map(inFolder)
    command.resume = command.resume.map(inFolder)
    command.heldOut.val = command.heldOut.val.map(inFolder)
    command.model.initialWeights = command.model.initialWeights.map(inFolder)
    return try #require(try command.train(host: RunHost())).json
  }

  private func inFolder(_ path: String) -> String { path.hasPrefix("/") ? path : folder(path) }

  /// Options, and data last. What an earlier run of the test has left in the folder goes.
  func arguments(_ more: [String], out: String) -> [String] {
    ["train"] + common + ["--json", "--quiet", "--overwrite", "--out-dir", out] + more
  }

  /// A run that must succeed.
  @discardableResult
  func train(
    _ more: String..., out: String = UUID().uuidString, input: LongzooProcess.Input = .nothing,
    sourceLocation: SourceLocation = #_sourceLocation
  ) throws -> RunResult {
    try succeed(arguments(more, out: out), input: input, sourceLocation)
  }

  /// The same, of options that come as a list.
  @discardableResult
  func train(
    arguments more: [String], out: String = UUID().uuidString, input: LongzooProcess.Input = .nothing,
    sourceLocation: SourceLocation = #_sourceLocation
  ) throws -> RunResult {
    try succeed(arguments(more, out: out), input: input, sourceLocation)
  }

  /// `train --resume` with nothing else than what is given.
  @discardableResult
  func resume(
    _ out: String, _ more: String..., input: LongzooProcess.Input = .nothing,
    sourceLocation: SourceLocation = #_sourceLocation
  ) throws -> RunResult {
    try resume(out, arguments: more, input: input, sourceLocation: sourceLocation)
  }

  /// The same, of options that come as a list.
  @discardableResult
  func resume(
    _ out: String, arguments more: [String], input: LongzooProcess.Input = .nothing,
    sourceLocation: SourceLocation = #_sourceLocation
  ) throws -> RunResult {
    try succeed(["train", "--json", "--quiet", "--resume", out] + more, input: input, sourceLocation)
  }

  private func succeed(
    _ arguments: [String], input: LongzooProcess.Input, _ sourceLocation: SourceLocation
  ) throws -> RunResult {
    if case .nothing = input, !isProcess {
      return try RunResult(try trained(arguments), sourceLocation: sourceLocation)
    }
    let outcome = try LongzooProcess.run(arguments, in: folder, input: input, sourceLocation: sourceLocation)
    try #require(
      outcome.exitCode == 0, "\(arguments): exit \(outcome.exitCode), \(outcome.errors)",
      sourceLocation: sourceLocation)
    return try RunResult(outcome.output, sourceLocation: sourceLocation)
  }

  /// A run that must fail with this code, one sentence, and no crash.
  @discardableResult
  func fail(
    _ code: Int32, _ more: [String], out: String = "failed", input: LongzooProcess.Input = .nothing,
    shell: String? = nil, mentions: [String] = [], sourceLocation: SourceLocation = #_sourceLocation
  ) throws -> String {
    let outcome = try LongzooProcess.run(
      arguments(more, out: out), in: folder, input: input, shell: shell, sourceLocation: sourceLocation)
    outcome.expectFailure(code, mentions: mentions, "\(more)", sourceLocation: sourceLocation)
    return outcome.errors
  }

  func checkpoint(_ out: String) -> FileImage {
    FileImage(bytes: folder.bytes(out + "/checkpoint.safetensors"))
  }

  func metrics(_ out: String) throws -> [[String: Any]] {
    try folder.text(out + "/metrics.jsonl").split(separator: "\n").map { line in
      try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
    }
  }
}

extension LongzooProcess.Outcome {
  func expectFailure(
    _ code: Int32, mentions: [String] = [], _ what: String, sourceLocation: SourceLocation = #_sourceLocation
  ) {
    #expect(exitCode == code, "\(what): \(errors)", sourceLocation: sourceLocation)
    #expect(!isCrash, "\(what): \(errors)", sourceLocation: sourceLocation)
    #expect(output.isEmpty, "\(what): \(output)", sourceLocation: sourceLocation)
    let first = errors.split(separator: "\n").first ?? ""
    #expect(
      first.count > 20 && !first.contains("Fatal error"), "\(what): \(errors)", sourceLocation: sourceLocation
    )
    for text in mentions {
      #expect(
        errors.contains(text), "\(what): \(errors) does not say \(text)", sourceLocation: sourceLocation)
    }
  }
}

/// The bytes of a file, compared as a whole: a test that fails must not list where two arrays differ, which takes minutes.
struct FileImage: Equatable, CustomTestStringConvertible {
  let bytes: [UInt8]
  var isEmpty: Bool { bytes.isEmpty }
  var testDescription: String { "\(bytes.count) bytes" }
}

/// The JSON object of a command.
struct RunResult {
  let values: [String: Any]

  init(_ text: String, sourceLocation: SourceLocation = #_sourceLocation) throws {
    let object = try? JSONSerialization.jsonObject(with: Data(text.utf8))
    values = try #require(object as? [String: Any], "no JSON object: \(text)", sourceLocation: sourceLocation)
  }

  subscript<T>(key: String) -> T? { values[key] as? T }
  var digest: String { self["parameters_digest"] ?? "none" }
  var steps: Int { self["steps"] ?? -1 }
  var memory: [String: Int] {
    (values["memory"] as? [String: Any])?.compactMapValues { $0 as? Int } ?? [:]
  }
  var peakResident: Int { self["peak_rss_bytes"] ?? -1 }
}

/// Token files in every form.
enum Sample {
  /// Bytes below 64 with structure, the same on every call.
  static func tokens(_ count: Int, seed: UInt64 = 1) -> [UInt8] {
    var state = seed
    var last: UInt8 = 0
    return (0..<count).map { _ in
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      last = state >> 62 == 0 ? UInt8(state >> 58 & 63) : (last &* 5 &+ 7) & 63
      return last
    }
  }

  /// One frame with a content checksum.
  static func zstd(_ bytes: [UInt8]) -> [UInt8] {
    let context = ZSTD_createCCtx()
    defer { ZSTD_freeCCtx(context) }
    ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1)
    var out = [UInt8](repeating: 0, count: ZSTD_compressBound(bytes.count))
    let count = ZSTD_compress2(context, &out, out.count, bytes, bytes.count)
    precondition(ZSTD_isError(count) == 0)
    return Array(out[..<count])
  }

  /// One frame with a content checksum.
  static func lz4(_ bytes: [UInt8]) -> [UInt8] {
    var preferences = LZ4F_preferences_t()
    preferences.frameInfo.contentChecksumFlag = LZ4F_contentChecksumEnabled
    var out = [UInt8](repeating: 0, count: LZ4F_compressFrameBound(bytes.count, &preferences))
    let count = LZ4F_compressFrame(&out, out.count, bytes, bytes.count, &preferences)
    precondition(LZ4F_isError(count) == 0)
    return Array(out[..<count])
  }
}

/// The same weights, counts and loss.
func expectSame(
  _ part: RunResult, _ whole: RunResult, sourceLocation: SourceLocation = #_sourceLocation
) {
  #expect(part.digest == whole.digest, sourceLocation: sourceLocation)
  for key in ["steps", "tokens", "token_columns"] {
    #expect(part.values[key] as? Int == whole.values[key] as? Int, "\(key)", sourceLocation: sourceLocation)
  }
  let losses: (Double?, Double?) = (part["train_loss_nats"], whole["train_loss_nats"])
  #expect(losses.0 == losses.1, sourceLocation: sourceLocation)
}

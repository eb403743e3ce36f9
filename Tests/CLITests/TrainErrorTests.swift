import Foundation
import Testing

/// What goes wrong ends with the right code and one clear sentence, and costs nothing that was there before.
@Suite struct TrainErrorTests {
  private static let tokens = Sample.tokens(3000)

  /// A finished run of 40 updates, and what 80 would give.
  private struct Earlier {
    let runs: Runs
    let checkpoint: FileImage
    let whole: String

    init(_ options: String...) throws {
      runs = Runs("--max-steps", "40")
      runs.folder.put("data", TrainErrorTests.tokens)
      try runs.train("data", out: "kept")
      checkpoint = runs.checkpoint("kept")
      whole = try runs.train("data", "--max-steps", "80").digest
    }

    func expectIntact(_ what: String, sourceLocation: SourceLocation = #_sourceLocation) {
      #expect(runs.checkpoint("kept") == checkpoint, "\(what)", sourceLocation: sourceLocation)
      for out in ["kept", "failed"] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: runs.folder(out))) ?? []
        let temporaries = names.filter { $0.contains(".tmp-") }
        #expect(temporaries == [], "\(what)", sourceLocation: sourceLocation)
      }
    }

    func expectResumable(sourceLocation: SourceLocation = #_sourceLocation) throws {
      #expect(try runs.resume("kept", "--max-steps", "80").digest == whole, sourceLocation: sourceLocation)
    }
  }

  // MARK: Data

  @Test(arguments: [["--streams", "1"], ["--streams", "4"], ["-"]])
  func corruptFiles(options: [String]) throws {
    let earlier = try Earlier()
    let files = try CorpusFile.all().filter { $0.exitCode != 0 }
    #expect(files.count >= 18)
    for file in files {
      let path = CorpusFile.folder.appending(path: file.path).path
      let isPipe = options == ["-"]
      // What has no name and no sound header are tokens, unless the user knows better.
      let isNameless = isPipe && (file.path.contains("header-only") || file.path.contains("flipped-header"))
      let codec = isNameless ? ["--compression", file.path.hasSuffix("zst") ? "zstd" : "lz4"] : []
      let errors = try earlier.runs.fail(
        file.exitCode,
        ["--max-steps", "1M", "--dtype", file.dtype, "--vocab-size", "\(file.vocabSize ?? 256)"] + options
          + codec
          + (isPipe ? [] : [path]),
        input: isPipe ? .file(path) : .nothing, mentions: [isPipe ? "standard input" : path])
      // One sentence: one line.
      #expect(errors.split(separator: "\n").count == 1, "\(errors)")
      if file.bytes > 0 {
        #expect(errors.contains("byte ") || errors.contains("token "), "\(errors)")
      }
      earlier.expectIntact(file.path)
    }
    try earlier.expectResumable()
  }

  @Test func soundGoldenFiles() throws {
    let runs = Runs("--max-steps", "30")
    for file in try CorpusFile.all() where file.exitCode == 0 && file.path.hasPrefix("golden/") {
      let path = CorpusFile.folder.appending(path: file.path).path
      let options = ["--dtype", file.dtype, "--vocab-size", "\(file.vocabSize ?? 256)"]
      guard let count = file.tokens, count > 0 else {
        try runs.fail(65, options + [path], mentions: [path, "empty"])
        continue
      }
      for more in [["--streams", "1"], ["--streams", "5"]] {
        try runs.train(arguments: options + more + ["--expect-tokens", "\(count)", path])
      }
    }
  }

  @Test func tokensOverTheVocabulary() throws {
    let earlier = try Earlier()
    var bytes = Self.tokens
    bytes[1234] = 200
    let plain = earlier.runs.folder.put("plain", bytes)
    let packed = earlier.runs.folder.put("packed", Sample.zstd(bytes))
    let limit = ["--max-steps", "1M"]
    for streams in ["1", "8"] {
      try earlier.runs.fail(
        65, limit + ["--streams", streams, plain],
        mentions: [plain, "200", "byte 1234", "token 1234"])
      try earlier.runs.fail(
        65, limit + ["--streams", streams, packed], mentions: [packed, "200", "token 1234"])
      earlier.expectIntact("--streams \(streams)")
    }
    try earlier.runs.fail(
      65, limit + ["-"], input: .bytes(bytes), mentions: ["standard input", "200", "token 1234"])
    earlier.expectIntact("pipe")
    try earlier.expectResumable()
  }

  @Test func halfTokens() throws {
    let earlier = try Earlier()
    let words: [UInt8] = Self.tokens.flatMap { [$0, 0] as [UInt8] } + [1]
    let path = earlier.runs.folder.put("odd.u16", words)
    for streams in ["1", "8"] {
      try earlier.runs.fail(
        65, ["--max-steps", "1M", "--dtype", "u16", "--streams", streams, path],
        mentions: [path, "u16", "token 3000"])
    }
    try earlier.runs.fail(
      65, ["--max-steps", "1M", "--dtype", "u16", "-"], input: .bytes(words, pieces: [3]),
      mentions: ["standard input", "token 3000"])
    earlier.expectIntact("half a token")
    try earlier.expectResumable()
  }

  @Test func tooLittleData() throws {
    let runs = Runs("--max-steps", "10")
    for (name, bytes) in [("none", []), ("one", [UInt8(1)])] {
      let path = runs.folder.put(name, bytes)
      for streams in ["1", "4"] {
        try runs.fail(65, ["--streams", streams, path], mentions: [bytes.isEmpty ? path : "too few"])
      }
      try runs.fail(65, ["-"], input: .bytes(bytes), mentions: ["standard input"])
    }
    #expect(try runs.train(runs.folder.put("two", [1, 2])).steps == 10)
  }

  @Test func missingFilesAndFolders() throws {
    let earlier = try Earlier()
    for path in ["missing", "data/below", "/nowhere/at all"] {
      try earlier.runs.fail(66, [path], mentions: [path])
      try earlier.runs.fail(66, ["data", "--val", path], mentions: [path])
      try earlier.runs.fail(66, ["data", "--init", path], mentions: [path])
      try earlier.runs.fail(66, ["data", path], mentions: [path])
    }
    try earlier.runs.fail(
      66, [earlier.runs.folder.path], mentions: [earlier.runs.folder.path, "folder"])
    earlier.expectIntact("missing")
    try earlier.expectResumable()
  }

  @Test func expectedTokens() throws {
    let earlier = try Earlier()
    let runs = earlier.runs
    let count = Self.tokens.count
    let packed = runs.folder.put("packed.zst", Sample.zstd(Self.tokens))
    for wrong in [count - 1, count + 1, 2 * count] {
      let option = ["--max-steps", "1M", "--expect-tokens", "\(wrong)"]
      for path in ["data", packed] {
        for streams in ["1", "4"] {
          try runs.fail(
            65, option + ["--streams", streams, path],
            mentions: [path, "\(wrong)", "--expect-tokens"])
        }
      }
      try runs.fail(
        65, option + ["-"], input: .bytes(Self.tokens), mentions: ["standard input", "\(wrong)"])
      earlier.expectIntact("\(wrong) tokens")
    }
    // The producer has failed half way.
    try runs.fail(
      65, ["--max-steps", "1M", "--expect-tokens", "\(count)", "-"],
      input: .bytes(Array(Self.tokens[..<1500])),
      mentions: ["1500", "pipefail"])
    earlier.expectIntact("half of a pipe")
    #expect(try runs.train("--expect-tokens", "3k", packed).steps == 40)
    #expect(
      try runs.train("--max-steps", "1M", "--expect-tokens", "3k", "-", input: .bytes(Self.tokens))["tokens"]
        == count - 1)
    try earlier.expectResumable()
  }

  /// It is found before anything is learned.
  @Test func corruptHeldOutData() throws {
    let runs = Runs("--max-steps", "20")
    let data = runs.folder.put("data", Self.tokens)
    var packed = Sample.zstd(Self.tokens)
    packed[packed.count - 2] ^= 4
    let held = runs.folder.put("held.zst", packed)
    try runs.fail(65, ["--val", held, data], out: "run", mentions: [held])
    #expect(runs.checkpoint("run").isEmpty)
  }

  // MARK: Folders and disks

  @Test func foldersThatCannotBeWritten() throws {
    let runs = Runs("--max-steps", "5")
    runs.folder.put("data", Self.tokens)
    runs.folder.put("file", [1])
    for out in ["file", "file/below", "/proc/longzoo", "/dev/null", "/proc/version/x"] {
      try runs.fail(
        74, ["data"], out: out, mentions: [out.hasPrefix("file") ? "file" : out.replacing("/x", with: "")])
    }
    #expect(runs.folder.bytes("file") == [1])
    // A name of one letter, a deep one, one with a slash at its end.
    for out in ["a", "b/c/d", "e/"] { #expect(try runs.train("data", out: out).steps == 5) }
  }

  @Test func foldersInUse() throws {
    let runs = Runs()
    runs.folder.put("data", Self.tokens)
    let child = try LongzooProcess(
      runs.arguments(["--log-interval", "1", "-"], out: "run"), in: runs.folder,
      input: .stalled(Array(Self.tokens[..<200])))
    let deadline = Date().addingTimeInterval(20)
    while runs.folder.bytes("run/metrics.jsonl").isEmpty, Date() < deadline { usleep(5000) }
    let before = runs.checkpoint("run")
    try runs.fail(74, ["data"], out: "run", mentions: ["run is in use"])
    #expect(runs.checkpoint("run") == before)
    child.send(SIGKILL)
    #expect(child.wait().exitCode == 137)
  }

  @Test func filesTooLargeForTheSystem() throws {
    let earlier = try Earlier()
    for _ in 0..<2 {
      let outcome = try LongzooProcess.run(
        ["train", "--resume", "kept", "--max-steps", "80"], in: earlier.runs.folder, shell: "ulimit -f 8;")
      outcome.expectFailure(
        74, mentions: ["cannot write kept/checkpoint.safetensors", "larger than the system allows"], "EFBIG")
      earlier.expectIntact("EFBIG")
    }
    try earlier.runs.fail(
      74, ["data"], out: "new", shell: "ulimit -f 8;", mentions: ["new/checkpoint.safetensors"])
    #expect(earlier.runs.checkpoint("new").isEmpty)
    try earlier.expectResumable()
  }

  /// A disk of its own, where the tests may mount one.
  private final class SmallDisk {
    let path: String

    init?(_ path: String, size: String) {
      self.path = path
      mkdir(path, 0o755)
      guard Self.run("mount -t tmpfs -o size=\(size) tmpfs '\(path)'") else { return nil }
    }

    deinit { _ = Self.run("umount '\(path)'") }

    static func run(_ command: String) -> Bool {
      let shell = Process()
      shell.executableURL = URL(filePath: "/bin/sh")
      shell.arguments = ["-c", command + " 2>/dev/null"]
      return (try? shell.run()) != nil
        && {
          shell.waitUntilExit()
          return shell.terminationStatus == 0
        }()
    }

    static let isPossible: Bool = {
      let folder = TestFolder()
      return SmallDisk(folder("disk"), size: "64k") != nil
    }()
  }

  @Test(.enabled(if: SmallDisk.isPossible, "this user cannot mount a tmpfs"))
  func fullDisks() throws {
    let runs = Runs("--max-steps", "40")
    runs.folder.put("data", Self.tokens)
    let disk = try #require(SmallDisk(runs.folder("disk"), size: "512k"))
    try runs.train("data", out: "disk/kept")
    let whole = try runs.train("data", "--max-steps", "80")
    let before = runs.checkpoint("disk/kept")
    #expect(SmallDisk.run("dd if=/dev/zero of='\(disk.path)/filler' bs=4k") == false)
    for out in ["disk/kept", "disk/new"] {
      let arguments =
        out == "disk/new"
        ? runs.arguments(["data"], out: out) : ["train", "--resume", out, "--max-steps", "80"]
      let outcome = try LongzooProcess.run(arguments, in: runs.folder)
      outcome.expectFailure(74, mentions: [out], out)
    }
    #expect(runs.checkpoint("disk/kept") == before)
    unlink(runs.folder("disk/filler"))
    #expect(try runs.resume("disk/kept", "--max-steps", "80").digest == whole.digest)
  }
}

import Testing

/// The weights depend on the tokens and the seed, and on nothing else.
@Suite struct TrainDeterminismTests {
  private static let tokens = Sample.tokens(4000)

  /// The same tokens in every form that a file or a pipe can have.
  private func digests(_ runs: Runs, _ options: [String], pipes: Bool) throws -> [String: String] {
    let bytes = Self.tokens
    let folder = runs.folder
    let files: [String: [String]] = [
      "plain": [folder.put("plain", bytes)],
      "zst": [folder.put("one.zst", Sample.zstd(bytes))],
      "lz4": [folder.put("one.lz4", Sample.lz4(bytes))],
      "two frames": [
        folder.put("two.zst", Sample.zstd(Array(bytes[..<1501])) + Sample.zstd(Array(bytes[1501...])))
      ],
      "two files": [folder.put("a", Array(bytes[..<777])), folder.put("b", Array(bytes[777...]))],
    ]
    var digests: [String: String] = [:]
    func add(_ name: String, _ data: [String], _ input: LongzooProcess.Input = .nothing) throws {
      let result = try runs.train(arguments: ["--max-steps", "60"] + options + data, input: input)
      #expect(result.steps == 60)
      #expect(result.digest.count == 64)
      digests[name] = result.digest
    }
    for (name, data) in files { try add(name, data) }
    try add("two threads", ["--threads", "2"] + files["plain"]!)
    if pipes {
      try add("pipe", ["-"], .bytes(bytes, pieces: [1, 7, 1021, 3]))
      try add("zst pipe", ["-"], .bytes(Sample.zstd(bytes), pieces: [5, 1, 313]))
      try add("lz4 pipe", ["-"], .bytes(Sample.lz4(bytes), pieces: [3, 1000]))
      try add("standard input", ["-"], .file(files["two frames"]![0]))
    }
    return digests
  }

  @Test(arguments: [
    [], ["--readout", "zo"], ["--perturbation", "rademacher", "--lifetime", "1"], ["--rank", "3"],
    ["--perturbation", "gaussian"],
    ["--layers", "2"],
    ["--optimizer", "muon"], ["--window", "context", "--context", "37"],
    ["--optimizer", "sgd", "--window", "13", "--context", "100"],
  ])
  func oneStreamFromAnyForm(options: [String]) throws {
    // A pipe needs a process; what is compared runs on the same kernels.
    let digests = try digests(Runs(isProcess: true), options, pipes: true)
    #expect(digests.count == 10)
    #expect(Set(digests.values).count == 1, "\(digests)")
  }

  @Test(arguments: [
    [], ["--readout", "zo", "--layers", "2"], ["--perturbation", "rademacher", "--context", "50"],
  ])
  func sixteenStreamsFromAnyFile(options: [String]) throws {
    let digests = try digests(Runs("--streams", "16"), options, pipes: false)
    #expect(digests.count == 6)
    #expect(Set(digests.values).count == 1, "\(digests)")
  }

  /// What must change the weights does.
  @Test func otherRunsGiveOtherWeights() throws {
    let runs = Runs("--max-steps", "40")
    let data = runs.folder.put("data", Self.tokens)
    let other = runs.folder.put("other", Sample.tokens(4000, seed: 2))
    var digests = [try runs.train(data).digest, try runs.train(other).digest]
    for options in [
      ["--seed", "1338"], ["--streams", "2"], ["--eps", "0.05"], ["--lr", "0.02"], ["--lifetime", "3"],
      ["--window", "9"],
      ["--context", "80"], ["--readout", "zo"], ["--perturbation", "rademacher"], ["--optimizer", "sgd"],
      ["--skip-tokens", "1"], ["--max-steps", "41"], ["--layers", "2"], ["--pairs", "17"],
      ["--momentum", "0.8"],
      ["--beta2", "0.9"], ["--weight-decay", "0.1"], ["--table-rate", "3"], ["--lr-schedule", "cosine"],
      ["--warmup", "10"],
    ] {
      digests.append(try runs.train(arguments: options + [data]).digest)
    }
    #expect(Set(digests).count == digests.count, "\(digests)")
    #expect(try runs.train(data, "--seed", "1337").digest == digests[0])
  }

  @Test func resetNeverIsAnEndlessContext() throws {
    let runs = Runs("--max-steps", "40", "--lifetime", "2")
    let data = runs.folder.put("data", Self.tokens)
    let carried = try runs.train("--context", "0", data).digest
    #expect(try runs.train("--context", "80", "--reset", "never", data).digest == carried)
    #expect(try runs.train("--context", "80", data).digest != carried)
  }
}

import Foundation
import Testing

@testable import LongzooTraining
@testable import longzoo

/// Runs are resumed from any folder, and their data is found or asked for.
@Suite struct StoredFilesTests {
  @Test func fromAnotherFolder() throws {
    let runs = Runs("--max-steps", "20")
    for name in ["data", "held"] { runs.folder.put(name, Sample.tokens(3000)) }
    mkdir(runs.folder("else where"), 0o755)
    let options = ["--val", "held", "data"]
    let whole = try RunResult(
      LongzooProcess.run(runs.arguments(options + ["--max-steps", "40"], out: "whole"), in: runs.folder)
        .output)
    let first = try LongzooProcess.run(
      runs.arguments(options, out: "else where/run").filter { !["--json", "--quiet"].contains($0) },
      in: runs.folder)
    #expect(first.output.contains("'\(runs.folder("else where/run/model.safetensors"))'"), "\(first.output)")
    let resume = ["train", "--json", "--quiet", "--max-steps", "40", "--resume", "run"]
    let outcome = try LongzooProcess.run(resume, in: runs.folder, shell: "cd 'else where' &&")
    expectSame(try RunResult(outcome.output), whole)

    // Files that moved are named, and found again where they are given.
    rename(runs.folder("data"), runs.folder("moved"))
    rename(runs.folder("held"), runs.folder("held2"))
    func go(_ more: [String]) throws -> LongzooProcess.Outcome {
      try LongzooProcess.run(
        ["train", "--json", "--quiet", "--max-steps", "50", "--resume", "else where/run"] + more,
        in: runs.folder)
    }
    try go([]).expectFailure(
      66, mentions: [runs.folder("data"), "--resume 'else where/run' DATA"], "no data")
    try go(["moved"]).expectFailure(66, mentions: [runs.folder("held"), "--val PATH"], "no held-out data")
    #expect(try RunResult(go(["moved", "--val", "held2"]).output).steps == 50)
    #expect(try RunResult(go([]).output).steps == 50)
  }

  @Test func relativePathsOfOlderCheckpoints() throws {
    let folder = TestFolder()
    mkdir(folder("runs"), 0o755)
    mkdir(folder("runs/one"), 0o755)
    folder.put("data", [1])
    folder.put("runs/one/near", [1])
    let files = StoredFiles(run: folder("runs/one"))
    func find(_ path: String) throws -> String { try files.find(path, role: "trained on", option: "DATA") }
    #expect(try find("data") == folder("data"))
    #expect(try find("near") == folder("runs/one/near"))
    #expect(try find(folder("data")) == folder("data"))
    #expect(try find("-") == "-")
    let error = failure { _ = try find("lost/data") }
    #expect(error?.exitCode == 66)
    for text in ["lost/data", "current folder", "--resume \(folder("runs/one")) DATA"] {
      #expect(error?.message.contains(text) == true, "\(error?.message ?? "")")
    }
  }

  @Test func pathsFromTheRoot() {
    let here = FileManager.default.currentDirectoryPath
    let above = RunFolder.parent(of: here)
    for (path, expected) in [
      ("/a/../b", "/a/../b"), ("-", "-"), ("", ""), ("a b", here + "/a b"), ("./a", here + "/a"), (".", here),
      ("..", above), ("../x/../y", (above == "/" ? "" : above) + "/x/../y"), (".//./a/", here + "/a"),
    ] {
      #expect(AbsolutePath.of(path) == expected, "\(path)")
    }
  }
}

import Foundation
import Testing

/// A standard output that takes nothing more is a failure of every command, and a reader that has had enough is none.
@Suite struct FullOutputTests {
  private let runs = Runs("--max-steps", "3", "--replay-log", "--readout", "zo")

  private func commands() throws -> [[String]] {
    runs.folder.put("data", Sample.tokens(3000))
    try runs.train("data", out: "run")
    return [
      ["--help"], ["help"], ["help", "train"], ["train", "--help"], ["task", "--help"], ["--version"],
      ["eval", "run", "data"], ["eval", "run", "data", "--json"], ["report", "run", "--plot"],
      ["report", "run", "--json"], ["replay", "run", "--step", "2"],
      ["task", "copy", "--sequences", "2000"],
      ["bench", "--hidden-size", "8", "--pairs", "8", "--rounds", "1", "--threads", "1"],
      ["train", "data", "--dry-run", "--vocab-size", "64"], runs.arguments(["data"], out: "again"),
    ]
  }

  @Test(.enabled(if: access("/dev/full", W_OK) == 0)) func aFullOneIsAFailure() throws {
    for command in try commands() {
      let outcome = try LongzooProcess(command, in: runs.folder, output: "/dev/full").wait()
      outcome.expectFailure(74, mentions: ["standard output"], "\(command)")
      #expect(outcome.errors.split(separator: "\n").filter { $0.hasPrefix("longzoo: ") }.count == 1)
    }
  }

  @Test func aReaderThatIsGoneIsNone() throws {
    let pipe = runs.folder("pipe")
    for command in try commands() {
      // The reader opens it and goes.
      let shell = "rm -f pipe; mkfifo pipe; cat pipe >/dev/null & exec 1>pipe; kill $!; wait;"
      let outcome = try LongzooProcess.run(command, in: runs.folder, shell: shell)
      #expect(outcome.exitCode == 0 && !outcome.errors.contains("longzoo:"), "\(command): \(outcome.errors)")
    }
    #expect(access(pipe, F_OK) == 0)
  }
}

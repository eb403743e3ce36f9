import ArgumentParser
import Foundation
import Testing

@testable import LongzooTraining
@testable import longzoo

/// What people type, and what the parser gets of it.
@Suite struct ArgumentLayersTests {
  @Test(arguments: [
    (["train", "--lr", "-1"], ["train", "--lr=-1"]), (["--lr", "-.5", "x"], ["--lr=-.5", "x"]),
    (["--lr", "-inf"], ["--lr=-inf"]), (["--quiet", "-1"], ["--quiet", "-1"]), (["-o", "-1"], ["-o", "-1"]),
    (["--lr=1", "-1"], ["--lr=1", "-1"]), (["--max_steps", "5"], ["--max-steps", "5"]),
    (["--out_dir=a_b", "-x"], ["--out-dir=a_b", "-x"]),
    (["--a_b", "--", "--a_b", "-1"], ["--a-b", "--", "--a_b", "-1"]), (["--", "-1"], ["--", "-1"]),
  ])
  func typedArguments(given: [String], expected: [String]) {
    #expect(TypedArguments.normalized(given) == expected)
  }

  @Test func valuesBehindTheDashesAreFiles() {
    #expect(TypedArguments.value(of: "--config", in: ["train", "--", "--config", "x"]) == nil)
    #expect(TypedArguments.value(of: "--config", in: ["--config", "x", "--config=y", "--"]) == "y")
  }

  @Test(arguments: [
    ("trian", "train"), ("trai", "train"), ("evla", "eval"), ("reprot", "report"), ("tsk", "task"),
  ])
  func slipsAreUnderstood(typed: String, meant: String) {
    #expect(CommandLineReader.unknownCommand(typed).contains("did you mean \(meant)?"))
  }

  @Test(arguments: ["sing", "x", "", "generate-something"])
  func otherWordsAreNot(typed: String) {
    let text = CommandLineReader.unknownCommand(typed)
    #expect(!text.contains("did you mean") && text.contains("train, eval"))
  }

  /// A sentence about an option says where the option is from, if nobody typed it.
  @Test func sources() throws {
    let layers = try ArgumentLayers(
      ["train", "--pairs", "3"],
      environment: ["LONGZOO_PAIRS": "2", "LONGZOO_LR": "-1", "LONGZOO_QUIET": "1"])
    #expect(layers.arguments == ["train", "--lr=-1", "--pairs=2", "--quiet", "--pairs", "3"])
    #expect(layers.sources(of: "--lr -1 is not positive") == ["--lr is that of LONGZOO_LR"])
    #expect(layers.sources(of: "--lr-schedule is odd; --pairs 3 too") == [])
    #expect(layers.sources(of: "LONGZOO_LR: --lr is odd") == [])
  }

  /// Every flag that train has may be set by a variable or in a file.
  @Test func everyFlagIsKnown() throws {
    let help = LongzooCommand.helpMessage(for: TrainCommand.self, columns: 2000)
    let flags = help.split(separator: "\n").compactMap { line -> String? in
      let words = line.split(separator: " ").map(String.init)
      guard line.hasPrefix("  --"), words.count > 1, !words[1].hasPrefix("<"), !words[0].hasSuffix(",") else {
        return nil
      }
      return String(words[0].dropFirst(2))
    }
    #expect(flags.contains("quiet") && flags.count >= 4, "\(flags)")
    #expect(Set(flags).subtracting(["version"]).subtracting(ArgumentLayers.flags).isEmpty, "\(flags)")
  }

  @Test func noDefaultIsSaidTwice() {
    for command in LongzooCommand.configuration.subcommands {
      let help = LongzooCommand.helpMessage(for: command, columns: 5000)
      for line in help.split(separator: "\n") {
        #expect(line.components(separatedBy: "default:").count <= 2, "\(line)")
      }
    }
  }
}

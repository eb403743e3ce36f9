import Foundation
import LongzooEstimator
import Testing

@testable import LongzooTraining
@testable import longzoo

/// A refused number is told both ends of what is accepted, and what is between them is accepted.
@Suite struct OptionRangeTests {
  private let folder = TestFolder()

  /// What is said of a train command: nil where it can be planned.
  private func refusal(_ options: [String]) throws -> String? {
    let data = folder.put("data", Sample.tokens(500))
    do {
      let typed = try ArgumentLayers(["train", "--threads", "1"] + options + [data], environment: [:])
      let command = try #require(try LongzooCommand.parseAsRoot(typed.arguments) as? TrainCommand)
      try command.plan(over: nil).validate()
      return nil
    } catch let failure as RunFailure {
      return failure.message
    } catch {
      return LongzooCommand.message(for: error)
    }
  }

  @Test(arguments: [
    ("--lr", "1e39", "from 0 to 3.4028235e+38"), ("--lr", "-1", "from 0 to 3.4028235e+38"),
    ("--lr", "1e400", "over 1.79769"), ("--lr", "x", "neither a decimal number nor 'auto'"),
    ("--lifetime", "2G", "from 1 to 2^30"), ("--lifetime", "0", "from 1 to 2^30"),
    ("--eps", "0", "to 3.4028235e+38"), ("--eps", "1e39", "from 1e-45"),
    ("--max-divergence", "-1", "from 0 to 3.4"), ("--weight-decay", "1e39", "from 0 to 3.4"),
    ("--table-rate", "-1", "from 0 to 3.4"), ("--token-scale", "1e39", "from 0 to 3.4"),
    ("--momentum", "1", "from 0 to 0.99999994"), ("--beta2", "-0.1", "from 0 to 0.99999994"),
    ("--val-fraction", "1", "from 0 to less than 1"), ("--stop-above", "-1", "from 0 to 1.79"),
    ("--stop-below", "0", "more than 0, and at most 1.79"), ("--epochs", "0", "more than 0, and at most"),
    ("--max-seconds", "0", "more than 0, and at most"), ("--max-seconds", "1e308d", "at most 1.79"),
    ("--max-steps", "1e40", "from -30 to 30"), ("--max-tokens", "10000000000G", "over \(Int.max)"),
    ("--memory-budget", "9999999TiB", "over \(Int.max)"), ("--pairs", "0", "from 1 to 1048576"),
    ("--threads", "2000", "from 1 to 1024"), ("--hidden-size", "0", "from 1 to 2^24"),
  ])
  func bothEndsAreNamed(option: String, value: String, range: String) throws {
    let text = try #require(try refusal([option, value]))
    #expect(text.contains(range) && text.contains(option), "\(text)")
  }

  @Test func aRunThatCanOnlyEndAtOnceIsRefused() throws {
    let text = try #require(try refusal(["--stop-above", "1", "--stop-below", "2"]))
    #expect(text.contains("--stop-above 1.0 is less than --stop-below 2.0"))
    for fine in [["--stop-above", "0"], ["--stop-above", "2"], ["--stop-above", "3"], []] {
      #expect(try refusal(fine + ["--stop-below", "2"]) == nil)
    }
  }
}

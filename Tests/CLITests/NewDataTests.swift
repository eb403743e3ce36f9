import Foundation
import Testing

/// `--new-data` goes on with a run on other data, and only the place in the data begins anew.
@Suite struct NewDataTests {
  private let runs = Runs("--max-steps", "30", "--lifetime", "4")
  private let first = Sample.tokens(20_000)
  private let second = Sample.tokens(20_000, seed: 9)

  @Test(arguments: [true, false]) func goesOn(isPipe: Bool) throws {
    let data = runs.folder.put("first", first)
    let other = isPipe ? "-" : runs.folder.put("second", second)
    let input: LongzooProcess.Input = isPipe ? .bytes(second) : .nothing
    for out in ["whole", "parts", "same"] { try runs.train(data, out: out) }
    let whole = try runs.resume("whole", "--new-data", "--max-steps", "70", other, input: input)
    #expect(whole.steps == 70 && whole["tokens"] == 70 * 8)
    try runs.resume("parts", "--new-data", "--max-steps", "50", other, input: input)
    expectSame(try runs.resume("parts", "--max-steps", "70", other, input: input), whole)
    // It is the other data, and from its start.
    #expect(try runs.resume("same", "--max-steps", "70", data).digest != whole.digest)
    try runs.train(data, out: "again")
    let shifted = runs.folder.put("shifted", Array(second[1...]))
    #expect(try runs.resume("again", "--new-data", "--max-steps", "70", shifted).digest != whole.digest)
    #expect(try runs.metrics("whole").allSatisfy { ($0["step"] as? Int ?? 0) <= 70 })
  }

  /// Without a limit a run on files goes through a context of the new ones.
  @Test func theEndIsCountedFromTheNewData() throws {
    let (data, other) = (runs.folder.put("first", first), runs.folder.put("second", second))
    let plain = Runs("--context", "400")
    let begun = try LongzooProcess.run(plain.arguments([data], out: "run"), in: runs.folder)
    #expect(try RunResult(begun.output)["tokens"] == 400)
    #expect(try runs.resume("run", "--new-data", other)["tokens"] == 800)
  }

  @Test func whatCannotGoOnIsRefused() throws {
    let data = runs.folder.put("first", first)
    try runs.train(data, out: "run")
    try runs.train("--streams", "2", data, out: "two")
    for (arguments, mentions) in [
      (["train", "--new-data", data], "--resume"),
      (["train", "--resume", "run", "--new-data"], "other data"),
      (["train", "--resume", "run", "--new-data", data], "max-steps"),
      (["train", "--resume", "two", "--new-data", "--max-steps", "40", "-"], "2 streams"),
    ] {
      let outcome = try LongzooProcess.run(arguments, in: runs.folder)
      outcome.expectFailure(64, mentions: [mentions], "\(arguments)")
    }
  }

  @Test func whatWasSaidOfTheOldDataIsForgotten() throws {
    let data = runs.folder.put("first", first)
    try runs.train(
      "--skip-tokens", "100", "--expect-tokens", "20k", "--val-fraction", "0.2", data, out: "run")
    let short = Array(second[..<3000])
    let result = try runs.resume(
      "run", "--new-data", "--max-steps", "60", "-", input: .bytes(short))
    #expect(result.steps == 60 && result.values["val_tokens"] is NSNull)
    let held = try runs.resume(
      "run", "--new-data", "--max-steps", "70", "--val-fraction", "0.5", runs.folder.put("short", short))
    #expect(held["val_tokens"] == 1499)
  }
}

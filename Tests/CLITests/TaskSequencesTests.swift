import LongzooTraining
import Testing

/// The synthetic tasks as a Swift program has them.
@Suite struct TaskSequencesTests {
  private struct Full: Error {}

  @Test(arguments: TaskKind.allCases)
  func tokensAreThoseOfTheBlocks(task: TaskKind) throws {
    let sequences = TaskSequences(task, seed: 3)
    var blocks: [UInt8] = []
    try sequences.write(count: 200_000) { blocks += $0 }
    #expect(blocks.count == 200_000)
    #expect(sequences.tokens(200_000) == blocks)
    #expect(sequences.tokens(1000) == Array(blocks.prefix(1000)))
    #expect(sequences.tokens(1000, isMarked: true).map { $0 & 0x7f } == Array(blocks.prefix(1000)))
    #expect(sequences.tokens(0).isEmpty)
  }

  @Test func sequencesEndByThemselves() throws {
    var text: [UInt8] = []
    try TaskSequences(.reverse, length: 3...3).write(sequences: 5) { text += $0 }
    let lines = String(decoding: text, as: UTF8.self).split(separator: "\n")
    #expect(lines.count == 5)
    #expect(lines.allSatisfy { $0.count == 7 && $0.prefix(3) == String($0.suffix(3).reversed()) })
  }

  @Test func whoTakesTheBlocksMayEndThem() {
    #expect(throws: Full.self) { try TaskSequences(.copy).write { _ in throw Full() } }
  }
}

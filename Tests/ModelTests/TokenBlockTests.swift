import LongzooMemory
import LongzooModel
import Testing

@Suite("Blocks of tokens")
struct TokenBlockTests {
  @Test("An id outside the vocabulary is found with its place, marked or not")
  func unknown() throws {
    let mark = TokenMark.mark
    for bad: UInt32 in [7, 8, TokenMark.id] {
      for token in [bad, bad | mark] {
        let expected = #expect(throws: UnknownToken.self) {
          _ = try TokenBlock([[0, 6, 3], [6 | mark, 1, token]], vocabularySize: 7)
        }
        #expect(expected?.id == bad && expected?.stream == 1 && expected?.position == 2)
        #expect(
          expected?.description
            == "token \(bad) at position 2 of stream 1 is not below vocabularySize 7")
      }
    }
  }

  @Test("Rows, pieces and targets are those that were given, from whatever they come")
  func contents() throws {
    let mark = TokenMark.mark
    let rows: [[UInt32]] = [[0, 1 | mark, 2, 3], [4, 5, 6, 0 | mark]]
    let buffer = try Buffer<UInt32>(count: 8, .stream, for: "tokens", ledger: MemoryLedger())
    let flat = rows.flatMap { $0 }
    for index in flat.indices { buffer[index] = flat[index] }
    let fromRows = try TokenBlock(rows, vocabularySize: 7)
    let fromBuffer = try TokenBlock(buffer, streams: 2, vocabularySize: 7)
    let fromSpan = try TokenBlock(flat.span, streams: 2, vocabularySize: 7)
    for block in [fromRows, fromBuffer, fromSpan] {
      #expect(block.streams == 2 && block.count == 3 && block.vocabularySize == 7)
      #expect((0..<2).map { stream in (0...3).map { block[stream, $0] } } == rows)
      #expect(block.targets(ofStream: 0) == 2 && block.targets(ofStream: 1) == 2)
      let piece = block[1..<3]
      #expect(piece.count == 2 && piece[0, 0] == 1 | mark && piece[1, 2] == 0 | mark)
      #expect(piece.targets(ofStream: 0) == 2 && piece.targets(ofStream: 1) == 1)
    }
  }

  @Test("A model refuses the ids of a larger vocabulary, and other streams than its own")
  func otherModels() async {
    await #expect(processExitsWith: .failure) {
      try TokenBlock([[0, 1]], vocabularySize: 8).require(streams: 1, vocabularySize: 7)
    }
    await #expect(processExitsWith: .failure) {
      try TokenBlock([[0, 1]], vocabularySize: 7).require(streams: 2, vocabularySize: 7)
    }
    await #expect(processExitsWith: .success) {
      try TokenBlock([[0, 1]], vocabularySize: 7).require(streams: 1, vocabularySize: 8)
    }
  }
}

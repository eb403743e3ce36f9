import LongzooMemory
import LongzooStream
import Testing

@testable import LongzooTraining
@testable import longzoo

@Suite struct TokenSupplyTests {
  private let folder = TestFolder()

  private func supply() throws -> TokenSupply {
    let data = folder.put("data", Sample.tokens(4000))
    var tokens = DataConfiguration()
    (tokens.paths, tokens.vocabularySize) = ([data], 64)
    let configuration = StreamConfiguration(tokens, streams: 1, chunkTokens: 10)
    let ledger = MemoryLedger()
    return try TokenSupply(
      TokenFeed(configuration, ledger: ledger), streams: 1, chunk: 10, vocabularySize: 64, keptChunks: 0,
      ledger: ledger)
  }

  /// Tokens that a resume passes over may be many: whoever asks for the end is heard at every chunk.
  @Test func passingOverCanBeGivenUp() throws {
    let supply = try supply()
    var asked = 0
    try supply.skip(1 << 40) {
      asked += 1
      return asked > 3
    }
    #expect(asked == 4 && supply.feed.position.pairs == 30)
    try supply.skip(5) { false }
    #expect(supply.feed.position.pairs == 35)
  }
}

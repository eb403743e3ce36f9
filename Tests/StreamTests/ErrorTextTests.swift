import LongzooMemory
import Testing

@testable import LongzooStream

/// An error leaves open how settings are written, and how data is given again.
@Suite struct ErrorTextTests {
  private let options: (Setting) -> String = { "--" + $0.rawValue.lowercased() }

  @Test func settingsHaveTheNamesThatAreAskedFor() {
    let folder = Folder()
    var configuration = StreamConfiguration([folder.write([1, 2, 3], "odd")], .u16)
    let odd = failure(configuration)
    #expect(odd?.description.contains("check tokenType, or") == true)
    #expect(odd?.text(naming: options).contains("check --tokentype, or") == true)
    configuration.skipTokens = -1
    #expect(
      failure(configuration)?.text(naming: options) == "--skiptokens -1 is not from 0 to 2^56")
  }

  @Test func remediesHaveTheTextThatIsGiven() {
    let folder = Folder()
    let path = folder.write([0x1F, 0x8B, 8, 0] + [UInt8](repeating: 7, count: 100), "a.gz")
    let error = failure(StreamConfiguration([path]))
    #expect(error?.remedy == .unpack(commands: ["zcat \(path)"], isPipe: false))
    let start = "\(path): is packed by gzip, which is no stream of tokens; "
    let end = "; or say --format raw if its very bytes are meant"
    #expect(
      error?.text(naming: options) { _ in "do it" } == start + "do it" + end)
    #expect(error?.text(naming: options) == start + "unpack it first, with zcat \(path)" + end)
  }

  @Test func theBudgetIsASetting() {
    let folder = Folder()
    let configuration = StreamConfiguration([folder.write([1, 2], "a")])
    do {
      _ = try TokenFeed(configuration, ledger: MemoryLedger(budget: 1000))
      Issue.record("1000 bytes were enough")
    } catch {
      #expect(error.kind == .overBudget && error.text(naming: options).contains("raise --memorybudget or"))
    }
  }

  /// A mirror shows a choice as `_format`.
  @Test func settingsAreThoseOfTheConfiguration() {
    let parts: [Any] = [StreamConfiguration([]), DataConfiguration()]
    let properties = parts.flatMap { Mirror(reflecting: $0).children.compactMap(\.label) }
    for setting in [
      Setting.tokenType, .compression, .format, .targets, .vocabularySize, .streams, .skipTokens,
      .expectTokens, .holdoutFraction, .zstdWindowLog,
    ] {
      #expect(properties.contains(setting.rawValue) || properties.contains("_" + setting.rawValue))
    }
  }
}

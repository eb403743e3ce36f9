import LongzooMemory
import LongzooStream

/// Looks at a run's data as the run itself does before its first update, for what it would be refused or warned for.
///
/// A pipe is not touched, and of compressed files that are large only the beginning is unpacked: a plan should not take as long
/// as a run.
package enum FirstLook {
  /// Stored bytes of compressed files that are unpacked as a whole.
  private static let mostBytes = 64 << 20

  /// - Parameter position: where the run goes on; nil: at the start.
  /// - Throws: what opening the data throws, and reading its first tokens; `RunFailure` where there are too few of them.
  package static func run(_ c: RunPlan, from position: StreamPosition?, host: RunHost) throws {
    let isPart = c.data.heldOutPath == nil
    let isQuick = try c.data.isPipe || DataOutline.compressedBytes(c.trainingData) <= mostBytes
    var data = c.trainingData.read(for: host)
    if !isQuick { (data.streams, data.holdoutFraction, data.countsTokens) = (1, 0, false) }
    let ledger = MemoryLedger()
    let feed =
      try c.data.isPipe ? nil : TokenFeed(data, resume: isQuick ? position : nil, ledger: ledger)
    if let heldOut = c.heldOutData, isQuick || !isPart {
      let reader = try HeldOutReader(heldOut.read(for: host, warns: !isPart), ledger: ledger)
      try HeldOutEvaluator.check(reader, c)
    }
    guard let feed else { return }
    let rows = try TokenRows(
      streams: data.streams, chunk: c.chunk, vocabularySize: c.data.vocabularySize, ledger: ledger)
    guard try rows.fill(min(c.chunk, c.longestWindow), from: feed) > 0 else { throw c.noTokens }
  }
}

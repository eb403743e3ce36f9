import Foundation
import LongzooMemory
import LongzooStream

/// Tokens that a program holds in memory, as data for a run.
///
///     let tokens = try TokenArray(ids, vocabularySize: 64)
///     var plan = RunPlan()
///     plan.data = tokens.data
///
/// The tokens are copied into a file that exists in memory only, for as long as this object lives: that memory is not
/// charged to a run's ledger. Not for data that is in a file already, which is streamed; and a run that is to be resumed by
/// another process needs a file, too.
public final class TokenArray {
  private let descriptor: Int32
  private let tokenType: TokenType
  private let vocabularySize: Int
  public let count: Int

  /// - Parameter tokens: ids from 0 to below `vocabularySize`.
  /// - Throws: `RunFailure` with the first id that is none, or if the system has no memory for the copy.
  public init(_ tokens: some Collection<Int>, vocabularySize: Int) throws(RunFailure) {
    guard vocabularySize >= 1, vocabularySize <= 1 << 24 else {
      throw .usage("\(.vocabularySize) \(vocabularySize) is not from 1 to 2^24")
    }
    self.vocabularySize = vocabularySize
    tokenType = vocabularySize <= 256 ? .u8 : vocabularySize <= 65536 ? .u16 : .u32
    count = tokens.count
    // Without a name as soon as it is open: it goes with the descriptor.
    let name = "/longzoo-\(getpid())-\(RunIdentity.new())"
    descriptor = shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0o600)
    guard descriptor >= 0 else { throw .system("make a file in", "memory", errno: errno) }
    shm_unlink(name)
    try write(tokens)
  }

  deinit { close(descriptor) }

  /// What a plan needs to say of the tokens.
  public var data: DataPlan {
    var plan = DataPlan()
    plan.paths = ["/proc/self/fd/\(descriptor)"]
    plan.tokenType = tokenType
    plan.vocabularySize = vocabularySize
    // Any bytes are tokens here, those of a known format too.
    plan.format = .raw
    plan.compression = .none
    return plan
  }

  private func write(_ tokens: some Collection<Int>) throws(RunFailure) {
    let width = tokenType.width
    var bytes: [UInt8] = []
    for (index, token) in tokens.enumerated() {
      guard token >= 0, token < vocabularySize else {
        throw .badData("token \(index) is \(token), not below \(.vocabularySize) \(vocabularySize)")
      }
      for byte in 0..<width { bytes.append(UInt8(truncatingIfNeeded: token >> (8 * byte))) }
      if bytes.count >= 1 << 16 { try flush(&bytes) }
    }
    try flush(&bytes)
  }

  private func flush(_ bytes: inout [UInt8]) throws(RunFailure) {
    var done = 0
    while done < bytes.count {
      let written = bytes.withUnsafeBytes {
        Glibc.write(descriptor, $0.baseAddress! + done, bytes.count - done)
      }
      if written < 0, errno == EINTR { continue }
      guard written > 0 else { throw .system("write", "tokens in memory", errno: errno) }
      done += written
    }
    bytes.removeAll(keepingCapacity: true)
  }
}

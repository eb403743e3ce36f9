import Foundation
import LongzooModel

/// `replay.log`: all that is needed to make the weights of any step again.
///
/// Directions are functions of the seed; so a window is one coefficient a pair, the rate, and which rows of the token table were read. Little-endian:
///
///     "LZREPLAY", u32 version, u64 first step, u32 length, JSON of the configuration
///     records: u32 length, u32 check, payload
///     payload: u64 step, u8 flags, f32 rate, [pairs] f32 coefficients where there was an update, the tokens
///     tokens:  chunks of u32 count, [streams][count] ids of 1, 2 or 4 bytes; or, where that is longer, [T][V] u16 of all
///              that has been read since the directions began
///
/// A record that was cut short, or whose check is wrong, ends the log: nothing behind it is read.
package enum ReplayFormat {
  package static let magic = Array("LZREPLAY".utf8)
  package static let version: UInt32 = 1
  package static let fileName = "replay.log"

  package struct Flags: OptionSet {
    package let rawValue: UInt8
    package init(rawValue: UInt8) { self.rawValue = rawValue }
    package static let updated = Flags(rawValue: 1)
    /// A context began behind the window.
    package static let contextBegins = Flags(rawValue: 2)
    /// The tokens are written as words of all that was read.
    package static let words = Flags(rawValue: 4)
  }

  package static let headOfRecord = 8
  package static let headOfPayload = 13

  /// What has been read, as words: the most that a window's tokens take.
  package static func mostTokenBytes(_ c: RunPlan) -> Int {
    2 * Population.tiles(c.estimator.pairs) * c.data.vocabularySize
  }

  /// The longest payload that a run of this configuration writes.
  package static func mostPayload(_ c: RunPlan) -> Int {
    headOfPayload + 4 * c.estimator.pairs + mostTokenBytes(c)
  }

  /// FNV-1a.
  package static func check(_ bytes: UnsafeRawBufferPointer) -> UInt32 {
    var hash: UInt32 = 2_166_136_261
    for byte in bytes { hash = (hash ^ UInt32(byte)) &* 16_777_619 }
    return hash
  }

  /// Bytes of a token id.
  package static func width(vocabulary: Int) -> Int {
    vocabulary <= 1 << 8 ? 1 : vocabulary <= 1 << 16 ? 2 : 4
  }

  package static func header(_ c: RunPlan, firstStep: Int) throws -> [UInt8] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = .sortedKeys
    let json = try encoder.encode(c)
    return magic + bytes(version) + bytes(UInt64(firstStep)) + bytes(UInt32(json.count)) + json
  }

  private static func bytes<T: FixedWidthInteger>(_ value: T) -> [UInt8] {
    withUnsafeBytes(of: value.littleEndian) { Array($0) }
  }
}

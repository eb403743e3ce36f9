import Foundation
import LongzooMemory

/// What tells the files of one run from those that an earlier run has left in the same folder: 64 random bits in its configuration, which its
/// checkpoints, its replay log and config.json all hold. Runs of before there was one have none, all of them alike.
package enum RunIdentity {
  package static func new() -> String {
    let digits = String(UInt64.random(in: .min ... .max), radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
  }

  /// The configuration in the folder of a replay log; nil where there is none that can be read.
  /// - Throws: exit code 74 if it is no file.
  package static func configuration(besides log: String) throws(RunFailure) -> [String: JSONValue]? {
    let path = RunPaths(folder: RunFolder.parent(of: log)).configuration
    return JSONValue.object(in: try RegularFile.contents(path))
  }
}

import Foundation
import LongzooTraining

/// The exit codes of the program, after sysexits.h.
enum ExitStatus {
  /// A run that diverged: nothing is wrong with the call or the data, but there is no success either.
  static let diverged: Int32 = 1
  static let usage: Int32 = 64
  static let badData: Int32 = 65
  static let missingInput: Int32 = 66
  static let inputOutput: Int32 = 74

  /// What a shell reports for a program that a signal ended: 130 for SIGINT, 143 for SIGTERM.
  static func signal(_ number: Int32) -> Int32 { 128 + number }
}

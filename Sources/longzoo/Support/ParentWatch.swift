import Foundation
import LongzooTraining

/// A child of `compare` ends with its parent, however that ends: nobody would wait for it, or stop it, any more.
enum ParentWatch {
  /// Names the parent's process.
  static let variable = "LONGZOO_CHILD_OF"

  /// `PR_SET_PDEATHSIG`
  private static let endWithParent: Int32 = 1

  /// To be called when the program begins. Nothing happens where it was not started by `compare`.
  static func begin() {
    guard let text = getenv(variable), let parent = Int32(String(cString: text)) else { return }
    // It takes a variable number of arguments, which Swift does not import.
    typealias Control = @convention(c) (Int32, UInt, UInt, UInt, UInt) -> Int32
    guard let symbol = dlsym(nil, "prctl") else { return }
    _ = unsafeBitCast(symbol, to: Control.self)(endWithParent, UInt(SIGKILL), 0, 0, 0)
    // It may have gone before it could be watched.
    if getppid() != parent { _exit(128 + SIGKILL) }
  }
}

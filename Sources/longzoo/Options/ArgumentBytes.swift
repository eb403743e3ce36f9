import Foundation
import LongzooMemory
import LongzooTraining

/// The arguments as the system has them: Swift repairs what is not UTF-8, and a repaired name is that of another file.
enum ArgumentBytes {
  /// - Throws: exit code 64, before anything is read or made.
  static func requireUTF8() throws(RunFailure) {
    for index in 1..<max(1, Int(CommandLine.argc)) {
      guard let argument = CommandLine.unsafeArgv[index] else { break }
      try require(argument, "the argument")
    }
    var variable = environ
    while let text = variable.pointee {
      if strncmp(text, ArgumentLayers.prefix, ArgumentLayers.prefix.utf8.count) == 0 {
        try require(text, "the variable")
      }
      variable += 1
    }
  }

  private static func require(_ text: UnsafePointer<CChar>, _ what: String) throws(RunFailure) {
    if String(validatingCString: text) != nil { return }
    throw .usage(
      "\(what) \(String(cString: text)) is not UTF-8, and longzoo takes no other names; rename the file, or give its data as - < FILE"
    )
  }
}

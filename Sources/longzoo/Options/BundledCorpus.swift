import Foundation
import LongzooMemory
import LongzooTraining

/// The small corpus that comes with the program, for whoever gives no data.
enum BundledCorpus {
  private static let name = "zoo.zst"

  /// Looks in $LONGZOO_CORPORA, beside and above the program, and in the working folder.
  /// - Throws: exit code 66.
  static func path() throws(RunFailure) -> String {
    var folders: [String] = []
    if let given = ProcessInfo.processInfo.environment["LONGZOO_CORPORA"] { folders.append(given) }
    var folder = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
    while folder.path != "/" {
      folders.append(folder.appendingPathComponent("corpora").path)
      folders.append(folder.appendingPathComponent("share/longzoo/corpora").path)
      folder.deleteLastPathComponent()
    }
    folders.append("corpora")
    for folder in folders where FileManager.default.fileExists(atPath: folder + "/" + name) {
      return folder + "/" + name
    }
    throw .missingInput(
      "no data was given, and the bundled corpus (\(name)) is not beside the program; name a file, or set LONGZOO_CORPORA to its folder"
    )
  }
}

import Foundation

/// The files of a run folder, without taking it.
package struct RunPaths {
  package let folder: String

  package init(folder: String) { self.folder = folder }

  private func file(_ name: String) -> String { folder.hasSuffix("/") ? folder + name : folder + "/" + name }
  package var metrics: String { file("metrics.jsonl") }
  package var configuration: String { file("config.json") }
  package var summary: String { file(RunFolder.summaryName) }
  package var lock: String { file(".lock") }
}

/// Whether a run holds its folder, found out without touching the lock: the next run must not find it taken.
package enum RunLock {
  package static func isHeld(_ path: String) -> Bool {
    var status = stat()
    guard lstat(path, &status) == 0, let locks = try? String(contentsOfFile: "/proc/locks", encoding: .utf8)
    else { return false }
    // "1: FLOCK  ADVISORY  WRITE 1234 fe:01:56789 0 EOF". Some file systems show another device there than stat does.
    return locks.split(separator: "\n").contains { line in
      let words = line.split(separator: " ")
      return words.contains("FLOCK") && words.contains { $0.hasSuffix(":\(status.st_ino)") && $0.count > 5 }
    }
  }
}

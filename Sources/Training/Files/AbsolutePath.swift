import Foundation

/// Paths that mean the same from every folder.
package enum AbsolutePath {
  /// `path` from the root on; links stay what they are. Standard input, `-`, is no path.
  package static func of(_ path: String) -> String {
    guard !path.isEmpty, path != "-", !path.hasPrefix("/"), let folder = getcwd(nil, 0) else { return path }
    defer { free(folder) }
    // The system's name of the folder has no links in it, so that the folder above it is its name without the last part.
    var base = String(cString: folder)
    var parts = path.split(separator: "/", omittingEmptySubsequences: true)[...]
    while let first = parts.first, first == "." || first == ".." {
      if first == ".." { base = RunFolder.parent(of: base) }
      parts = parts.dropFirst()
    }
    if parts.isEmpty { return base }
    return (base.hasSuffix("/") ? base : base + "/") + parts.joined(separator: "/")
  }
}

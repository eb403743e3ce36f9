import Foundation
import LongzooMemory
import LongzooTraining

/// The files that a checkpoint names, found again when the run is resumed.
///
/// New checkpoints have absolute paths. Older ones may have relative ones, of a folder that nobody wrote down: it is looked for
/// from the current folder on, then from the run's folder upwards. Whether a file is the right one is found out when it is opened.
struct StoredFiles {
  /// The folder of the run, as it was given.
  let run: String

  /// - Parameters:
  ///   - role: what the file was to the run: `trained on`.
  ///   - option: how another one is given: `DATA`, `--val PATH`.
  /// - Throws: exit code 66, saying where the file was looked for.
  func find(_ path: String, role: String, option: String) throws(RunFailure) -> String {
    if path == "-" { return path }
    if let found = candidates(path).first(where: { access($0, F_OK) == 0 }) { return found }
    let places =
      path.hasPrefix("/")
      ? "which is not there any more"
      : "which is neither in the current folder nor in the run's or one above it"
    throw .missingInput(
      "the run in \(run) was \(role) \(path), \(places); say where it is: \(ShellText.command(["longzoo", "train", "--resume", run])) \(option)"
    )
  }

  private func candidates(_ path: String) -> [String] {
    guard !path.hasPrefix("/") else { return [path] }
    var folder = AbsolutePath.of(run)
    var places = [AbsolutePath.of(path), folder + "/" + path]
    while folder != "/" {
      folder = RunFolder.parent(of: folder)
      places.append(folder == "/" ? folder + path : folder + "/" + path)
    }
    return places
  }
}

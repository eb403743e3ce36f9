import Foundation
import LongzooMemory

/// Writes a run's checkpoint and model so that weights that have gone bad never replace good ones.
///
/// A new pair of files is on trial until the losses of some windows behind it are sound, and as long as the pair before it is
/// kept beside it. So two pairs are on the disk for a while, and a run that diverges finds the last good one.
package final class CheckpointKeeper {
  /// Windows behind a checkpoint that its weights have to stand.
  package static let trial = 20

  private let folder: RunFolder
  private let link: (String, String) -> Int32
  /// The checkpoint in the folder is one of this run.
  private var isOwn: Bool
  /// The step of the checkpoint that is on trial, if one is.
  private var onTrial: Int?
  private var previousIsOwn: Bool
  /// The model holds the best weights of the run, and is somebody else's to write.
  package var keepsModel = false
  /// The step of the checkpoint in the folder; nil where this run has none.
  package private(set) var savedStep: Int?

  /// - Parameters:
  ///   - resumed: the step of the folder's own checkpoint, if the run goes on from that.
  ///   - link: as the system's; some file systems know no second name.
  package init(
    _ folder: RunFolder, resumed: Int?,
    link: @escaping (String, String) -> Int32 = { Foundation.link($0, $1) }
  ) {
    self.folder = folder
    self.link = link
    isOwn = resumed != nil
    savedStep = resumed
    onTrial = resumed != nil && access(folder.previousCheckpointPath, F_OK) == 0 ? resumed : nil
    previousIsOwn = onTrial != nil
  }

  /// Runs `write`, which replaces both files.
  package func save(step: Int, _ write: () throws -> Void) throws {
    if onTrial == nil {
      try keep(folder.checkpointPath, as: folder.previousCheckpointPath)
      if !keepsModel { try keep(folder.modelPath, as: folder.previousModelPath) }
    }
    do {
      try write()
    } catch {
      folder.restorePrevious()
      throw error
    }
    // The first weights of all are what they are.
    onTrial = step == 0 ? nil : step
    if step == 0 { forgetPrevious() }
    isOwn = true
    savedStep = step
  }

  /// After every window: ends the trial once it has been stood.
  package func look(step: Int, isInDoubt: Bool) {
    guard let start = onTrial, !isInDoubt, step >= start + Self.trial else { return }
    onTrial = nil
    forgetPrevious()
  }

  /// At the end of a run: nothing more will be known.
  package func finish(isInDoubt: Bool) {
    guard onTrial != nil, !isInDoubt else { return }
    onTrial = nil
    forgetPrevious()
  }

  /// Puts the last good files in their places.
  /// - Returns: whether they are this run's.
  package func restore() throws(RunFailure) -> Bool {
    guard onTrial != nil else { return isOwn }
    onTrial = nil
    guard access(folder.previousCheckpointPath, F_OK) == 0 else {
      // The first ones that were written, and bad.
      unlink(folder.checkpointPath)
      if !keepsModel { unlink(folder.modelPath) }
      return false
    }
    try rename(folder.previousCheckpointPath, to: folder.checkpointPath)
    if !keepsModel, access(folder.previousModelPath, F_OK) == 0 {
      try rename(folder.previousModelPath, to: folder.modelPath)
    }
    return previousIsOwn
  }

  /// A second name for the file, so that there is no moment without it; where links are unknown, another name.
  private func keep(_ path: String, as previous: String) throws(RunFailure) {
    previousIsOwn = isOwn
    guard access(path, F_OK) == 0 else { return }
    unlink(previous)
    if link(path, previous) != 0 { try rename(path, to: previous) }
  }

  private func rename(_ path: String, to other: String) throws(RunFailure) {
    guard Foundation.rename(path, other) == 0 else { throw .system("replace", other, errno: errno) }
  }

  private func forgetPrevious() {
    unlink(folder.previousCheckpointPath)
    unlink(folder.previousModelPath)
  }
}

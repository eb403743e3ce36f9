import Foundation
import LongzooMemory

extension RunFolder {
  /// Removes every file that an earlier run has left here, so that none of them passes for one of the run that begins: checkpoints and models,
  /// with their earlier versions, metrics, the replay log, the configuration and the summary.
  ///
  /// Links are removed and not followed; files of other names stay. Whoever begins from a file of this folder must have opened it before.
  /// - Throws: exit code 74 if a file cannot be removed.
  package func removeEarlierRun() throws(RunFailure) {
    // The checkpoint goes last: as long as it is there, the earlier run can be resumed.
    for path in [
      summaryPath, replayPath, metricsPath, configPath, optionsPath, previousModelPath, modelPath,
      previousCheckpointPath,
      checkpointPath,
    ] {
      guard unlink(path) != 0, errno != ENOENT else { continue }
      throw .system("remove the earlier run's", path, errno: errno)
    }
  }
}

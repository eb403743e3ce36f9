import Foundation

extension RunFolder {
  /// Whether a run has left something in this folder that another one would destroy: weights, a line of metrics, or its result.
  ///
  /// A configuration alone is none: a run that was killed before its first update may be begun again.
  package static func holdsRun(_ path: String) -> Bool {
    let folder = path.hasSuffix("/") ? path : path + "/"
    var status = stat()
    let names = ["checkpoint", "checkpoint.previous", "model", "model.previous"].map { $0 + ".safetensors" }
    if (names + [summaryName]).contains(where: { lstat(folder + $0, &status) == 0 }) { return true }
    return lstat(folder + "metrics.jsonl", &status) == 0 && status.st_size > 0
  }
}

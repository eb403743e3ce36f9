import Foundation
import LongzooMemory

/// The folder that a run writes in, locked for as long as this object lives.
package final class RunFolder {
  package let path: String
  private let lock: Int32
  /// It was not there before.
  private let isMade: Bool

  package var checkpointPath: String { Self.file(Self.checkpointName, in: path) }
  package var modelPath: String { Self.file(Self.modelName, in: path) }
  /// What was there before, kept until the newer ones have proved to be sound.
  package var previousCheckpointPath: String { Self.file(Self.previousCheckpointName, in: path) }
  package var previousModelPath: String { Self.file(Self.previousModelName, in: path) }
  package var hasCheckpoint: Bool { access(checkpointPath, F_OK) == 0 }
  package var metricsPath: String { Self.file(Self.metricsName, in: path) }
  package var replayPath: String { Self.file(ReplayFormat.fileName, in: path) }
  /// For a program that writes the run's settings under names of its own.
  package var optionsPath: String { Self.file(Self.optionsName, in: path) }
  package var configPath: String { Self.file(Self.configName, in: path) }

  /// The JSON object of the run's end: what a report has of a run besides its curve.
  package var summaryPath: String { Self.file(Self.summaryName, in: path) }

  package static let summaryName = "summary.json"
  private static let checkpointName = "checkpoint.safetensors"
  private static let modelName = "model.safetensors"
  private static let previousCheckpointName = "checkpoint.previous.safetensors"
  private static let previousModelName = "model.previous.safetensors"
  private static let metricsName = "metrics.jsonl"
  private static let configName = "config.json"
  private static let optionsName = "config.yaml"
  private static let lockName = ".lock"
  /// All that a run writes.
  private static let names = [
    lockName, checkpointName, modelName, previousCheckpointName, previousModelName, metricsName, configName,
    optionsName,
    summaryName,
    ReplayFormat.fileName,
  ]

  /// Makes the folder if there is none, proves that files can be made in it, takes the lock, and clears away the
  /// temporaries of runs that were killed.
  /// - Throws: exit code 74, in one sentence, before any work is done.
  /// - Parameter isMade: it was made for this run just now.
  package init(path: String, isMade: Bool = false) throws(RunFailure) {
    self.path = path
    self.isMade = isMade || access(path, F_OK) != 0
    try Self.create(path)
    let lockPath = Self.file(Self.lockName, in: path)
    // Opening for writing is the test of writability: permission bits say nothing to root or on a read-only disk.
    // Nothing of a folder that came from elsewhere is written through a link.
    for name in Self.names { try RegularFile.require(Self.file(name, in: path)) }
    lock = open(lockPath, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0o666)
    guard lock >= 0 else { throw .system("write in the folder", path, errno: errno) }
    guard flock(lock, LOCK_EX | LOCK_NB) == 0 || Self.cannotLock(errno) else {
      // The deinitializer closes the file: it runs once all properties are set.
      let owner = Self.owner(lock)
      throw .inputOutput("\(path) is in use by another run\(owner); give this one its own \(.folder)")
    }
    ftruncate(lock, 0)
    let number = "\(getpid())\n"
    _ = pwrite(lock, number, number.utf8.count, 0)
    AtomicFile.removeStaleTemporaries(in: path)
    restorePrevious()
  }

  /// Gives the last good files their names back where a save has failed, or was killed, on a file system without hard links:
  /// there they lie under the other name while they are replaced.
  package func restorePrevious() {
    for (previous, path) in [
      (previousCheckpointPath, checkpointPath), (previousModelPath, modelPath),
    ] where access(path, F_OK) != 0 && RegularFile.exists(previous) {
      rename(previous, path)
    }
  }

  /// Removes a folder that was made for a run which has not begun.
  package func removeIfUnused() {
    guard isMade, let names = try? FileManager.default.contentsOfDirectory(atPath: path),
      names == [Self.lockName]
    else { return }
    unlink(Self.file(Self.lockName, in: path))
    rmdir(path)
  }

  deinit {
    close(lock)
  }

  /// The weights that `argument` names: a safetensors file, or a run folder with a model or a checkpoint in it.
  /// - Throws: exit code 66.
  package static func weights(_ argument: String) throws(RunFailure) -> String {
    try resolve(argument, among: [modelName, checkpointName, previousModelName, previousCheckpointName])
  }

  /// The checkpoint that `argument` names: a safetensors file, or a run folder with a checkpoint in it.
  /// - Throws: exit code 66.
  package static func checkpoint(_ argument: String) throws(RunFailure) -> String {
    try resolve(argument, among: [checkpointName, previousCheckpointName])
  }

  /// The weights that a run keeps where it keeps a checkpoint.
  package static func model(beside checkpoint: String) -> String {
    file(modelName, in: parent(of: checkpoint))
  }

  /// The version of a checkpoint or a model that was kept next to it, if there is one.
  package static func previous(of path: String) -> String? {
    for (name, previous) in [(checkpointName, previousCheckpointName), (modelName, previousModelName)]
    where path == name || path.hasSuffix("/" + name) {
      let other = file(previous, in: parent(of: path))
      return RegularFile.exists(other) ? other : nil
    }
    return nil
  }

  /// Whether two paths lead to one file that exists.
  package static func isSame(_ path: String, _ other: String) -> Bool {
    var (first, second) = (stat(), stat())
    return stat(path, &first) == 0 && stat(other, &second) == 0 && first.st_dev == second.st_dev
      && first.st_ino == second.st_ino
  }

  private static func resolve(_ argument: String, among names: [String]) throws(RunFailure) -> String {
    var status = stat()
    guard stat(argument, &status) == 0 else {
      throw .missingInput("cannot open \(argument): \(RunFailure.reason(errno))")
    }
    guard status.st_mode & S_IFMT == S_IFDIR else { return argument }
    for path in names.map({ file($0, in: argument) }) {
      try RegularFile.require(path)
      if access(path, F_OK) == 0 { return path }
    }
    let missing = names.filter { !$0.contains(".previous.") }
    throw .missingInput("the folder \(argument) has no \(missing.joined(separator: " and no "))")
  }

  /// Makes a folder that was not there before: `path`, or if that is taken `path-2`, `path-3` and so on.
  /// - Throws: exit code 74.
  package static func makeNew(_ path: String) throws(RunFailure) -> String {
    try create(parent(of: path))
    for number in 1... {
      let name = number == 1 ? path : "\(path)-\(number)"
      if mkdir(name, 0o777) == 0 { return name }
      guard errno == EEXIST else { throw .system("make the folder", name, errno: errno) }
    }
    return path
  }

  /// `mkdir -p`
  private static func create(_ path: String) throws(RunFailure) {
    guard !path.isEmpty else { throw .usage("\(.folder) is empty; name a folder") }
    var status = stat()
    if stat(path, &status) == 0 {
      guard status.st_mode & S_IFMT == S_IFDIR else {
        throw .inputOutput("\(path) is a file, not a folder; name another \(.folder)")
      }
      return
    }
    let parent = Self.parent(of: path)
    if parent != path { try create(parent) }
    // EEXIST: another process was faster.
    guard mkdir(path, 0o777) == 0 || errno == EEXIST else {
      throw .system("make the folder", path, errno: errno)
    }
  }

  /// The folder that `path` lies in: "." for a mere name, "/" for the root. Not Foundation's
  /// `deletingLastPathComponent`, which traps on names of one letter in Swift 6.3.
  package static func parent(of path: String) -> String {
    func isSlash(_ byte: UInt8) -> Bool { byte == UInt8(ascii: "/") }
    var rest = Array(path.utf8)[...]
    while rest.count > 1, isSlash(rest.last!) { rest.removeLast() }
    while let last = rest.last, !isSlash(last) { rest.removeLast() }
    while rest.count > 1, isSlash(rest.last!) { rest.removeLast() }
    return rest.isEmpty ? "." : String(decoding: rest, as: UTF8.self)
  }

  /// Some network file systems have no locks; better a run without one than none.
  private static func cannotLock(_ code: Int32) -> Bool {
    code == ENOLCK || code == ENOTSUP || code == ENOSYS
  }

  private static func owner(_ lock: Int32) -> String {
    withUnsafeTemporaryAllocation(byteCount: 16, alignment: 1) { bytes in
      let count = pread(lock, bytes.baseAddress, bytes.count, 0)
      let digits = bytes.prefix(max(count, 0)).prefix { $0 >= 0x30 && $0 <= 0x39 }
      return digits.isEmpty ? "" : " (process \(String(decoding: digits, as: UTF8.self)))"
    }
  }

  private static func file(_ name: String, in folder: String) -> String {
    folder.hasSuffix("/") ? folder + name : folder + "/" + name
  }
}

import Foundation
import LongzooTraining

/// This program as a child, its output in files of a folder that is thrown away.
struct ChildRun {
  enum Ending {
    /// As a shell reports it: 128 + n for a signal n.
    case exited(Int32)
    /// It was ended because its time was up.
    case outOfTime
  }

  let ending: Ending
  let output: Data
  let errors: String
  /// The most bytes resident, as last seen from here.
  let peakResident: Int?

  var isSuccess: Bool { if case .exited(0) = ending { true } else { false } }
  var object: [String: JSONValue]? { JSONValue.object(in: output) }

  /// What the child complained of, in one sentence.
  var complaint: String {
    let first = errors.split(separator: "\n").first.map(String.init) ?? ""
    for prefix in ["longzoo: ", "Error: "] where first.hasPrefix(prefix) {
      return String(first.dropFirst(prefix.count))
    }
    if case .exited(let code) = ending, first.isEmpty {
      return code > 128 ? "ended by signal \(code - 128)" : "exit code \(code)"
    }
    return first
  }

  /// Runs `longzoo` with these arguments, for at most `seconds`.
  /// - Throws: exit code 74 if it cannot be started; `RunStopped` where a signal to this program has ended the child.
  init(_ arguments: [String], in folder: String, seconds: Double = 60) throws {
    let (out, err) = (folder + "/out", folder + "/err")
    let process = try Self.spawn(["longzoo"] + arguments, out: out, err: err)
    let deadline = MonotonicClock().now + seconds
    var (status, peak): (Int32, Int?) = (0, nil)
    var isOutOfTime = false
    var turns = 0
    while waitpid(process, &status, WNOHANG) == 0 {
      if turns % 10 == 0 || MonotonicClock().now > deadline { peak = Self.residentPeak(of: process) ?? peak }
      turns += 1
      isOutOfTime = MonotonicClock().now > deadline
      if isOutOfTime || Signals.received != nil {
        // It has nothing that is worth to be saved.
        kill(process, SIGKILL)
        waitpid(process, &status, 0)
        break
      }
      usleep(10_000)
    }
    if Signals.received != nil { throw RunStopped() }
    let number = status & 0x7f
    ending = isOutOfTime ? .outOfTime : .exited(number == 0 ? (status >> 8) & 0xff : 128 + number)
    output = FileManager.default.contents(atPath: out) ?? Data()
    errors = FileManager.default.contents(atPath: err).map { String(decoding: $0, as: UTF8.self) } ?? ""
    peakResident = peak
  }

  private static func spawn(_ arguments: [String], out: String, err: String) throws(RunFailure) -> pid_t {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    let create = O_WRONLY | O_CREAT | O_TRUNC
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    posix_spawn_file_actions_addopen(&actions, 1, out, create, 0o600)
    posix_spawn_file_actions_addopen(&actions, 2, err, create, 0o600)
    let (argv, envp) = (arguments.map { strdup($0) } + [nil], environment().map { strdup($0) } + [nil])
    defer { for text in argv + envp { free(text) } }
    var process: pid_t = 0
    let code = posix_spawn(&process, "/proc/self/exe", &actions, nil, argv, envp)
    guard code == 0 else { throw .system("start", "longzoo train", errno: code) }
    return process
  }

  /// Options in the environment are not for the cells: what they do stands in their command lines.
  private static func environment() -> [String] {
    ProcessInfo.processInfo.environment
      .filter { !$0.key.hasPrefix("LONGZOO_") || ArgumentLayers.reserved.contains($0.key) }
      .map { "\($0.key)=\($0.value)" } + ["\(ParentWatch.variable)=\(getpid())"]
  }

  private static func residentPeak(of process: pid_t) -> Int? {
    guard let text = try? String(contentsOfFile: "/proc/\(process)/status", encoding: .utf8) else {
      return nil
    }
    let line = text.split(separator: "\n").first { $0.hasPrefix("VmHWM:") }
    return line?.split(separator: " ").compactMap { Int($0.trimmingCharacters(in: .whitespaces)) }.first.map {
      $0 * 1024
    }
  }
}

import Foundation
import Testing

/// The built program as a child process: in a folder of its own, with a pinned environment, its output captured, and killed
/// when it takes too long.
final class LongzooProcess {
  enum Input {
    case nothing
    case file(String)
    /// Written by a thread in pieces of these sizes, over and over; an error of the child closes the pipe.
    case bytes([UInt8], pieces: [Int] = [65536])
    /// `repetitions` times the same bytes.
    case endless([UInt8], repetitions: Int)
    /// A pipe that stays open; the bytes are all that ever comes.
    case stalled([UInt8])
  }

  struct Outcome {
    /// As a shell reports it: 128 + n for a signal n.
    let exitCode: Int32
    let output: String
    let errors: String

    /// Ended by a trap, an abort, a segmentation fault or the like.
    var isCrash: Bool { (132...139).contains(exitCode) && exitCode != 137 }
  }

  private let folder: TestFolder
  private let name = UUID().uuidString
  private let process: pid_t
  private var held: Int32 = -1

  /// - Parameters:
  ///   - environment: over the pinned one.
  ///   - shell: what a shell does first, such as `ulimit -f 8;`.
  init(
    _ arguments: [String], in folder: TestFolder, input: Input = .nothing,
    environment: [String: String] = [:],
    shell: String? = nil, output: String? = nil
  ) throws {
    self.folder = folder
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    var feed: (read: Int32, write: Int32)?
    switch input {
    case .nothing: posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    case .file(let path): posix_spawn_file_actions_addopen(&actions, 0, path, O_RDONLY, 0)
    case .bytes, .endless, .stalled:
      let ends = try Self.pipeOfOurs()
      posix_spawn_file_actions_adddup2(&actions, ends.read, 0)
      feed = ends
    }
    let create = O_WRONLY | O_CREAT | O_APPEND
    posix_spawn_file_actions_addopen(&actions, 1, output ?? folder(".out-" + name), create, 0o644)
    posix_spawn_file_actions_addopen(&actions, 2, folder(".err-" + name), create, 0o644)
    let command = [
      "/bin/sh", "-c", "cd \"$0\" && \(shell ?? "") exec \"$@\"", folder.path, try Self.binary.get(),
    ]
    process = try Self.spawn(command + arguments, Self.environment(environment), &actions)
    if let feed {
      close(feed.read)
      start(input, into: feed.write)
    }
  }

  deinit {
    if held >= 0 { close(held) }
  }

  func send(_ number: Int32) { kill(process, number) }

  /// Waits for the end; a child that is still there after `seconds` is killed, and the test fails.
  func wait(seconds: Double = 60, sourceLocation: SourceLocation = #_sourceLocation) -> Outcome {
    let deadline = Date().addingTimeInterval(seconds)
    var status: Int32 = 0
    while waitpid(process, &status, WNOHANG) == 0 {
      if Date() > deadline {
        Issue.record("still running after \(seconds) s", sourceLocation: sourceLocation)
        kill(process, SIGKILL)
        waitpid(process, &status, 0)
        break
      }
      usleep(2000)
    }
    let number = status & 0x7f
    return Outcome(
      exitCode: number == 0 ? (status >> 8) & 0xff : 128 + number, output: folder.text(".out-" + name),
      errors: folder.text(".err-" + name))
  }

  static func run(
    _ arguments: [String], in folder: TestFolder, input: Input = .nothing,
    environment: [String: String] = [:],
    shell: String? = nil, seconds: Double = 60, sourceLocation: SourceLocation = #_sourceLocation
  ) throws -> Outcome {
    try LongzooProcess(arguments, in: folder, input: input, environment: environment, shell: shell)
      .wait(seconds: seconds, sourceLocation: sourceLocation)
  }

  // MARK: The child

  struct NotBuilt: Error, CustomStringConvertible {
    let description: String
  }

  /// $LONGZOO_BINARY, or what lies beside the tests or in a release build.
  static let binary = Result<String, any Error> {
    if let given = ProcessInfo.processInfo.environment["LONGZOO_BINARY"] {
      guard access(given, X_OK) == 0 else {
        throw NotBuilt(description: "LONGZOO_BINARY is \(given), and cannot be run")
      }
      return given
    }
    let root = URL(filePath: #filePath).appending(path: "../../..").standardized.path
    let folders = [".build-testing", ".build"].map { "\(root)/\($0)/release" }
    guard let path = folders.map({ $0 + "/longzoo" }).first(where: { access($0, X_OK) == 0 }) else {
      throw NotBuilt(description: "no longzoo in \(folders): run `make build`, or set LONGZOO_BINARY")
    }
    return path
  }

  /// The same OpenBLAS kernels everywhere, and no options that are meant for somebody else.
  private static func environment(_ more: [String: String]) -> [String] {
    var all = ProcessInfo.processInfo.environment.filter {
      !$0.key.hasPrefix("LONGZOO_") && $0.key != "OPENBLAS_CORETYPE"
    }
    all["SWIFT_BACKTRACE"] = "enable=no"
    if hasAVX2 { all["OPENBLAS_CORETYPE"] = "Haswell" }
    all.merge(more) { $1 }
    return all.map { "\($0.key)=\($0.value)" }
  }

  private static let hasAVX2 =
    (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8))?.contains(" avx2 ") ?? false

  private static func spawn(
    _ arguments: [String], _ environment: [String], _ actions: inout posix_spawn_file_actions_t
  ) throws -> pid_t {
    let (argv, envp) = (arguments.map { strdup($0) } + [nil], environment.map { strdup($0) } + [nil])
    defer { for text in argv + envp { free(text) } }
    // Test runners may block or ignore signals that the program is to get.
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    var (none, all) = (sigset_t(), sigset_t())
    sigemptyset(&none)
    sigfillset(&all)
    posix_spawnattr_setsigmask(&attributes, &none)
    posix_spawnattr_setsigdefault(&attributes, &all)
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))
    var process: pid_t = 0
    let code = spawning.withLock { posix_spawn(&process, arguments[0], &actions, &attributes, argv, envp) }
    try #require(code == 0, "cannot start \(arguments[0]): \(String(cString: strerror(code)))")
    return process
  }

  /// No child is started between a pipe and its mark: it would hold the pipe of another one open.
  private static let spawning = NSLock()

  private static func pipeOfOurs() throws -> (read: Int32, write: Int32) {
    try spawning.withLock {
      var ends: [Int32] = [0, 0]
      let code = pipe(&ends)
      for end in ends where code == 0 { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
      try #require(code == 0)
      return (ends[0], ends[1])
    }
  }

  // MARK: Standard input

  private func start(_ input: Input, into pipe: Int32) {
    signal(SIGPIPE, SIG_IGN)
    switch input {
    case .nothing, .file: break
    case .stalled(let bytes):
      held = pipe
      Self.write(bytes[...], to: pipe)
    case .bytes(let bytes, let pieces):
      Thread.detachNewThread {
        var rest = bytes[...]
        var turn = 0
        while !rest.isEmpty, Self.write(rest.prefix(pieces[turn % pieces.count]), to: pipe) {
          rest = rest.dropFirst(pieces[turn % pieces.count])
          turn += 1
        }
        close(pipe)
      }
    case .endless(let bytes, let repetitions):
      Thread.detachNewThread {
        for _ in 0..<repetitions where !Self.write(bytes[...], to: pipe) { break }
        close(pipe)
      }
    }
  }

  @discardableResult
  private static func write(_ bytes: ArraySlice<UInt8>, to pipe: Int32) -> Bool {
    var rest = bytes
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { Glibc.write(pipe, $0.baseAddress, $0.count) }
      if count <= 0 { return false }
      rest = rest.dropFirst(count)
    }
    return true
  }
}

import Glibc
import LongzooMemory

/// An open file or pipe: bytes with a name. A pipe is whatever cannot be read twice.
final class InputFile {
  let name: String
  let isPipe: Bool
  /// nil for a pipe.
  let stamp: FileStamp?
  /// Stored bytes when the file was looked at first, which are all that is ever read of it; 0 for a pipe.
  private(set) var size: Int
  /// Asked ten times a second while a pipe is quiet that no reader thread waits for; true gives up.
  var isInterrupted: (() -> Bool)?
  private let descriptor: Int32
  private let ownsDescriptor: Bool
  private let stop: StopSignal?

  /// Opens a path.
  /// - Throws: `.noSuchFile` for no such file and for a folder, `.inputOutput` for what cannot be read.
  init(path: String, stop: StopSignal? = nil) throws(StreamError) {
    descriptor = try Self.open(path)
    ownsDescriptor = true
    name = path
    self.stop = stop
    stamp = try Self.stamp(of: descriptor, name: path)
    isPipe = stamp == nil
    size = stamp?.size ?? 0
  }

  /// Opens a file of the data again.
  /// - Throws: `.inputOutput` too if it is no longer what it was when it was looked at.
  convenience init(_ file: DataFile, stop: StopSignal? = nil) throws(StreamError) {
    try self.init(path: file.path, stop: stop)
    try requireUnchanged(since: file.stamp)
    size = file.stamp.size
  }

  /// Standard input, or what stands for it. It is read as a pipe even if it is a file: it may be half read already.
  init(standardInput descriptor: Int32, stop: StopSignal? = nil) {
    self.descriptor = descriptor
    ownsDescriptor = false
    name = "standard input"
    self.stop = stop
    isPipe = true
    stamp = nil
    size = 0
  }

  /// The one pipe that the data is.
  static func pipe(
    _ configuration: StreamConfiguration, stop: StopSignal? = nil
  ) throws(StreamError) -> InputFile {
    let path = configuration.paths[0]
    return try path == "-"
      ? InputFile(standardInput: configuration.inputDescriptor, stop: stop)
      : InputFile(path: path, stop: stop)
  }

  deinit {
    if ownsDescriptor { close(descriptor) }
  }

  /// Opens a path, without waiting for whoever will write into a named pipe: `read` does that.
  private static func open(_ path: String) throws(StreamError) -> Int32 {
    while true {
      let descriptor = Glibc.open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
      if descriptor >= 0 { return descriptor }
      let number = errno
      if number == EINTR { continue }
      if number == ENXIO, let copy = DataPath.duplicate(path) { return copy }
      if number == ENXIO, DataPath.isSocket(path) {
        throw StreamError(
          .inputOutput, "is a socket, which cannot be opened as a file",
          remedy: .connectSocket, file: path)
      }
      if number == ENOENT || number == ENOTDIR {
        throw StreamError(.noSuchFile, "there is no such file", advice: "check the path", file: path)
      }
      throw StreamError(.inputOutput, "cannot be opened: \(systemMessage(number))", file: path)
    }
  }

  private static func stamp(of descriptor: Int32, name: String) throws(StreamError) -> FileStamp? {
    var status = stat()
    guard fstat(descriptor, &status) == 0 else {
      throw StreamError(.inputOutput, "cannot be examined: \(systemMessage(errno))", file: name)
    }
    switch status.st_mode & S_IFMT {
    case S_IFDIR:
      throw StreamError(.noSuchFile, "is a folder", advice: "name the files in it", file: name)
    case S_IFREG: return FileStamp(status)
    default: return nil
    }
  }

  /// Asks the system again about the open file.
  /// - Throws: `.inputOutput` if it is another file than the one that was looked at, or its content may be another.
  func requireUnchanged(since stamp: FileStamp) throws(StreamError) {
    guard let now = try Self.stamp(of: descriptor, name: name), now.isSameFile(as: stamp) else {
      throw changed("was replaced by another file while it was in use")
    }
    if now.size < stamp.size { throw becameShorter(now.size) }
    if now.isWritten(since: stamp) { throw changed("was written to while it was in use") }
  }

  private func changed(_ text: Wording) -> StreamError {
    StreamError(.inputOutput, text, advice: "leave data alone as long as a run needs it", file: name)
  }

  private func becameShorter(_ offset: Int) -> StreamError {
    StreamError(
      .inputOutput, "became shorter while it was in use",
      advice: "leave data alone as long as a run needs it",
      file: name,
      compressedOffset: offset)
  }

  /// Reads some bytes: from `offset` of a file, or the next ones of a pipe. 0 at the end, which of a file is where
  /// it was when it was opened.
  /// - Throws: `.inputOutput`, also for a file that ends before that.
  func read(into bytes: UnsafeMutableRawBufferPointer, at offset: Int) throws(StreamError) -> Int {
    let wanted = isPipe ? bytes.count : max(0, min(bytes.count, size - offset))
    if wanted == 0 { return 0 }
    while true {
      let ready = !isPipe || awaitInput(timeout: isInterrupted == nil ? -1 : 100)
      if let stop, stop.isRaised { throw StreamError(.inputOutput, "reading was stopped", file: name) }
      if let isInterrupted, isInterrupted() { throw StreamError(.interrupted, "reading was interrupted") }
      if !ready { continue }
      let count =
        isPipe
        ? Glibc.read(descriptor, bytes.baseAddress, wanted)
        : pread(descriptor, bytes.baseAddress, wanted, offset)
      if count == 0, !isPipe { throw becameShorter(offset) }
      if count >= 0 { return count }
      let number = errno
      if number == EINTR || (isPipe && (number == EAGAIN || number == EWOULDBLOCK)) { continue }
      throw StreamError(
        .inputOutput, "cannot be read: \(systemMessage(number))", file: name, compressedOffset: offset)
    }
  }

  /// Reads exactly the bytes at `offset` of a file; false if it was shorter when it was opened.
  func readExactly(into bytes: UnsafeMutableRawBufferPointer, at offset: Int) throws(StreamError) -> Bool {
    var done = 0
    while done < bytes.count {
      let count = try read(into: UnsafeMutableRawBufferPointer(rebasing: bytes[done...]), at: offset + done)
      if count == 0 { return false }
      done += count
    }
    return true
  }

  /// Whether `read` would return at once.
  var isReady: Bool { !isPipe || awaitInput(timeout: 0) }

  /// Waits for input or for the stop signal; false if there is neither after `timeout` milliseconds.
  private func awaitInput(timeout: Int32) -> Bool {
    var waits = [
      pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0),
      pollfd(fd: stop?.descriptor ?? -1, events: Int16(POLLIN), revents: 0),
    ]
    // Without a descriptor to wait for, the caller's loop looks at the flag ten times a second.
    let patience = timeout < 0 && stop != nil && stop?.descriptor == -1 ? 100 : timeout
    return poll(&waits, 2, patience) > 0
  }
}

/// The system's words for an error number.
func systemMessage(_ number: Int32) -> String {
  strerror(number).map { String(cString: $0) } ?? "error \(number)"
}

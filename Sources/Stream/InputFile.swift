import Glibc

/// An open file or pipe: bytes with a name. A pipe is whatever cannot be read twice.
final class InputFile {
  let name: String
  let isPipe: Bool
  /// Stored bytes; 0 for a pipe.
  let size: Int
  private let descriptor: Int32
  private let ownsDescriptor: Bool
  private let stop: StopSignal?

  /// Opens a path.
  /// - Throws: `.missing` for no such file and for a folder, `.io` for what cannot be read.
  init(path: String, stop: StopSignal? = nil) throws(StreamError) {
    descriptor = try Self.open(path)
    ownsDescriptor = true
    name = path
    self.stop = stop
    (isPipe, size) = try Self.status(of: descriptor, name: path)
  }

  /// Standard input, or what stands for it. It is read as a pipe even if it is a file: it may be half read already.
  init(standardInput descriptor: Int32, stop: StopSignal? = nil) {
    self.descriptor = descriptor
    ownsDescriptor = false
    name = "standard input"
    self.stop = stop
    isPipe = true
    size = 0
  }

  deinit {
    if ownsDescriptor { close(descriptor) }
  }

  /// Whether the path is neither a regular file nor a folder; false if there is nothing.
  static func isPipe(_ path: String) -> Bool {
    var status = stat()
    guard stat(path, &status) == 0 else { return false }
    return status.st_mode & S_IFMT != S_IFREG && status.st_mode & S_IFMT != S_IFDIR
  }

  private static func open(_ path: String) throws(StreamError) -> Int32 {
    while true {
      let descriptor = Glibc.open(path, O_RDONLY | O_CLOEXEC)
      if descriptor >= 0 { return descriptor }
      let number = errno
      if number == EINTR { continue }
      if number == ENOENT || number == ENOTDIR {
        throw StreamError(.missing, "there is no such file", advice: "check the path", file: path)
      }
      throw StreamError(.io, "cannot be opened: \(systemMessage(number))", file: path)
    }
  }

  private static func status(of descriptor: Int32, name: String) throws(StreamError) -> (
    pipe: Bool, size: Int
  ) {
    var status = stat()
    guard fstat(descriptor, &status) == 0 else {
      throw StreamError(.io, "cannot be examined: \(systemMessage(errno))", file: name)
    }
    switch status.st_mode & S_IFMT {
    case S_IFDIR:
      throw StreamError(.missing, "is a folder", advice: "name the files in it", file: name)
    case S_IFREG: return (false, Int(status.st_size))
    default: return (true, 0)
    }
  }

  /// Reads some bytes: from `offset` of a file, or the next ones of a pipe. 0 at the end.
  func read(into bytes: UnsafeMutableRawBufferPointer, at offset: Int) throws(StreamError) -> Int {
    while true {
      let ready = !isPipe || awaitInput(timeout: -1)
      if let stop, stop.isRaised { throw StreamError(.io, "reading was stopped", file: name) }
      if !ready { continue }
      let count =
        isPipe
        ? Glibc.read(descriptor, bytes.baseAddress, bytes.count)
        : pread(descriptor, bytes.baseAddress, bytes.count, offset)
      if count >= 0 { return count }
      let number = errno
      if number == EINTR || (isPipe && (number == EAGAIN || number == EWOULDBLOCK)) { continue }
      throw StreamError(
        .io, "cannot be read: \(systemMessage(number))", file: name, compressedOffset: offset)
    }
  }

  /// Reads exactly the bytes at `offset` of a file; false if the file ends before.
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

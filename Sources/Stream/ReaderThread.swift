import Glibc

/// The thread that decompresses ahead of training, into a ring of fixed size.
final class ReaderThread {
  private let ring: TokenRing
  private let stop: StopSignal
  private let thread: pthread_t

  init(source: any TokenSource, ring: TokenRing, stop: StopSignal) throws(StreamError) {
    self.ring = ring
    self.stop = stop
    thread = try Self.start(Unmanaged.passRetained(ReaderWork(source: source, ring: ring)))
  }

  private static func start(_ work: Unmanaged<ReaderWork>) throws(StreamError) -> pthread_t {
    // Signals are for the main thread; a thread inherits the mask of its creator.
    var all = sigset_t()
    var before = sigset_t()
    sigfillset(&all)
    pthread_sigmask(SIG_SETMASK, &all, &before)
    var thread = pthread_t()
    let result = pthread_create(&thread, nil, readerMain, work.toOpaque())
    pthread_sigmask(SIG_SETMASK, &before, nil)
    if result != 0 {
      work.release()
      throw StreamError(.inputOutput, "no thread can be started to read the data: \(systemMessage(result))")
    }
    return thread
  }

  deinit {
    stop.raise()
    ring.stop()
    pthread_join(thread, nil)
  }
}

/// What the thread holds; the source is touched by it alone once it runs.
private final class ReaderWork: @unchecked Sendable {
  let source: any TokenSource
  let ring: TokenRing

  init(source: any TokenSource, ring: TokenRing) {
    self.source = source
    self.ring = ring
  }

  func run() {
    while let (stream, memory) = ring.nextFree() {
      ring.publish(source.fill(stream: stream, into: memory), stream: stream)
    }
  }
}

private func readerMain(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
  if let argument { Unmanaged<ReaderWork>.fromOpaque(argument).takeRetainedValue().run() }
  return nil
}

import Glibc
import Synchronization

/// Tells a thread to leave, also when it waits in `poll` for a pipe on which nothing comes.
final class StopSignal: Sendable {
  /// Readable once the signal is raised; -1 if the system gave none, and then `poll` wakes by itself now and then.
  let descriptor: Int32
  private let writeEnd: Int32
  private let raised = Atomic<Bool>(false)

  init() {
    var ends: [Int32] = [-1, -1]
    if pipe(&ends) == 0 {
      for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    } else {
      ends = [-1, -1]
    }
    descriptor = ends[0]
    writeEnd = ends[1]
  }

  deinit {
    if descriptor >= 0 {
      close(descriptor)
      close(writeEnd)
    }
  }

  var isRaised: Bool { raised.load(ordering: .acquiring) }

  func raise() {
    raised.store(true, ordering: .releasing)
    var one: UInt8 = 1
    if writeEnd >= 0 { _ = write(writeEnd, &one, 1) }
  }
}

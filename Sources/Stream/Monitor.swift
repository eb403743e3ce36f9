import Glibc

/// A lock with one condition for each side of a queue.
final class Monitor: @unchecked Sendable {
  enum Side: Int {
    case reader, consumer
  }

  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private let conditions = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 2)

  init() {
    pthread_mutex_init(mutex, nil)
    for side in 0..<2 { pthread_cond_init(conditions + side, nil) }
  }

  deinit {
    for side in 0..<2 { pthread_cond_destroy(conditions + side) }
    pthread_mutex_destroy(mutex)
    conditions.deallocate()
    mutex.deallocate()
  }

  func lock() { pthread_mutex_lock(mutex) }
  func unlock() { pthread_mutex_unlock(mutex) }
  /// Lets go of the lock until the side is signalled.
  func wait(_ side: Side) { pthread_cond_wait(conditions + side.rawValue, mutex) }
  /// The same, for a tenth of a second at most.
  func waitBriefly(_ side: Side) {
    var until = timespec()
    clock_gettime(CLOCK_REALTIME, &until)
    until.tv_nsec += 100_000_000
    if until.tv_nsec >= 1_000_000_000 {
      until.tv_nsec -= 1_000_000_000
      until.tv_sec += 1
    }
    pthread_cond_timedwait(conditions + side.rawValue, mutex, &until)
  }
  func signal(_ side: Side) { pthread_cond_signal(conditions + side.rawValue) }
}

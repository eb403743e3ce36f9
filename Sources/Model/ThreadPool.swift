import CLongzooKernels
import Glibc
import LongzooMemory
import Synchronization

/// A fixed set of threads that run numbered tasks together and meet when all are done.
///
/// The caller is thread 0. Tasks are handed out as threads become free; what a task computes must not depend on which
/// thread runs it. Waiting threads spin for some microseconds, then sleep.
public final class ThreadPool: Sendable {
  /// The caller's included.
  public let threads: Int
  private let crew: Crew

  /// Starts `threads` − 1 threads, and sets the matrix products up for as many.
  /// - Throws: one sentence, where the system refuses a thread or what the products need.
  public init(threads: Int) throws(SystemRefusal) {
    precondition(threads >= 1, "\(threads) threads")
    self.threads = threads
    try GEMM.prepare(threads: threads)
    crew = try Crew(workers: threads - 1)
  }

  deinit { crew.dismiss() }

  /// Runs `body(task, thread)` for every task in 0..<count and returns when all have ended.
  public func run(_ count: Int, _ body: (_ task: Int, _ thread: Int) -> Void) {
    crew.run(count, body)
  }
}

/// `withoutActuallyEscaping` would allocate at every call: see closure.h.
@_silgen_name("lz_closure_lend")
private func lend(_ body: (Int, Int) -> Void, _ out: UnsafeMutablePointer<lz_closure>)

/// What the threads share. They hold it, and not the pool: the pool could never end if its own threads held it.
private final class Crew: @unchecked Sendable {
  private let generation = Atomic<Int>(0)
  private let nextTask = Atomic<Int>(0)
  private let running = Atomic<Int>(0)
  private let stopping = Atomic<Bool>(false)
  private var taskCount = 0
  private var body = lz_closure()
  private var workers: [pthread_t] = []
  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private let wake = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

  private static let yields = 400

  init(workers count: Int) throws(SystemRefusal) {
    pthread_mutex_init(mutex, nil)
    pthread_cond_init(wake, nil)
    for index in 0..<count {
      let start = Unmanaged.passRetained(Worker(crew: self, thread: index + 1))
      var thread = pthread_t()
      let status = pthread_create(
        &thread, nil,
        { argument in
          let worker = Unmanaged<Worker>.fromOpaque(argument!).takeRetainedValue()
          worker.crew.work(as: worker.thread)
          return nil
        }, start.toOpaque())
      guard status == 0 else {
        start.release()
        dismiss()
        throw SystemRefusal(
          "the system refuses thread \(index + 2) of \(count + 1) (\(String(cString: strerror(status)))); take fewer \(.threads), or raise the limits of processes and of address space (ulimit -u, ulimit -v)"
        )
      }
      workers.append(thread)
    }
  }

  private final class Worker {
    let crew: Crew
    let thread: Int
    init(crew: Crew, thread: Int) {
      self.crew = crew
      self.thread = thread
    }
  }

  /// Ends the threads, and waits for them.
  func dismiss() {
    stopping.store(true, ordering: .releasing)
    announce()
    for worker in workers { pthread_join(worker, nil) }
  }

  deinit {
    pthread_cond_destroy(wake)
    pthread_mutex_destroy(mutex)
    wake.deallocate()
    mutex.deallocate()
  }

  /// Never inlined: the closure's context must stay on the caller's stack until all tasks have ended.
  @inline(never)
  func run(_ count: Int, _ body: (_ task: Int, _ thread: Int) -> Void) {
    if workers.isEmpty || count <= 1 {
      for task in 0..<count { body(task, 0) }
      return
    }
    withUnsafeMutablePointer(to: &self.body) { lend(body, $0) }
    taskCount = count
    nextTask.store(0, ordering: .relaxed)
    running.store(workers.count, ordering: .relaxed)
    announce()
    takeTasks(as: 0)
    while running.load(ordering: .acquiring) > 0 { sched_yield() }
    self.body = lz_closure()
  }

  private func announce() {
    pthread_mutex_lock(mutex)
    generation.add(1, ordering: .releasing)
    pthread_cond_broadcast(wake)
    pthread_mutex_unlock(mutex)
  }

  private func takeTasks(as thread: Int) {
    while true {
      let task = nextTask.add(1, ordering: .relaxed).oldValue
      if task >= taskCount { return }
      lz_closure_call(body, task, thread)
    }
  }

  private func work(as thread: Int) {
    var seen = 0
    while true {
      seen = waitForGeneration(after: seen)
      if stopping.load(ordering: .acquiring) { return }
      takeTasks(as: thread)
      running.subtract(1, ordering: .releasing)
    }
  }

  private func waitForGeneration(after seen: Int) -> Int {
    // Between two runs of a training step lie some microseconds, and waking a sleeper takes longer than those.
    for _ in 0..<Self.yields {
      for _ in 0..<64 {
        let now = generation.load(ordering: .acquiring)
        if now != seen { return now }
      }
      sched_yield()
    }
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    while true {
      let now = generation.load(ordering: .acquiring)
      if now != seen { return now }
      pthread_cond_wait(wake, mutex)
    }
  }
}

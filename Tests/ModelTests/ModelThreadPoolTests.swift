import Glibc
import LongzooMemory
import LongzooModel
import Synchronization
import Testing

@Suite("Thread pool")
struct ModelThreadPoolTests {
  /// How often each task ran, and on which threads.
  private final class Record: Sendable {
    let runs = Locked<[Int: Int]>([:])
    let threads = Locked<Set<Int>>([])

    func note(_ task: Int, _ thread: Int) {
      runs.withLock { $0[task, default: 0] += 1 }
      threads.withLock { _ = $0.insert(thread) }
    }
  }

  @Test("Every task runs exactly once", arguments: [1, 2, 3, 8])
  func once(threads: Int) throws {
    let pool = try ThreadPool(threads: threads)
    for round in 0..<300 {
      let count = round % 23
      let record = Record()
      pool.run(count) { record.note($0, $1) }
      // When run returns, all tasks have ended.
      #expect(record.runs.withLock { $0 } == Dictionary(uniqueKeysWithValues: (0..<count).map { ($0, 1) }))
      #expect(record.threads.withLock { $0.allSatisfy { (0..<threads).contains($0) } })
    }
  }

  @Test("Threads that have gone to sleep wake for the next run")
  func sleepers() throws {
    let pool = try ThreadPool(threads: 3)
    for _ in 0..<5 {
      usleep(20_000)
      let record = Record()
      pool.run(50) { record.note($0, $1) }
      #expect(record.runs.withLock { $0.count == 50 && $0.values.allSatisfy { $0 == 1 } })
    }
  }

  @Test("All threads work side by side")
  func together() throws {
    let threads = 4
    let pool = try ThreadPool(threads: threads)
    for _ in 0..<20 {
      let arrived = Atomic<Int>(0)
      let record = Record()
      pool.run(threads) { task, thread in
        record.note(task, thread)
        arrived.add(1, ordering: .sequentiallyConsistent)
        // Nobody leaves before all have come: this ends only if each thread takes one task.
        while arrived.load(ordering: .sequentiallyConsistent) < threads { sched_yield() }
      }
      #expect(record.threads.withLock { $0.count } == threads)
    }
  }

  @Test("What tasks write is seen by the caller, run after run")
  func visibility() throws {
    let pool = try ThreadPool(threads: 3)
    let values = UnsafeMutableBufferPointer<Int>.allocate(capacity: 64)
    values.initialize(repeating: 0)
    defer { values.deallocate() }
    for round in 1...2000 {
      pool.run(64) { task, _ in values[task] += 1 }
      if !values.allSatisfy({ $0 == round }) {
        Issue.record("round \(round): \(Array(values))")
        return
      }
    }
  }

  @Test("Pools live inside of each other's tasks, and one after the other")
  func nested() throws {
    let outer = try ThreadPool(threads: 2)
    let total = Atomic<Int>(0)
    for _ in 0..<20 {
      outer.run(6) { _, _ in
        guard let inner = try? ThreadPool(threads: 2) else { return }
        for _ in 0..<3 { inner.run(5) { _, _ in total.add(1, ordering: .relaxed) } }
      }
    }
    #expect(total.load(ordering: .relaxed) == 20 * 6 * 3 * 5)
  }

  @Test("Threads end with their pool, asleep or awake", arguments: [0, 30_000])
  func joins(microseconds: UInt32) throws {
    let ids = Locked<Set<String>>([])
    do {
      let pool = try ThreadPool(threads: 3)
      let arrived = Atomic<Int>(0)
      pool.run(3) { _, thread in
        if thread > 0 { ids.withLock { _ = $0.insert(threadPath()) } }
        arrived.add(1, ordering: .sequentiallyConsistent)
        while arrived.load(ordering: .sequentiallyConsistent) < 3 { sched_yield() }
      }
      usleep(microseconds)
    }
    let paths = ids.withLock { $0 }
    #expect(paths.count == 2)
    // The system may take a moment to forget a thread that has been joined.
    for _ in 0..<200 where paths.contains(where: { access($0, F_OK) == 0 }) { usleep(5000) }
    #expect(paths.allSatisfy { access($0, F_OK) != 0 })
  }

  private func threadPath() -> String {
    var target = Array(repeating: CChar(0), count: 64)
    let count = readlink("/proc/thread-self", &target, 63)
    return "/proc/" + String(decoding: target[..<max(0, count)].map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}

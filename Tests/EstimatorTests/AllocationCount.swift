import CLongzooAllocations
import Foundation
import LongzooModel
import Synchronization

/// Heap allocations of all threads of a pool.
enum AllocationCount {
  static var isPossible: Bool { allocations_can_be_counted() != 0 }

  /// What the threads of a pool allocate while `body` runs.
  static func of(_ pool: ThreadPool, _ body: () -> Void) -> (allocations: Int, bytes: Int) {
    let allocations = Atomic<Int>(0)
    let bytes = Atomic<Int>(0)
    everyThread(of: pool) { thread in if thread > 0 { allocations_begin() } }
    allocations_begin()
    body()
    var ownBytes: Int64 = 0
    let own = Int(allocations_end(&ownBytes))
    everyThread(of: pool) { thread in
      guard thread > 0 else { return }
      var more: Int64 = 0
      allocations.add(Int(allocations_end(&more)), ordering: .relaxed)
      bytes.add(Int(more), ordering: .relaxed)
    }
    return (own + allocations.load(ordering: .relaxed), Int(ownBytes) + bytes.load(ordering: .relaxed))
  }

  /// Runs `body` once on each thread of a pool: a task waits until every thread has one.
  static func everyThread(of pool: ThreadPool, _ body: (_ thread: Int) -> Void) {
    let arrived = Atomic<Int>(0)
    pool.run(pool.threads) { _, thread in
      arrived.add(1, ordering: .acquiringAndReleasing)
      while arrived.load(ordering: .acquiring) < pool.threads { sched_yield() }
      body(thread)
    }
  }
}

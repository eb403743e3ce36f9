import LongzooModel

/// The random numbers of one sequence of a task: a function of (seed, task, number of the sequence).
struct TaskRandom {
  private let philox: Philox
  private let sequence: UInt32
  private var index: UInt32 = 0
  private var words = SIMD4<UInt32>()
  private var used = 4

  /// - Parameter part: of a sequence that needs more than one independent source.
  init(seed: UInt64, task: TaskKind, sequence: Int, part: Int = 0) {
    philox = Philox(seed: seed, domain: .tasks, tensor: task.number << 4 | part, tile: sequence >> 32)
    self.sequence = UInt32(truncatingIfNeeded: sequence)
  }

  /// The 16 bytes of a place, whatever was drawn before.
  func bytes(_ place: UInt32) -> SIMD16<UInt8> {
    unsafeBitCast(philox.block(place, sequence), to: SIMD16<UInt8>.self)
  }

  /// A uniform number of 0 ..< bound.
  mutating func below(_ bound: Int) -> Int {
    if used == 4 {
      words = philox.block(index, sequence)
      index &+= 1
      used = 0
    }
    defer { used += 1 }
    // In full width: a bound may be more than 2³², and then every number of a few is drawn.
    let (high, low) = UInt64(words[used]).multipliedFullWidth(by: UInt64(bound))
    return Int(high << 32 | low >> 32)
  }

  mutating func within(_ range: ClosedRange<Int>) -> Int { range.lowerBound + below(range.count) }
}

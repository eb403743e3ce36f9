/// (f(θ + εz) − f(θ − εz)) / 2ε
public func centralDifference(
  _ f: ([Double]) -> Double, at theta: [Double], along z: [Double], epsilon: Double
) -> Double {
  let plus = zip(theta, z).map { $0 + epsilon * $1 }
  let minus = zip(theta, z).map { $0 - epsilon * $1 }
  return (f(plus) - f(minus)) / (2 * epsilon)
}

public func dot(_ a: [Double], _ b: [Double]) -> Double { zip(a, b).reduce(0) { $0 + $1.0 * $1.1 } }

public func cosine(_ a: [Double], _ b: [Double]) -> Double {
  dot(a, b) / (dot(a, a) * dot(b, b)).squareRoot()
}

/// The mean of independent vectors, and how sure of it one may be.
public struct EstimatorAverage: Sendable {
  public private(set) var count = 0
  private var sum: [Double] = []
  private var squares: [Double] = []

  public init() {}

  public mutating func add(_ vector: [Double]) {
    if count == 0 {
      sum = vector.map { _ in 0 }
      squares = sum
    }
    count += 1
    for (i, value) in vector.enumerated() {
      sum[i] += value
      squares[i] += value * value
    }
  }

  public var mean: [Double] { sum.map { $0 / Double(count) } }

  public var standardErrors: [Double] {
    let n = Double(count)
    return zip(sum, squares).map { max(0, ($1 - $0 * $0 / n) / (n - 1) / n).squareRoot() }
  }

  /// How many standard errors each component's mean is from what is expected. Components that never vary must be
  /// exactly right.
  public func scores(against expected: [Double]) -> [Double] {
    zip(zip(mean, expected), standardErrors).map { values, error in
      if error == 0 { return values.0 == values.1 ? 0 : .infinity }
      return (values.0 - values.1) / error
    }
  }
}

/// The value of a setting, and whether somebody has chosen it.
///
/// The defaults of many settings follow from others. `plan.hiddenSize = 64` chooses a value; `$hiddenSize.fill(32)` gives it
/// a default, which does nothing once there is a choice.
@propertyWrapper
public struct Choice<Value> {
  private var value: Value
  public private(set) var isGiven = false

  public init(wrappedValue: Value) { value = wrappedValue }

  public var wrappedValue: Value {
    get { value }
    set { (value, isGiven) = (newValue, true) }
  }

  public var projectedValue: Choice {
    get { self }
    set { self = newValue }
  }

  /// Takes a default where nobody has chosen.
  public mutating func fill(_ other: Value) { if !isGiven { value = other } }

  /// Takes a value that nobody has chosen: one that was found out, or that a file says.
  public mutating func settle(_ other: Value) { value = other }
}

extension Choice: Sendable where Value: Sendable {}

extension Choice: Equatable where Value: Equatable {
  /// Two runs with the same values are the same, whoever has chosen them.
  public static func == (a: Choice, b: Choice) -> Bool { a.value == b.value }
}

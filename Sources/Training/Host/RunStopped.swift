/// The host asked for an end before there was anything to save.
public struct RunStopped: Error, CustomStringConvertible {
  public init() {}

  public var description: String { "stopped before the first update; nothing has changed" }
}

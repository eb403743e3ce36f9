/// The host asked for an end before there was anything to save, or while something was measured.
public struct RunStopped: Error, CustomStringConvertible {
  public init() {}

  public var description: String { "stopped on request, with nothing to save; nothing has changed" }
}

import LongzooMemory

/// A piece of an estimator's memory that outlives a window: what a checkpoint keeps besides the weights.
///
/// It is that memory and no copy: to be read and written between windows only. It keeps the estimator alive.
public struct CarriedState {
  /// What the bytes are, in the machine's order.
  public enum Element: Sendable { case float32, uint16 }

  /// The piece's name in checkpoints.
  public let name: String
  /// What the bytes are.
  public let element: Element
  package let bytes: UnsafeMutableRawBufferPointer
  private let owner: AnyObject

  /// - Parameter owner: whose buffer it is, or who keeps that one alive.
  init(_ name: String, floats: borrowing Buffer<Float>, of owner: AnyObject) {
    self.name = name
    element = .float32
    bytes = UnsafeMutableRawBufferPointer(floats.elements)
    self.owner = owner
  }

  /// - Parameter owner: whose buffer it is, or who keeps that one alive.
  init(_ name: String, words: borrowing Buffer<UInt16>, of owner: AnyObject) {
    self.name = name
    element = .uint16
    bytes = UnsafeMutableRawBufferPointer(words.elements)
    self.owner = owner
  }

  /// Bytes of the piece; they do not change.
  public var byteCount: Int { bytes.count }

  /// Lends the bytes for reading.
  public func withBytes<Result, Failure: Error>(
    _ body: (RawSpan) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    try withExtendedLifetime(owner) { () throws(Failure) in try body(UnsafeRawBufferPointer(bytes).bytes) }
  }

  /// Replaces all bytes by those that another piece of this name was read from.
  /// - Precondition: there are `byteCount` of them.
  public func replace(with source: RawSpan) {
    precondition(source.byteCount == bytes.count, "\(source.byteCount) bytes for \(bytes.count) of \(name)")
    withExtendedLifetime(owner) {
      source.withUnsafeBytes { bytes.copyMemory(from: $0) }
    }
  }
}

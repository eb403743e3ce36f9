/// The format's limits and element types. A file is: u64 header length N, N bytes of JSON, the tensors' bytes.
package enum Safetensors {
  /// The longest header that readers accept, in bytes.
  package static let maximumHeaderBytes = 100_000_000

  /// Element types, by their names in the header.
  package enum DType: String, CaseIterable, Sendable {
    case f64 = "F64"
    case i64 = "I64"
    case u64 = "U64"
    case f32 = "F32"
    case i32 = "I32"
    case u32 = "U32"
    case f16 = "F16"
    case bf16 = "BF16"
    case i16 = "I16"
    case u16 = "U16"
    case i8 = "I8"
    case u8 = "U8"
    case bool = "BOOL"

    /// Bytes of one element.
    package var width: Int {
      switch self {
      case .f64, .i64, .u64: return 8
      case .f32, .i32, .u32: return 4
      case .f16, .bf16, .i16, .u16: return 2
      case .i8, .u8, .bool: return 1
      }
    }
  }

  /// What the header says of one tensor.
  package struct Entry: Equatable, Sendable {
    package let name: String
    package let dtype: DType
    package let shape: [Int]
    /// Where its bytes are, relative to the end of the header.
    package let range: Range<Int>

    package var byteCount: Int { range.count }
    package var elementCount: Int { range.count / dtype.width }
  }

  /// Bytes of a tensor, or nil when the product does not fit in an Int.
  package static func byteCount(_ dtype: DType, _ shape: [Int]) -> Int? {
    var product = dtype.width
    for extent in shape {
      let (next, overflow) = product.multipliedReportingOverflow(by: extent)
      if overflow || extent < 0 { return nil }
      product = next
    }
    return product
  }
}

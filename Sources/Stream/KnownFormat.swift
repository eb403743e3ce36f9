/// Formats of files that are no token streams as they are, known by their first bytes.
///
/// A marker of two or three bytes could also be tokens, so what follows it is looked at as well. `FormatChoice.raw`
/// reads the bytes all the same.
enum KnownFormat: Equatable {
  /// Other compressors, by the command that unpacks to standard output.
  case packed(name: String, tool: String)
  case numpy, numpyArchive, pytorch, pickle
  case parquet, arrowFile, arrowStream, hdf5, sqlite, avro, pdf
  /// Files of weights.
  case weights(name: String)
  case llmc(version: Int)
  case llmcOther(String)
  /// The dtype's code in a Megatron or RWKV index.
  case tokenIndex(dtype: Int)
  case zstdDictionary

  /// Bytes within which every marker ends.
  static let headBytes = 512

  /// - Parameters:
  ///   - head: the first bytes; more of them may tell more.
  ///   - isInside: they were unpacked by a codec, which then is no answer any more.
  static func recognize(_ head: UnsafeRawBufferPointer, isInside: Bool = false) -> KnownFormat? {
    let bytes = UnsafeRawBufferPointer(rebasing: head[..<min(head.count, headBytes)])
    for (marker, format) in markers where bytes.begins(with: marker) { return format }
    if isInside, let codec = Codec.packers.first(where: { $0.surelyBegins(bytes) }) {
      return .packed(name: codec.name, tool: codec.tool)
    }
    return archive(bytes) ?? trainer(bytes) ?? weights(bytes) ?? pickle(bytes) ?? arrowStream(bytes)
  }

  /// Formats that a fixed start gives away.
  private static let markers: [([UInt8], KnownFormat)] = [
    ([0x1F, 0x8B, 0x08], .packed(name: "gzip", tool: "zcat")),
    ([0x1F, 0x9D, 0x90], .packed(name: "compress", tool: "zcat")),
    ([0xFD] + ascii("7zXZ") + [0], .packed(name: "xz", tool: "xz -dc")),
    (ascii("LZIP") + [1], .packed(name: "lzip", tool: "lzip -dc")),
    ([0x89] + ascii("LZO") + [0, 0x0D, 0x0A, 0x1A, 0x0A], .packed(name: "lzop", tool: "lzop -dc")),
    ([0xFF, 6, 0, 0] + ascii("sNaPpY"), .packed(name: "snappy", tool: "snzip -dc")),
    (ascii("7z") + [0xBC, 0xAF, 0x27, 0x1C], .packed(name: "7z", tool: "7z x -so")),
    (ascii("Rar!") + [0x1A, 0x07], .packed(name: "rar", tool: "unrar p -inul")),
    ([0x37, 0xA4, 0x30, 0xEC], .zstdDictionary),
    ([0x93] + ascii("NUMPY"), .numpy),
    // A page header or the footer follows, and both begin with a field of 32 bits.
    (ascii("PAR1") + [0x15], .parquet),
    (ascii("ARROW1") + [0, 0], .arrowFile), (ascii("FEA1") + [0, 0, 0, 0], .arrowFile),
    ([0x89] + ascii("HDF") + [0x0D, 0x0A, 0x1A, 0x0A], .hdf5),
    (ascii("SQLite format 3") + [0], .sqlite), (ascii("Obj") + [1], .avro), (ascii("%PDF-1."), .pdf),
  ]

  private static func ascii(_ text: StaticString) -> [UInt8] {
    text.withUTF8Buffer { Array($0) }
  }

  // MARK: Those that more than a marker gives away

  private static func archive(_ bytes: UnsafeRawBufferPointer) -> KnownFormat? {
    if bytes.begins(with: ascii("BZh")), bytes.count >= 10, (0x31...0x39).contains(bytes[3]) {
      let start = UnsafeRawBufferPointer(rebasing: bytes[4...])
      // The first block, or the end of a file without any.
      if start.begins(with: [0x31, 0x41, 0x59, 0x26, 0x53, 0x59])
        || start.begins(with: [0x17, 0x72, 0x45, 0x38, 0x50, 0x90])
      {
        return .packed(name: "bzip2", tool: "bzip2 -dc")
      }
    }
    // Properties, a dictionary of a power of two, an unknown size.
    if bytes.begins(with: [0x5D, 0, 0]), bytes.count >= 13, bytes[5..<13].allSatisfy({ $0 == 0xFF }) {
      return .packed(name: "lzma", tool: "xz -dc --format=lzma")
    }
    return zip(bytes) ?? tar(bytes)
  }

  private static func zip(_ bytes: UnsafeRawBufferPointer) -> KnownFormat? {
    guard bytes.begins(with: ascii("PK") + [3, 4]), bytes.count >= 30 else {
      return bytes.begins(with: ascii("PK") + [5, 6, 0, 0]) ? .packed(name: "zip", tool: "unzip -p") : nil
    }
    let length = Int(bytes.littleEndian(2, at: 26))
    let name = bytes[30..<min(bytes.count, 30 + length)]
    if name.hasSuffix(ascii(".npy")) { return .numpyArchive }
    if name.hasSuffix(ascii("/data.pkl")) { return .pytorch }
    return .packed(name: "zip", tool: "unzip -p")
  }

  /// The marker stands late, and could be text: so the header's checksum is asked too.
  private static func tar(_ bytes: UnsafeRawBufferPointer) -> KnownFormat? {
    guard bytes.count >= 512, bytes[257..<262].elementsEqual(ascii("ustar")) else { return nil }
    let stored = bytes[148..<156].drop { $0 == 0x20 }.prefix { (0x30...0x37).contains($0) }
      .reduce(0) { $0 * 8 + Int($1 - 0x30) }
    let sum = bytes.indices.reduce(0) { $0 + ((148..<156).contains($1) ? 0x20 : Int(bytes[$1])) }
    return stored == sum ? .packed(name: "tar", tool: "tar -xOf") : nil
  }

  /// Token files of other programs.
  private static func trainer(_ bytes: UnsafeRawBufferPointer) -> KnownFormat? {
    if bytes.begins(with: ascii("MMIDIDX") + [0, 0]) || bytes.begins(with: ascii("TNTIDX") + [0, 0]) {
      return .tokenIndex(dtype: bytes.count > 17 ? Int(bytes[17]) : 0)
    }
    guard bytes.count >= 8 else { return nil }
    let version = Int(bytes.littleEndian(4, at: 4))
    guard (1...9).contains(version) else { return nil }
    switch bytes.littleEndian(4, at: 0) {
    case 20_240_520, 20_240_801: return .llmc(version: version)
    case 20_240_522: return .llmcOther("an evaluation set")
    case 20_240_326, 20_240_803: return .llmcOther("a model")
    default: return nil
    }
  }

  private static func weights(_ bytes: UnsafeRawBufferPointer) -> KnownFormat? {
    if bytes.begins(with: ascii("GGUF")), bytes.count >= 8, (1...9).contains(bytes.littleEndian(4, at: 4)) {
      return .weights(name: "GGUF")
    }
    guard bytes.count >= 10, (2...100_000_000).contains(bytes.littleEndian(8, at: 0)),
      bytes[8] == UInt8(ascii: "{"), [0x22, 0x20, 0x7D, 0x0A].contains(bytes[9])
    else { return nil }
    return .weights(name: "safetensors")
  }

  /// The protocol's number, and an opcode with what must follow it.
  private static func pickle(_ bytes: UnsafeRawBufferPointer) -> KnownFormat? {
    guard bytes.count >= 14, bytes[0] == 0x80 else { return nil }
    let rest = UnsafeRawBufferPointer(rebasing: bytes[2...])
    switch bytes[1] {
    case 4, 5:
      // A frame of less than a terabyte.
      return rest[0] == 0x95 && rest.littleEndian(8, at: 1) < 1 << 40 ? .pickle : nil
    case 2, 3:
      if rest.begins(with: [0x8A, 0x0A, 0x6C, 0xFC, 0x9C, 0x46, 0xF9]) { return .pytorch }
      if rest.begins(with: ascii("]q") + [0]) || rest.begins(with: ascii("}q") + [0]) { return .pickle }
      let module = rest.dropFirst().prefix { $0 != 0x0A }
      return rest[0] == UInt8(ascii: "c") && (1..<100).contains(module.count)
        && module.allSatisfy { (0x21...0x7E).contains($0) } ? .pickle : nil
    default: return nil
    }
  }

  /// A message: its mark, its length, and a flat buffer whose root comes soon.
  private static func arrowStream(_ bytes: UnsafeRawBufferPointer) -> KnownFormat? {
    guard bytes.count >= 12, bytes.littleEndian(4, at: 0) == 0xFFFF_FFFF else { return nil }
    let (length, root) = (bytes.littleEndian(4, at: 4), bytes.littleEndian(4, at: 8))
    return length % 8 == 0 && (8..<(1 << 24)).contains(length) && root % 4 == 0 && (8...64).contains(root)
      ? .arrowStream : nil
  }
}

extension UnsafeRawBufferPointer {
  fileprivate func begins(with bytes: [UInt8]) -> Bool {
    count >= bytes.count && self[..<bytes.count].elementsEqual(bytes)
  }
}

extension Slice<UnsafeRawBufferPointer> {
  fileprivate func hasSuffix(_ bytes: [UInt8]) -> Bool {
    suffix(bytes.count).elementsEqual(bytes)
  }
}

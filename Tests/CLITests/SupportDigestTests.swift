import Testing

@testable import LongzooTraining
@testable import longzoo

@Suite struct DigestTests {
  /// The examples of FIPS 180-4 and the empty message.
  @Test(arguments: [
    ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
    ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    (
      "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
      "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
    ),
  ])
  func knownDigests(text: String, hex: String) {
    #expect(Array(text.utf8).withUnsafeBytes { Digest.hex(of: $0) } == hex)
  }

  @Test func aMillionLettersA() {
    let bytes = [UInt8](repeating: UInt8(ascii: "a"), count: 1_000_000)
    #expect(
      bytes.withUnsafeBytes { Digest.hex(of: $0) }
        == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0")
  }

  @Test func piecesDoNotMatter() {
    let bytes = (0..<1000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
    for length in [0, 1, 55, 56, 63, 64, 65, 119, 120, 128, 1000] {
      let whole = bytes[..<length].withUnsafeBytes { Digest.hex(of: $0) }
      for piece in [1, 3, 63, 64, 65, 200] {
        var digest = Digest()
        for start in stride(from: 0, to: length, by: piece) {
          bytes[start..<min(start + piece, length)].withUnsafeBytes { digest.update($0) }
          _ = digest.hex
        }
        #expect(digest.hex == whole, "\(length) bytes in pieces of \(piece)")
      }
    }
  }
}

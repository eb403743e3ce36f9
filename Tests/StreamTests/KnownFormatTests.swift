import Foundation
import LongzooMemory
import Testing

@testable import LongzooStream

/// Files of a known format are refused by name; nothing else is.
@Suite struct KnownFormatTests {
  private static func ascii(_ text: String) -> [UInt8] { Array(text.utf8) }
  private static let filler = makeTokens(600, seed: 5).bytes(.u8)

  private static func zip(_ name: String) -> [UInt8] {
    ascii("PK") + [3, 4] + [UInt8](repeating: 0, count: 22) + little(name.utf8.count, 2) + [0, 0]
      + ascii(name)
  }

  private static let tar: [UInt8] = {
    var header = [UInt8](repeating: 0, count: 512)
    header.replaceSubrange(0..<5, with: ascii("a.txt"))
    header.replaceSubrange(257..<265, with: ascii("ustar") + [0] + ascii("00"))
    header.replaceSubrange(148..<156, with: ascii("        "))
    let sum = header.reduce(0) { $0 + Int($1) }
    header.replaceSubrange(148..<156, with: ascii(String(format: "%06o", sum)) + [0, 0x20])
    return header
  }()

  static let heads: [(name: String, bytes: [UInt8], advice: String)] = [
    ("gzip", [0x1F, 0x8B, 8, 0], "zcat"), ("compress", [0x1F, 0x9D, 0x90], "zcat"),
    ("xz", [0xFD] + ascii("7zXZ") + [0], "xz -dc"), ("lzip", ascii("LZIP") + [1], "lzip -dc"),
    ("lzma", [0x5D, 0, 0, 0x80, 0] + [UInt8](repeating: 0xFF, count: 8), "--format=lzma"),
    ("bzip2", ascii("BZh91AY&SY"), "bzip2 -dc"), ("7z", ascii("7z") + [0xBC, 0xAF, 0x27, 0x1C], "7z x"),
    ("rar", ascii("Rar!") + [0x1A, 7, 0], "unrar"), ("tar archive", tar, "tar -xOf"),
    ("zip", zip("a.txt"), "unzip -p"), ("zip", zip("a.txt.gz"), "unzip -p"),
    ("numpy archive", zip("arr_0.npy"), "np.load"), ("PyTorch", zip("model/data.pkl"), "torch.load"),
    (
      "PyTorch", [0x80, 2, 0x8A, 0x0A, 0x6C, 0xFC, 0x9C, 0x46, 0xF9, 0x20, 0x6A, 0xA8, 0x50, 0x19],
      "torch.load"
    ),
    ("numpy file", [0x93] + ascii("NUMPY") + [1, 0], ".astype('<u2').tofile"),
    ("pickle", [0x80, 4, 0x95] + little(100, 8) + [0x5D, 0x94, 0x28], "pickle.load"),
    ("pickle", [0x80, 3] + ascii("cnumpy.core.multiarray\n_reconstruct\n"), "pickle.load"),
    ("pickle", [0x80, 3] + ascii("]q") + [0] + ascii("(K*K+K,"), "pickle.load"),
    ("parquet", ascii("PAR1") + [0x15, 4], "read_parquet"),
    ("arrow or feather", ascii("ARROW1") + [0, 0], "read_feather"),
    ("arrow stream", little(0xFFFF_FFFF, 4) + little(0x78, 4) + little(16, 4) + [0, 0, 10, 0], "from_file"),
    ("HDF5", [0x89] + ascii("HDF") + [13, 10, 26, 10], "h5py"),
    ("SQLite", ascii("SQLite format 3") + [0], "sqlite3"),
    ("safetensors", little(200, 8) + ascii("{\"__metadata__\":"), "weights are read"),
    ("GGUF", ascii("GGUF") + little(3, 4), "weights are read"),
    ("llm.c", little(20_240_520, 4) + little(1, 4), "u16"),
    ("llm.c", little(20_240_801, 4) + little(7, 4), "u32"),
    ("evaluation set of llm.c", little(20_240_522, 4) + little(1, 4), "token file"),
    ("Megatron", ascii("MMIDIDX") + [0, 0] + little(1, 8) + [8], "u16"),
    ("Megatron", ascii("MMIDIDX") + [0, 0] + little(1, 8) + [4], "u32"),
    ("zstd dictionary", [0x37, 0xA4, 0x30, 0xEC], "without a dictionary"),
    ("PDF", ascii("%PDF-1.7\n"), "pdftotext"), ("avro", ascii("Obj") + [1, 2], "text"),
  ]

  private func expectRefusal(_ error: StreamError?, _ head: (name: String, bytes: [UInt8], advice: String)) {
    let text = error?.description ?? "accepted"
    #expect(error?.kind == .badData, "\(head.name): \(text)")
    for part in [head.name, head.advice, "format raw"] {
      #expect(text.contains(part), "\(text) does not say \(part)")
    }
    #expect(!text.contains("\n"))
  }

  @Test(arguments: heads.indices) func filesAreRefusedByName(_ index: Int) {
    let head = Self.heads[index]
    let folder = Folder()
    let bytes = head.bytes + Self.filler
    for (name, stored) in [
      ("plain", bytes), ("a.zst", zstdFrame(bytes)), ("a.lz4", lz4Frame(bytes)),
      ("unsized.zst", zstdFrame(bytes, ZstdOptions(contentSize: false))),
    ] {
      let path = folder.write(stored, name)
      for streams in [1, 3] {
        var configuration = StreamConfiguration([path], streams: streams)
        let error = failure(configuration, pairs: 10)
        expectRefusal(error, head)
        #expect(error?.file == path)
        #expect(error?.description.contains("inside of") == (name != "plain"))
        configuration.format = .raw
        #expect(failure(configuration, pairs: 10) == nil, "\(head.name), \(name): --format raw insists")
      }
      // The second file of several, held-out data, and data whose start is left out.
      let text = folder.write(Self.ascii("plain text\n"), "text")
      expectRefusal(failure(StreamConfiguration([text, path], streams: 2), pairs: 2), head)
      var skipping = StreamConfiguration([path])
      skipping.skipTokens = 300
      expectRefusal(failure(skipping, pairs: 10), head)
      #expect(throws: StreamError.self) {
        try HeldOutReader(StreamConfiguration([path]), ledger: MemoryLedger())
      }
    }
  }

  @Test(arguments: heads.indices) func pipesAreRefusedByName(_ index: Int) {
    let head = Self.heads[index]
    let bytes = head.bytes + Self.filler
    for (stored, pieces) in [
      (bytes, [4096]), (bytes, [1]), (zstdFrame(bytes), [7]), (lz4Frame(bytes), [4096]),
    ] {
      let writer = PipeWriter(stored, pieces: pieces)
      defer { close(writer.readEnd) }
      var configuration = StreamConfiguration(["-"])
      configuration.inputDescriptor = writer.readEnd
      let error = failure(configuration)
      #expect(error?.kind == .badData, "\(head.name)")
      #expect(error?.file == "standard input")
      // Of an archive that comes byte by byte the kind is known later than that it is one.
      if pieces != [1] {
        #expect(error?.description.contains(head.name) == true, "\(String(describing: error))")
      }
    }
  }

  /// What merely begins alike.
  @Test func othersAreRead() {
    let folder = Folder()
    let texts = [
      "PK is how the letters go", "BZh91 is no block", "PAR1 and PAR2", "Rar! said he", "GGUF is a format",
      "7zip",
      "{\"text\": \"a line\"}\n", "%PDF", "Obj", "LZIP", "MMIDIDX", "\u{80}", "ARROW1 flew",
      String(repeating: "x", count: 257) + "ustar" + String(repeating: " 0", count: 200),
    ].map { Array($0.utf8) }
    let numbers: [[UInt8]] = [
      [0x1F, 0x8B, 7, 1, 2], [0x80, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15], [0x80, 4] + Self.filler,
      little(0xFFFF_FFFF, 4) + Self.filler, little(20_240_520, 4) + little(77, 4),
      little(200, 8) + Self.filler,
      [UInt8](repeating: 0, count: 700), [UInt8](repeating: 0xFF, count: 700),
    ]
    for (index, bytes) in (texts + numbers).enumerated() {
      #expect(bytes.withUnsafeBytes { KnownFormat.recognize($0) } == nil, "\(bytes.prefix(8))")
      let path = folder.write(bytes + Self.filler, "\(index)")
      #expect(failure(StreamConfiguration([path], streams: 2), pairs: 2) == nil)
    }
    var generator = SystemRandomNumberGenerator()
    for _ in 0..<20_000 {
      let bytes = (0..<64).map { _ in UInt8.random(in: 0...255, using: &generator) }
      #expect(bytes.withUnsafeBytes { KnownFormat.recognize($0) } == nil, "\(bytes)")
    }
  }

  @Test func packedTwiceIsRefused() {
    let folder = Folder()
    let inner = zstdFrame(Self.filler)
    let error = failure(StreamConfiguration([folder.write(lz4Frame(inner), "a.lz4")]))
    #expect(error?.description.contains("packed by zstd inside of lz4") == true)
    #expect(failure(StreamConfiguration([folder.write(zstdFrame(inner), "a.zst")]))?.kind == .badData)
  }
}

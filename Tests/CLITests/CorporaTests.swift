import Foundation
import Testing

@testable import LongzooTraining
@testable import longzoo

/// What `corpora/manifest.json` says of one file.
struct CorpusFile: Decodable {
  let path: String
  let sha256: String
  let bytes: Int
  let dtype: String
  /// nil for a corrupt file.
  let tokens: Int?
  let decodedSha256: String?
  let exitCode: Int32
  /// nil: that of the dtype.
  let vocabSize: Int?

  static let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../corpora")
    .standardized

  static func all() throws -> [CorpusFile] {
    struct Manifest: Decodable {
      let files: [CorpusFile]
    }
    let data = try Data(contentsOf: folder.appending(path: "manifest.json"))
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    return try decoder.decode(Manifest.self, from: data).files
  }
}

@Suite struct CorporaTests {
  private func digest(_ data: Data) -> String { data.withUnsafeBytes { Digest.hex(of: $0) } }

  @Test func filesAreWhatTheManifestSays() throws {
    for file in try CorpusFile.all() {
      let data = try Data(contentsOf: CorpusFile.folder.appending(path: file.path))
      #expect(data.count == file.bytes, "\(file.path)")
      #expect(digest(data) == file.sha256, "\(file.path)")
      #expect((file.exitCode == 0) == (file.tokens != nil && file.decodedSha256 != nil), "\(file.path)")
      if file.path.hasPrefix("golden/") { #expect(file.bytes < 4096, "\(file.path)") }
    }
  }

  @Test func noFileIsMissingInTheManifest() throws {
    let golden = try FileManager.default.contentsOfDirectory(
      atPath: CorpusFile.folder.appending(path: "golden").path)
    let listed = try CorpusFile.all().map(\.path)
    #expect(Set(listed) == Set(golden.map { "golden/\($0)" } + ["zoo.zst", "zoo.lz4"]))
    #expect(Set(listed).count == listed.count)
  }

  @Test(.enabled(if: ProcessInfo.processInfo.environment["LONGZOO_LONG_TESTS"] == "1"))
  func theGeneratorMakesTheSameBytes() throws {
    let folder = TestFolder()
    let source = CorpusFile.folder.appending(path: "generate.swift").path
    for command in ["swiftc -O '\(source)' -o generate", "./generate > zoo 2> figures"] {
      let shell = Process()
      shell.executableURL = URL(filePath: "/bin/sh")
      shell.arguments = ["-c", command]
      shell.currentDirectoryURL = URL(filePath: folder.path)
      try shell.run()
      shell.waitUntilExit()
      #expect(shell.terminationStatus == 0, "\(command)")
    }
    let zoo = Data(folder.bytes("zoo"))
    for file in try CorpusFile.all() where file.path.hasPrefix("zoo.") {
      #expect(zoo.count == file.tokens)
      #expect(digest(zoo) == file.decodedSha256)
    }
  }
}

import Foundation
import Testing

@testable import LongzooTraining
@testable import longzoo

/// A folder of its own for one test, removed at its end.
final class TestFolder {
  let path: String

  init() {
    path = NSTemporaryDirectory() + "longzoo-\(UUID().uuidString)"
    mkdir(path, 0o755)
  }

  deinit {
    try? FileManager.default.removeItem(atPath: path)
  }

  func callAsFunction(_ name: String) -> String { path + "/" + name }

  @discardableResult
  func put(_ name: String, _ bytes: [UInt8]) -> String {
    #expect(FileManager.default.createFile(atPath: self(name), contents: Data(bytes)))
    return self(name)
  }

  func bytes(_ name: String) -> [UInt8] {
    FileManager.default.contents(atPath: self(name)).map(Array.init) ?? []
  }

  func text(_ name: String) -> String { String(decoding: bytes(name), as: UTF8.self) }

  var names: [String] {
    ((try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []).sorted()
  }
}

/// What `body` fails with, or nil.
func failure(_ body: () throws -> Void) -> RunFailure? {
  do {
    try body()
    return nil
  } catch {
    return error as? RunFailure
  }
}

import Foundation
import Testing

@testable import LongzooTraining
@testable import longzoo

/// The good checkpoint has its name at every moment, or is found under the other.
@Suite struct CheckpointKeeperTests {
  private struct DiskIsFull: Error {}

  private let folder = TestFolder()
  private let names = ["checkpoint.safetensors", "model.safetensors"]

  private func put(_ text: String) { for name in names { folder.put("run/" + name, Array(text.utf8)) } }
  private var contents: [String] { names.map { folder.text("run/" + $0) } }

  @Test(arguments: [false, true])
  func aSaveThatFailsLeavesTheGoodFilesTheirNames(hasLinks: Bool) throws {
    let run = try RunFolder(path: folder("run"))
    put("good")
    let keeper = CheckpointKeeper(run, resumed: 7) { hasLinks ? link($0, $1) : -1 }
    #expect(throws: DiskIsFull.self) { try keeper.save(step: 8) { throw DiskIsFull() } }
    #expect(contents == ["good", "good"])
    // One of the two was written.
    #expect(throws: DiskIsFull.self) {
      try keeper.save(step: 9) {
        try AtomicFile.write(to: run.checkpointPath) { try $0.write("new") }
        throw DiskIsFull()
      }
    }
    #expect(contents == ["new", "good"])
    // And a later save finds everything in order.
    try keeper.save(step: 10) { put("newer") }
    #expect(contents == ["newer", "newer"])
    #expect(try keeper.restore())
    #expect(contents == ["new", "good"])
  }

  @Test func aFolderGivesTheKeptFilesTheirNamesBack() throws {
    var run: RunFolder? = try RunFolder(path: folder("run"))
    put("good")
    rename(run!.checkpointPath, run!.previousCheckpointPath)
    rename(run!.modelPath, run!.previousModelPath)
    #expect(try RunFolder.checkpoint(folder("run")) == run!.previousCheckpointPath)
    #expect(try RunFolder.weights(folder("run")) == run!.previousModelPath)
    run = nil
    run = try RunFolder(path: folder("run"))
    #expect(contents == ["good", "good"])
    // What is on trial stays, and so does what is kept beside it.
    folder.put("run/checkpoint.previous.safetensors", Array("older".utf8))
    run = nil
    _ = try RunFolder(path: folder("run"))
    #expect(contents == ["good", "good"])
    #expect(folder.text("run/checkpoint.previous.safetensors") == "older")
  }

  /// A run that was killed between the two names goes on to the same end.
  @Test func aResumeFindsTheKeptCheckpoint() throws {
    let runs = Runs()
    let data = runs.folder.put("data", Sample.tokens(5000))
    let whole = try runs.train("--max-steps", "12", data)
    try runs.train("--max-steps", "5", data, out: "run")
    rename(runs.folder("run/checkpoint.safetensors"), runs.folder("run/checkpoint.previous.safetensors"))
    expectSame(try runs.resume("run", "--max-steps", "12"), whole)
    #expect(!runs.folder.names.contains("run/checkpoint.previous.safetensors"))
  }
}

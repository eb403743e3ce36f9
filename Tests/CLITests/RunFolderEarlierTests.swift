import Foundation
import Testing

@testable import LongzooTraining
@testable import longzoo

/// What a run that overwrites another one takes away.
@Suite struct RunFolderEarlierTests {
  @Test func everyFileOfTheEarlierRunGoes() throws {
    let folder = TestFolder()
    let names = [
      "checkpoint.safetensors", "checkpoint.previous.safetensors", "model.safetensors",
      "model.previous.safetensors", "metrics.jsonl", "replay.log", "config.json", "summary.json",
    ]
    for name in names { folder.put(name, [1]) }
    folder.put("notes.txt", [1])
    let run = try RunFolder(path: folder.path)
    try run.removeEarlierRun()
    #expect(folder.names == [".lock", "notes.txt"])
    try run.removeEarlierRun()
  }

  @Test func linksAreRefusedAndNotFollowed() throws {
    let (folder, elsewhere) = (TestFolder(), TestFolder())
    symlink(elsewhere.put("model", [1]), folder("model.safetensors"))
    let error = failure { try RunFolder(path: folder.path).removeEarlierRun() }
    #expect(error?.exitCode == 74 && error?.message.contains(folder("model.safetensors")) == true)
    #expect(elsewhere.names == ["model"])
  }

  @Test func whatCannotBeRemovedIsNamed() throws {
    let folder = TestFolder()
    mkdir(folder("replay.log"), 0o755)
    let error = failure { try RunFolder(path: folder.path).removeEarlierRun() }
    #expect(error?.exitCode == 74 && error?.message.contains(folder("replay.log")) == true)
  }
}

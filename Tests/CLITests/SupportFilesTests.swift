import Foundation
import Testing

@testable import LongzooTraining
@testable import longzoo

@Suite struct AtomicFileTests {
  @Test func failureLeavesTheOldFileAndNoTemporary() throws {
    let folder = TestFolder()
    let path = folder.put("a", Array("old".utf8))
    let error = failure {
      try AtomicFile.write(to: path) { file in
        try file.write("half")
        #expect(folder.names.count == 2)
        throw RunFailure.system("write", path, errno: ENOSPC)
      }
    }
    #expect(error == RunFailure.inputOutput("cannot write \(path): the disk is full"))
    #expect(folder.text("a") == "old")
    #expect(folder.names == ["a"])
    try AtomicFile.write(to: path) { try $0.write("new") }
    #expect(folder.text("a") == "new")
    #expect(folder.names == ["a"])
  }

  @Test func linksAreFollowedAndDevicesKept() throws {
    let folder = TestFolder()
    folder.put("target", [])
    symlink("target", folder("link"))
    try AtomicFile.write(to: folder("link")) { try $0.write("x") }
    #expect(folder.text("target") == "x")
    try AtomicFile.write(to: "/dev/null") { try $0.write("x") }
    var status = stat()
    #expect(stat("/dev/null", &status) == 0 && status.st_mode & S_IFMT == S_IFCHR)
    #expect(failure { try AtomicFile.write(to: "/dev/full") { try $0.write("x") } }?.exitCode == 74)
    #expect(failure { try AtomicFile.write(to: folder.path) { _ in } }?.exitCode == 74)
    #expect(failure { try AtomicFile.write(to: folder("no/a")) { _ in } }?.exitCode == 74)
  }

  @Test func temporariesOfTheDeadAreRemoved() {
    let folder = TestFolder()
    let alive = ".a.tmp-\(getppid())"
    for name in [".a.tmp-\(getpid())", ".a.tmp-999999999", alive, ".a.tmp-x", "a.tmp-999999999", ".b"] {
      folder.put(name, [])
    }
    AtomicFile.removeStaleTemporaries(in: folder.path)
    #expect(folder.names == [alive, ".a.tmp-x", ".b", "a.tmp-999999999"].sorted())
  }
}

@Suite struct RunFolderTests {
  @Test func oneRunAtATime() throws {
    let folder = TestFolder()
    var first: RunFolder? = try RunFolder(path: folder("deep/run"))
    #expect(first?.checkpointPath == folder("deep/run/checkpoint.safetensors"))
    let error = failure { _ = try RunFolder(path: folder("deep/run/")) }
    #expect(error?.exitCode == 74)
    #expect(error?.message.contains("process \(getpid())") == true, "\(String(describing: error))")
    first = nil
    _ = try RunFolder(path: folder("deep/run"))
  }

  @Test func impossibleFoldersAreRefused() {
    let folder = TestFolder()
    let file = folder.put("file", [])
    for path in [file, file + "/below", "", "/proc/longzoo"] {
      #expect(failure { _ = try RunFolder(path: path) }?.exitCode == (path.isEmpty ? 64 : 74), "\(path)")
    }
  }

  @Test func argumentsNameFoldersOrFiles() throws {
    let folder = TestFolder()
    #expect(failure { _ = try RunFolder.weights(folder.path) }?.exitCode == 66)
    #expect(failure { _ = try RunFolder.weights(folder("none")) }?.exitCode == 66)
    let checkpoint = folder.put("checkpoint.safetensors", [])
    #expect(try RunFolder.weights(folder.path) == checkpoint)
    let model = folder.put("model.safetensors", [])
    #expect(try RunFolder.weights(folder.path) == model)
    #expect(try RunFolder.checkpoint(folder.path + "/") == checkpoint)
    #expect(try RunFolder.weights(model) == model)
  }
}

@Suite struct MetricsLogTests {
  @Test func linesAreJSONAndNothingIsNaN() throws {
    let folder = TestFolder()
    let log = try MetricsLog(path: folder("m"))
    try log.append(MetricsRecord(step: 1, tokens: 10, trainLoss: 2.5, valLoss: .nan, wallSeconds: 0.25))
    try log.append(MetricsRecord(step: 2, tokens: 20, learningRate: 1e-9, tokensPerSecond: .infinity))
    let first = #"{"step":1,"tokens":10,"train/loss":2.5,"val/loss":null,"lr":null,"tok_per_s":null,"#
    #expect(folder.text("m").hasPrefix(first + #""rss_bytes":null,"wall_s":0.25}"# + "\n"))
    for line in folder.text("m").split(separator: "\n") {
      #expect(try JSONSerialization.jsonObject(with: Data(line.utf8)) is [String: Any])
    }
  }

  @Test func aFullDiskIsAnError() throws {
    let log = MetricsLog(FileSink(descriptor: open("/dev/full", O_WRONLY), path: "/dev/full"))
    #expect(failure { try log.append(MetricsRecord(step: 1, tokens: 1)) }?.exitCode == 74)
  }

  @Test func resumeDropsWhatComesLaterAndTornLines() throws {
    let folder = TestFolder()
    let lines = (1...3).map { MetricsRecord(step: $0, tokens: $0).json + "\n" }
    let torn = lines[1].dropLast(9)
    let path = folder.put("m", Array((lines[0] + lines[1] + "garbage\n" + lines[2] + torn).utf8))
    try MetricsLog.truncate(path, toStep: 2)
    #expect(folder.text("m") == lines[0] + lines[1])
    // A whole record whose newline is missing stays.
    folder.put("m", Array((lines[0] + lines[1].dropLast()).utf8))
    try MetricsLog.truncate(path, toStep: 2)
    #expect(folder.text("m") == lines[0] + lines[1])
    try MetricsLog.truncate(path, toStep: -1)
    #expect(folder.text("m") == "")
    try MetricsLog.truncate(folder("none"), toStep: 2)
    #expect(folder.names == ["m"])
  }
}

import Foundation
import Testing

/// The program runs where there is no Swift: its libraries are part of it.
@Suite struct StaticProgramTests {
  /// Debug builds, which nobody gets, are linked faster.
  private static let isRelease = (try? LongzooProcess.binary.get())?.contains("/release/") == true

  @Test(.enabled(if: isRelease, "this is not the program that make build makes"))
  func aCopyRunsWithoutSwift() throws {
    let folder = TestFolder()
    let copy = folder("longzoo")
    try FileManager.default.copyItem(atPath: LongzooProcess.binary.get(), toPath: copy)
    folder.put("data", Sample.tokens(2000))
    // What the dynamic linker is asked for, as ldd prints it.
    let linked = try LongzooProcess.run(
      [], in: folder, shell: "LD_TRACE_LOADED_OBJECTS=1 exec '\(copy)';"
    ).output
    #expect(linked.contains("libzstd"), "\(linked)")
    for library in ["libswift", "Foundation", "libdispatch", "libBlocksRuntime"] {
      #expect(!linked.contains(library), "\(linked)")
    }
    let train = "train data --max-steps 3 --pairs 4 --hidden-size 8 --threads 1 --quiet --json"
    let outcome = try LongzooProcess.run(
      [], in: folder, shell: "exec env -i LD_LIBRARY_PATH= PATH=/usr/bin:/bin '\(copy)' \(train);")
    #expect(outcome.exitCode == 0, "\(outcome.errors)")
    #expect(try RunResult(outcome.output).steps == 3)
  }
}

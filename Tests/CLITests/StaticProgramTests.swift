import Foundation
import Testing

/// The program runs where there is no Swift: its libraries are part of it.
@Suite struct StaticProgramTests {
  /// The program that people get; tests run one that is linked faster.
  private static let binary = ProcessInfo.processInfo.environment["LONGZOO_STATIC_BINARY"]

  @Test(.enabled(if: binary != nil, "make test-static names the program that make build makes"))
  func aCopyRunsWithoutSwift() throws {
    let folder = TestFolder()
    let copy = folder("longzoo")
    try FileManager.default.copyItem(atPath: #require(Self.binary), toPath: copy)
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

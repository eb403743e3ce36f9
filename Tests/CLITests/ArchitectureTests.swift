import Foundation
import Testing

/// Who may know whom, read from the sources.
@Suite struct ArchitectureTests {
  /// The modules that a module may import. The C modules have one door each.
  private static let allowed: [String: Set<String>] = [
    "Memory": [],
    "Stream": ["LongzooMemory", "CLongzooZstd", "CLongzooLZ4"],
    "Model": ["LongzooMemory", "CLongzooKernels", "CLongzooOpenBLAS"],
    "Estimator": ["LongzooMemory", "LongzooModel"],
    "Training": ["LongzooMemory", "LongzooStream", "LongzooModel", "LongzooEstimator"],
  ]
  private static let program = "longzoo"
  private static let mostLines = 5500
  /// Options of other programs, which people are told to use on their data.
  private static let foreignOptions = ["xz -dc --format=lzma", "without --long"]

  @Test(arguments: allowed.keys.sorted())
  func aModuleImportsThoseBelowIt(module: String) throws {
    let files = try SourceFile.all(in: module)
    #expect(!files.isEmpty)
    for file in files {
      let unexpected = file.imports.filter { $0.contains("Longzoo") || $0 == "ArgumentParser" }
        .filter { !Self.allowed[module]!.contains($0) }
      #expect(unexpected.isEmpty, "\(file.path) imports \(unexpected)")
    }
  }

  @Test(arguments: allowed.keys.sorted())
  func aLibraryDoesNotSpeakOfTheCommandLine(module: String) throws {
    for file in try SourceFile.all(in: module) {
      let code = Self.foreignOptions.reduce(file.code) { $0.replacingOccurrences(of: $1, with: "") }
      for line in code.split(separator: "\n") where line.contains(/--[a-z]|longzoo train/) {
        Issue.record("\(file.path): \(line)")
      }
    }
  }

  @Test func theProgramIsSmall() throws {
    let lines = try SourceFile.all(in: Self.program).map(\.lineCount).reduce(0, +)
    #expect(lines > 1000 && lines < Self.mostLines)
  }

  /// The files at the top know all folders, and no folder knows them.
  @Test func theFoldersOfTheProgramHaveNoCycle() throws {
    let graph = FolderGraph(try SourceFile.all(in: Self.program))
    #expect(graph.folders.count > 5)
    #expect(graph.cyclic.isEmpty, "\(graph.mentions(among: graph.cyclic).joined(separator: "\n"))")
  }

  @Test func aCycleIsFound() {
    let files = [
      SourceFile(path: "A/a.swift", folder: "A", text: "struct One {}\n// knows Three\n"),
      SourceFile(path: "B/b.swift", folder: "B", text: "extension Foreign { enum Two { case a(One) } }\n"),
      SourceFile(path: "C/c.swift", folder: "C", text: "struct Three {}\nfunc f() { Foreign.Two.a }\n"),
    ]
    #expect(FolderGraph(files).cyclic.isEmpty)
    let back = SourceFile(path: "A/d.swift", folder: "A", text: "final class Four { let three: Three }\n")
    #expect(FolderGraph(files + [back]).cyclic == ["A", "B", "C"])
  }
}

/// A Swift file of this package.
private struct SourceFile {
  /// Below Sources.
  let path: String
  /// The folder of its module that it is in; "" for the module's own.
  let folder: String
  /// Without comments.
  let code: String
  let lineCount: Int

  init(path: String, folder: String, text: String) {
    (self.path, self.folder) = (path, folder)
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
    lineCount = lines.count - 1
    code = lines.map { $0.replacing(/^\s*\/\/.*|\s\/\/ .*/, with: "") }.joined(separator: "\n")
  }

  static func all(in module: String) throws -> [SourceFile] {
    let tests = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    let root = tests.deletingLastPathComponent().appendingPathComponent("Sources/" + module).path
    let paths = FileManager.default.enumerator(atPath: root)?.compactMap { $0 as? String } ?? []
    return try paths.filter { $0.hasSuffix(".swift") }.sorted().map { path in
      SourceFile(
        path: module + "/" + path, folder: path.contains("/") ? String(path.prefix { $0 != "/" }) : "",
        text: try String(contentsOfFile: root + "/" + path, encoding: .utf8))
    }
  }

  var imports: [String] {
    code.split(separator: "\n").compactMap { line in
      line.firstMatch(of: /^(?:[@\w]+ )*import (?:(?:struct|class|enum|protocol|func|var) )?(\w+)/)
        .map { String($0.1) }
    }
  }

  /// Types at the top of the file by their names, and types in extensions of others as `Other.Name`.
  var types: Set<String> {
    var types = Set<String>()
    var extended = ""
    for line in code.split(separator: "\n") {
      if let match = line.firstMatch(of: /^extension (\w+)/) { extended = String(match.1) }
      let declaration = /^(\s*)(?:extension \w+ \{ )?(?:@?\w+ )*?(?:struct|class|enum|protocol|actor) (\w+)/
      guard let match = line.firstMatch(of: declaration) else { continue }
      let isNested = match.1.count > 0 || line.hasPrefix("extension ")
      if !isNested {
        extended = ""
        types.insert(String(match.2))
      } else if !extended.isEmpty, match.1.count <= 2 {
        types.insert(extended + "." + match.2)
      }
    }
    return types
  }

  /// Names that may be types, by themselves and with the one before the point. A word in a text counts as well.
  var words: Set<String> {
    Set(
      code.matches(of: /[A-Z]\w*(?:\.[A-Z]\w*)?/).flatMap { match -> [String] in
        let parts = match.output.split(separator: ".").map(String.init)
        return parts + [String(match.output)]
      })
  }
}

/// Which folder declares what others mention.
private struct FolderGraph {
  struct Mention: Hashable {
    let from: String
    let to: String
    let text: String
  }

  let folders: Set<String>
  private let all: Set<Mention>

  init(_ files: [SourceFile]) {
    folders = Set(files.map(\.folder))
    var homes: [String: String] = [:]
    for file in files { for type in file.types { homes[type] = file.folder } }
    var all = Set<Mention>()
    for file in files {
      for word in file.words {
        guard let home = homes[word], home != file.folder else { continue }
        all.insert(Mention(from: file.folder, to: home, text: "\(file.path) knows \(word) of \(home)"))
      }
    }
    self.all = all
  }

  /// Folders that are part of a cycle, or know one that is: what is left when those that know nobody else are taken away again and again.
  var cyclic: Set<String> {
    var left = folders
    while let free = left.first(where: { folder in
      !all.contains { $0.from == folder && left.contains($0.to) }
    }) {
      left.remove(free)
    }
    return left
  }

  func mentions(among folders: Set<String>) -> [String] {
    all.filter { folders.contains($0.from) && folders.contains($0.to) }.map(\.text).sorted()
  }
}

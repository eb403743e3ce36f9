import Foundation
import Testing

@testable import LongzooTraining
@testable import longzoo

/// What comes from files, names and options never reaches a terminal as it is.
@Suite struct TerminalTextTests {
  @Test func whatATerminalWouldObeyIsEscaped() {
    #expect(TerminalText.line("a\u{1B}[2J\u{7}b") == "a\\u001b[2J\\u0007b")
    #expect(TerminalText.line("1\n2\r3\t4") == "1\\n2\\r3\\t4")
    #expect(TerminalText.lines("1\n2\r3\t4") == "1\n2\\r3\t4")
    #expect(TerminalText.line("\u{7F}\u{9B}31m\u{85}") == "\\u007f\\u009b31m\\u0085")
    #expect(
      TerminalText.line("x\u{202E}txt.exe\u{2066}\u{200F}\u{2028}") == "x\\u202etxt.exe\\u2066\\u200f\\u2028")
    #expect(TerminalText.line("\u{E0041}") == "\\udb40\\udc41")
  }

  @Test func whatOnlyShowsStays() {
    for text in [
      "", "plain 'text' with \\ and \"", "größer, naïve, 你好, שלום, ٣", "👩‍👩‍👧 é", "held out – 2.1 bits",
    ] {
      #expect(TerminalText.line(text) == text)
      #expect(TerminalText.lines(text + "\n\t") == text + "\n\t")
    }
  }

  @Test func bytesThatAreNoTextAreReplaced() {
    #expect(
      TerminalText.line(String(decoding: [0x61, 0x9b, 0xff, 0x62], as: UTF8.self)) == "a\u{FFFD}\u{FFFD}b")
  }

  @Test func jsonMeansTheSame() throws {
    let names = ["\u{9B}31m", "\u{202E}", "a\u{1B}\n", "\u{7F}", "\u{E0041}"]
    let text = "[" + names.map(JSONText.quoted).joined(separator: ",") + "]"
    let shown = TerminalText.lines(text)
    #expect(shown.unicodeScalars.allSatisfy(TerminalText.isPlain))
    #expect(try JSONDecoder().decode([String].self, from: Data(shown.utf8)) == names)
  }

  @Test func commandsForAShellStayOneLine() throws {
    let word = "it's\na \u{1B}[31m\u{202E}1"
    let quoted = ShellText.quoted(word)
    #expect(quoted == #"$'it\'s\012a \033[31m\342\200\2561'"#)
    #expect(ShellText.quoted("a b") == "'a b'")
    #expect(ShellText.quoted("größer") == "'größer'")
  }
}

/// The whole program, on files that speak to the terminal.
@Suite struct TerminalEscapeTests {
  private static let attack = "\u{1B}]0;title\u{7}\u{1B}[2J\n2\n3\u{9B}31m\u{202E}"
  private let folder = TestFolder()

  private func expectPlain(
    _ outcome: LongzooProcess.Outcome, lines: Int? = 1, sourceLocation: SourceLocation = #_sourceLocation
  ) {
    let text = outcome.errors + outcome.output
    #expect(
      text.unicodeScalars.allSatisfy { TerminalText.isPlain($0) || $0 == "\n" }, "\(text.debugDescription)",
      sourceLocation: sourceLocation)
    #expect(text.contains("title"), "\(text)", sourceLocation: sourceLocation)
    if let lines {
      #expect(outcome.errors.split(separator: "\n").count == lines, "\(text)", sourceLocation: sourceLocation)
    }
  }

  private func safetensors(_ name: String, _ json: String) -> String {
    let header = Array(json.utf8)
    return folder.put(name, withUnsafeBytes(of: UInt64(header.count).littleEndian) { Array($0) } + header)
  }

  @Test func stringsInFilesAreShownEscaped() throws {
    let attack = JSONText.quoted(Self.attack)
    let files = [
      safetensors("dtype", #"{"a":{"dtype":\#(attack),"shape":[0],"data_offsets":[0,0]}}"#),
      safetensors("name", #"{\#(attack):{"dtype":"F32","shape":[7],"data_offsets":[0,0]}}"#),
      safetensors("key", #"{"a":{\#(attack):"F32"}}"#),
    ]
    for file in files {
      let outcome = try LongzooProcess.run(["eval", file, "data"], in: folder)
      #expect(outcome.exitCode == 65)
      expectPlain(outcome)
    }
  }

  @Test func namesAreShownEscaped() throws {
    for arguments in [
      ["eval", Self.attack, "data"], ["train", Self.attack], ["train", "--resume", Self.attack],
      ["report", Self.attack, "--plot"], ["replay", Self.attack, "--step", "1"],
      ["train", "--config", Self.attack],
    ] {
      let outcome = try LongzooProcess.run(arguments, in: folder)
      #expect(outcome.exitCode == 66, "\(arguments)")
      expectPlain(outcome)
    }
  }

  @Test func optionsAreShownEscaped() throws {
    for arguments in [
      ["train", "--pairs", Self.attack], ["train", "--pairs=\(Self.attack)"], ["train", "--\(Self.attack)"],
      ["train", "--estimator", Self.attack], ["eval", "a", "b", "--max-tokens=\(Self.attack)"],
    ] {
      let outcome = try LongzooProcess.run(arguments, in: folder)
      #expect(outcome.exitCode == 64, "\(arguments)")
      expectPlain(outcome, lines: nil)
      let first = outcome.errors.split(separator: "\n").first ?? ""
      #expect(first.contains("title") && first.contains(#"\u202e"#), "\(outcome.errors)")
    }
  }

  @Test func namesOfRunsAreShownEscapedInATerminal() throws {
    for name in ["\u{1B}[31mtitle\nb", "c"] {
      ReportSample.run(folder, name, metrics: ReportSample.line(1) + ReportSample.line(2, val: "2"))
    }
    let outcome = try LongzooProcess.run(["report", "\u{1B}[31mtitle\nb", "c", "--plot"], in: folder)
    #expect(outcome.exitCode == 0, "\(outcome.errors)")
    expectPlain(outcome, lines: 0)
    #expect(outcome.output.split(separator: "\n")[0].contains(#"\u001b[31mtitle\nb"#), "\(outcome.output)")
  }

  /// A folder with such a name: the progress, the summary and the command that goes on.
  @Test func aRunInSuchAFolderEndsWithACommandThatWorks() throws {
    var runs = Runs()
    runs.common += ["--max-steps", "2"]
    let data = runs.folder.put("data", Sample.tokens(2000))
    let outcome = try LongzooProcess.run(
      ["train"] + runs.common + ["--out-dir", "\u{1B}[2Jtitle\n", data], in: runs.folder)
    #expect(outcome.exitCode == 0, "\(outcome.errors)")
    expectPlain(outcome, lines: nil)
    #expect(runs.folder.names.contains("\u{1B}[2Jtitle\n"))
  }

  @Test(arguments: [
    (["eval", "m"], "argument"), (["train"], "argument"), (["train", "--out-dir"], "argument"),
  ])
  func namesThatAreNotUTF8AreRefused(arguments: [String], what: String) throws {
    let name = "$(printf 'bad\\377.txt')"
    let outcome = try LongzooProcess.run(
      arguments, in: folder, shell: "echo text > \"\(name)\"; set -- \"$@\" \"\(name)\";")
    outcome.expectFailure(64, mentions: ["UTF-8", what], "\(arguments)")
    #expect(folder.names.allSatisfy { $0.hasPrefix(".") || $0.hasPrefix("bad") }, "\(folder.names)")
    let variable = try LongzooProcess.run(
      arguments, in: folder, shell: "export LONGZOO_OUT_DIR=\"\(name)\";")
    variable.expectFailure(64, mentions: ["UTF-8", "LONGZOO_OUT_DIR"], "\(arguments)")
  }
}

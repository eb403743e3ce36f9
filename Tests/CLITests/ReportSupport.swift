import Foundation
import Testing

@testable import LongzooTraining
@testable import longzoo

#if canImport(FoundationXML)
  import FoundationXML
#endif

/// Run folders made by hand, and pages read as XML.
enum ReportSample {
  static func line(_ step: Int, train: String = "2.5", val: String = "null", seconds: String? = nil) -> String
  {
    """
    {"step":\(step),"tokens":\(step * 512),"train/loss":\(train),"val/loss":\(val),"lr":0.01,"tok_per_s":null,\
    "rss_bytes":37511168,"wall_s":\(seconds ?? "\(Double(step) / 10)")}\n
    """
  }

  /// - Returns: the path.
  @discardableResult
  static func run(
    _ folder: TestFolder, _ name: String, metrics: String?,
    configuration: String? = "{\"seed\":7,\"hiddenSize\":8}",
    summary: String? = nil
  ) -> String {
    mkdir(folder(name), 0o755)
    for (file, text) in [
      ("metrics.jsonl", metrics), ("config.json", configuration), ("summary.json", summary),
    ] {
      if let text { folder.put(name + "/" + file, Array(text.utf8)) }
    }
    return folder(name)
  }

  static func page(_ paths: [String]) throws -> String { RunReport.page(try RunRecord.read(paths)).document }
}

/// A page as a parser of XML sees it.
final class ParsedPage: NSObject, XMLParserDelegate {
  private(set) var text = ""
  private(set) var elements: [String: Int] = [:]
  private(set) var attributes: [(element: String, name: String, value: String)] = []

  init(_ page: String, sourceLocation: SourceLocation = #_sourceLocation) throws {
    super.init()
    let parser = XMLParser(data: Data(page.utf8))
    parser.delegate = self
    try #require(
      parser.parse(), "line \(parser.lineNumber): \(parser.parserError.map { "\($0)" } ?? "")",
      sourceLocation: sourceLocation)
  }

  func parser(
    _ parser: XMLParser, didStartElement name: String, namespaceURI: String?, qualifiedName: String?,
    attributes all: [String: String]
  ) {
    elements[name, default: 0] += 1
    attributes += all.map { (name, $0.key, $0.value) }
  }

  func parser(_ parser: XMLParser, foundCharacters string: String) { text += string }

  /// Nothing that a browser would load, and nothing that it would run besides the page's own script.
  func expectSelfContained(sourceLocation: SourceLocation = #_sourceLocation) {
    for (element, name, value) in attributes {
      #expect(
        !["src", "href", "xlink:href", "action"].contains(name), "\(element) \(name)",
        sourceLocation: sourceLocation)
      #expect(!name.hasPrefix("on"), "\(element) \(name)=\(value)", sourceLocation: sourceLocation)
    }
    for element in ["img", "link", "iframe", "object", "embed", "base"] {
      #expect(elements[element] == nil, sourceLocation: sourceLocation)
    }
    #expect(elements["script"] == 1, sourceLocation: sourceLocation)
  }
}

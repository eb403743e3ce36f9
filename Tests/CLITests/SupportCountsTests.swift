import Testing

@testable import LongzooTraining
@testable import longzoo

@Suite struct CountsTests {
  @Test(arguments: [
    ("0", 0), ("1000000", 1_000_000), ("1_000_000", 1_000_000), ("1M", 1_000_000), ("2.5k", 2500),
    ("0.001k", 1), ("1.50G", 1_500_000_000), ("1 M", 1_000_000), ("10.0", 10), ("007", 7),
    ("9223372036854775807", Int.max),
    ("1e6", 1_000_000), ("2.5e3", 2500), ("1E3", 1000), ("25e-1k", 2500), ("0e9", 0), ("1e+2", 100),
  ])
  func countsAreRead(text: String, value: Int) throws {
    #expect(try TokenCount.parse(text).value == value)
    #expect(TokenCount(argument: text)?.value == value)
  }

  @Test(arguments: [
    "", "k", "-1", "-1k", "1.5", "1.0001k", "1kk", "1 000", "1__0", "_1", "1_", "1.", ".5k", "1.2.3", "0x10",
    "1e", "e6", "1e-1", "1e99", "1e19", "1e2e3", "1e+", "1e1.5",
    "nan", "inf", "9223372036854775808", "9223372037G", "99999999999999999999999", "1KiB", "1B", "１", "+1",
  ])
  func countsAreRefused(text: String) {
    #expect(TokenCount(argument: text) == nil)
  }

  @Test(arguments: [
    ("1000", 1000), ("1B", 1), ("1KiB", 1024), ("1.5 GiB", 3 << 29), ("512mib", 512 << 20), ("2TiB", 2 << 40),
    ("64Ki", 65536), ("0", 0), ("0.5KiB", 512),
  ])
  func sizesAreRead(text: String, bytes: Int) throws {
    #expect(try ByteSizeArgument.parse(text).bytes == bytes)
  }

  @Test(arguments: ["", "-1", "1.5", "0.0001KiB", "8388608TiB", "1PiB", "1 0", "1MiBB", "MiB"])
  func sizesAreRefused(text: String) {
    #expect(ByteSizeArgument(argument: text) == nil)
  }

  @Test(arguments: ["512M", "512MB", "1g", "1kb"])
  func ambiguousSizesSayWhatToWrite(text: String) {
    let error = #expect(throws: (any Error).self) { try ByteSizeArgument.parse(text) }
    #expect("\(error!)".contains("iB"), "\(error!)")
  }

  @Test func defaultsReadBack() throws {
    for value in [0, 999, 1000, 1500, 1_000_000, 2_000_000_000] {
      #expect(try TokenCount.parse(TokenCount(value).formatted).value == value)
      #expect(try ByteSizeArgument.parse(ByteSizeArgument(value).defaultValueDescription).bytes == value)
    }
    #expect(ByteSizeArgument(512 << 20).defaultValueDescription == "512MiB")
  }

  @Test(arguments: [
    ("90", 90.0), ("90s", 90), ("10m", 600), ("1.5h", 5400), ("2d", 172_800), ("0.05", 0.05), ("1e3", 1000),
    ("-1m", -60),
  ])
  func durationsAreRead(text: String, seconds: Double) throws {
    #expect(try DurationText.parse(text) == seconds)
  }

  @Test(arguments: ["", "s", "10x", "10 m", "m10", "0x10", "nan", "1m30s", "10ms"])
  func durationsAreRefused(text: String) {
    #expect(throws: (any Error).self) { try DurationText.parse(text) }
  }

  @Test(arguments: ["", "0x10", "0x1p3", "nan", "inf", "-inf", "1e400", "1 0", "1,5", "--1"])
  func numbersAreRefused(text: String) {
    #expect(throws: (any Error).self) { try DecimalNumber.parse(text) }
  }

  @Test func numbersAreRead() throws {
    for (text, value) in [("0.01", 0.01), ("-1", -1), ("1e-3", 0.001), (".5", 0.5), ("+2", 2)] {
      #expect(try DecimalNumber.parse(text) == value)
    }
  }
}

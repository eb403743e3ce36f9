import LongzooMemory

/// Refuses data of a known format and warns of data in another width, by its first unpacked bytes.
///
/// Bytes are given to it as they come, and need not all be there at once: nothing of a pipe has to be held back.
struct HeadCheck {
  private let isRaw: Bool
  /// Those that are known by their first bytes, and are read.
  private let containers: [Container]
  private let type: TokenType
  private let notify: (@Sendable (Wording) -> Void)?
  private var head: [UInt8] = []
  private var guess: WidthGuess?
  private var isContainer = false
  private(set) var hasWarned = false

  init(_ configuration: StreamConfiguration) {
    isRaw = configuration.format == .raw
    containers = configuration.allowedContainers.filter { $0.headBytes > 0 }
    type = configuration.tokenType
    notify = configuration.notify
    guess = notify == nil ? nil : WidthGuess()
    head.reserveCapacity(KnownFormat.headBytes)
  }

  /// Whether nothing more is to be learned.
  var isDone: Bool { isRaw || isContainer || (head.count >= KnownFormat.headBytes && guess == nil) }

  mutating func add(
    _ bytes: UnsafeRawBufferPointer, of file: InputFile, outer: Codec?
  ) throws(StreamError) {
    guard !isRaw, !isContainer else { return }
    if head.count < KnownFormat.headBytes, !bytes.isEmpty {
      head.append(contentsOf: bytes.prefix(KnownFormat.headBytes - head.count))
      if head.withUnsafeBytes({ head in containers.contains { $0.payload(head) != nil } }) {
        isContainer = true
        return
      }
      let format = head.withUnsafeBytes { KnownFormat.recognize($0, isInside: outer != nil) }
      if let format {
        throw FormatRefusal(format: format, name: file.name, isPipe: file.isPipe, outer: outer).error
      }
    }
    guess?.add(bytes)
    if guess?.isFull == true { finish(name: file.name) }
  }

  /// Says what there is to say once all has come, or enough of it: a warning, once.
  mutating func finish(name: String) {
    let finding = isRaw || isContainer ? nil : guess?.finding(readAs: type)
    guess = nil
    guard let finding else { return }
    notify?(finding.warning(name: name, readAs: type))
    hasWarned = true
  }

  /// Looks at the first bytes of every file.
  ///
  /// What cannot be decoded is left to the reading, which says where.
  static func run(
    _ files: [DataFile], _ configuration: StreamConfiguration, decoder: ByteDecoder,
    space: UnsafeMutableRawBufferPointer
  ) throws(StreamError) {
    guard configuration.format != .raw else { return }
    var quiet = configuration
    for file in files {
      var check = HeadCheck(quiet)
      let input = try InputFile(file)
      decoder.attach(input, as: file.format)
      let part = UnsafeMutableRawBufferPointer(rebasing: space[..<min(space.count, WidthGuess.sampleBytes)])
      let count = (try? decoder.read(into: part)) ?? 0
      let outer: Codec? = if case .frames(let codec) = file.format { codec ?? .zstd } else { nil }
      decoder.detach()
      try check.add(UnsafeRawBufferPointer(rebasing: part[..<count]), of: input, outer: outer)
      check.finish(name: file.path)
      if check.hasWarned { quiet.notify = nil }
    }
  }
}

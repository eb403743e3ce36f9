import LongzooMemory

/// How many tokens files hold.
enum DataSurvey {
  /// Tokens of all files: by their size, by the content sizes of their frames, or else by decoding them once.
  ///
  /// - Parameter space: free memory to decode into.
  static func countTokens(
    _ files: [DataFile], decoder: ByteDecoder, type: TokenType, space: UnsafeMutableRawBufferPointer
  ) throws(StreamError) -> Int {
    var tokens = 0
    for (number, file) in files.enumerated() {
      let place = TokenPlace(type: type, first: tokens, payload: file.payload)
      var bytes = file.size
      if file.format != .plain {
        if let listed = try listedBytes(file, number) {
          bytes = listed
        } else {
          decoder.attach(try InputFile(file), as: file.format)
          do throws(StreamError) {
            while try decoder.read(into: space) > 0 {}
          } catch {
            throw error.at(token: place.token(at: decoder.byteOffset))
          }
          bytes = decoder.byteOffset
        }
      }
      tokens = try place.end(size: bytes, file: file.path, offset: file.size)
    }
    return tokens
  }

  /// The decoded bytes of a compressed file, if all of its frames name their size.
  static func listedBytes(_ file: DataFile, _ number: Int) throws(StreamError) -> Int? {
    let lister = try FrameLister(InputFile(file), file: number)
    var bytes = 0
    var listing = try lister.first()
    while case .frame(let frame) = listing {
      bytes = frame.end
      // Sizes are what the file says of itself; sums of wrong ones must not overflow.
      if bytes > 1 << 56 { return nil }
      listing = try lister.next(after: frame)
    }
    guard case .end = listing else { return nil }
    return bytes
  }
}

/// The training region and the held-out region of data of a known length, in tokens.
struct DataRegions {
  var training: Range<Int>
  var heldOut: Range<Int>

  init(_ configuration: StreamConfiguration, total: Int) throws(StreamError) {
    var held = 0
    if configuration.data.holdsOut {
      let fraction = configuration.holdoutFraction
      held = min(total, Int((fraction * Double(total)).rounded(.down)))
      if held < 2, fraction == 1 {
        throw StreamError(
          .badData,
          "has \(held) token\(held == 1 ? "" : "s"), and at least 2 are needed to predict one from the other",
          advice: "give more data", file: configuration.paths.last)
      }
      if held < 2 {
        throw StreamError(
          .badData,
          "a fraction of \(fraction) of \(total) tokens holds out \(held), and at least 2 are needed",
          advice: "raise \(.holdoutFraction) or give more data")
      }
    }
    if let expected = configuration.expectTokens, expected != total {
      let layout = TokenLayout(configuration)
      let file = configuration.paths[configuration.paths.count - 1]
      throw total < expected
        ? layout.unexpectedEnd(total, expected: expected, file: file)
        : layout.unexpectedMore(expected: expected, file: file)
    }
    let skipped = min(configuration.skipTokens, total)
    training = min(skipped, total - held)..<(total - held)
    heldOut = max(skipped, total - held)..<total
  }

  func requireTraining() throws(StreamError) {
    if training.count < 2 {
      throw StreamError(
        .badData, "\(training.count) tokens are left to train on, too few for one (input, target) pair",
        advice: "give more data, or lower \(.skipTokens) or \(.holdoutFraction)",
        tokenIndex: training.lowerBound)
    }
  }
}

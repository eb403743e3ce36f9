/// Finds the first id outside of the vocabulary where one was met further on: streams and held-out tokens begin in the middle of
/// the data, and who mends a file begins at its start.
enum FirstOutside {
  /// Bytes that are looked at: what takes about a second.
  private static let most = 1 << 30
  private static let blockBytes = 64 * 1024

  /// - Parameters:
  ///   - found: what was met; an error of another kind stays as it is.
  ///   - skipped: tokens at the start of the data that are never read.
  /// - Returns: `found`, or the same of an earlier token of files that are not compressed.
  static func error(
    _ found: StreamError, in files: [DataFile], _ layout: TokenLayout, after skipped: Int
  ) -> StreamError {
    guard found.isOfVocabulary, let met = found.tokenIndex else { return found }
    var (first, left) = (0, most)
    for file in files where first <= met {
      guard file.format == .plain, left > 0, let input = try? InputFile(file),
        let bytes = try? file.payload.byteCount(of: file.size, file: file.path)
      else { return found }
      let place = TokenPlace(type: layout.type, first: first, payload: file.payload)
      let end = first + layout.type.tokens(in: bytes)
      let range = max(first, skipped)..<max(first, skipped, min(end, met))
      if let error = search(range, of: input, place, layout, &left) { return error }
      first = end
    }
    return found
  }

  private static func search(
    _ range: Range<Int>, of input: InputFile, _ place: TokenPlace, _ layout: TokenLayout, _ left: inout Int
  ) -> StreamError? {
    withUnsafeTemporaryAllocation(byteCount: blockBytes, alignment: 16) { block in
      var token = range.lowerBound
      while token < range.upperBound, left > 0 {
        let count = min(layout.type.tokens(in: block.count), range.upperBound - token)
        let bytes = UnsafeMutableRawBufferPointer(rebasing: block[..<layout.type.bytes(of: count)])
        guard (try? input.readExactly(into: bytes, at: place.byte(of: token))) == true else { return nil }
        if let (outside, id) = layout.firstOutside(UnsafeRawBufferPointer(bytes), count: count) {
          let index = token + outside
          return layout.outside(id, token: index, file: input.name, offset: place.byte(of: index))
        }
        token += count
        left -= bytes.count
      }
      return nil
    }
  }
}

/// Dots, two by four in each character.
struct BrailleCanvas {
  let columns: Int
  let rows: Int
  private var dots: [UInt8]
  private var marks: [Int: Character] = [:]

  /// Bits of U+2800 by column and row of the dot.
  private static let bits: [[UInt8]] = [[0x01, 0x02, 0x04, 0x40], [0x08, 0x10, 0x20, 0x80]]

  init(columns: Int, rows: Int) {
    self.columns = columns
    self.rows = rows
    dots = [UInt8](repeating: 0, count: columns * rows)
  }

  /// A straight line, by as many dots as its longer side has.
  mutating func line(from a: (x: Int, y: Int), to b: (x: Int, y: Int)) {
    let steps = max(abs(b.x - a.x), abs(b.y - a.y), 1)
    for step in 0...steps {
      // Rounded to the nearest, in whole numbers.
      dot(
        a.x + ((b.x - a.x) * step * 2 + steps) / (steps * 2),
        a.y + ((b.y - a.y) * step * 2 + steps) / (steps * 2))
    }
  }

  /// A character over the dots.
  mutating func put(_ mark: Character, at place: (x: Int, y: Int)) {
    guard contains(place.x, place.y) else { return }
    marks[place.y / 4 * columns + place.x / 2] = mark
  }

  private mutating func dot(_ x: Int, _ y: Int) {
    guard contains(x, y) else { return }
    dots[y / 4 * columns + x / 2] |= Self.bits[x % 2][y % 4]
  }

  private func contains(_ x: Int, _ y: Int) -> Bool {
    x >= 0 && y >= 0 && x < columns * 2 && y < rows * 4
  }

  var lines: [String] {
    (0..<rows).map { row in
      String(
        (0..<columns).map { column -> Character in
          let cell = row * columns + column
          if let mark = marks[cell] { return mark }
          return dots[cell] == 0 ? " " : Character(UnicodeScalar(0x2800 + UInt32(dots[cell]))!)
        })
    }
  }
}

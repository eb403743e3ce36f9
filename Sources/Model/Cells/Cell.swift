import CLongzooKernels

/// What the units of a recurrent layer compute from their inputs and states, token by token.
///
/// A cell is a value: Swift needs its sizes, names and what it can do, and never computes with it. Its arithmetic is a header in
/// `Sources/CKernels/cells`. G gate rows and S states a unit; the first state is h, which other units, layers and the readout see.
public struct Cell: Sendable {
  /// What it is called in options, files and messages.
  public let name: String
  /// One line of help.
  public let help: String
  /// What begins to remember, for `Initialization.memorySpan`.
  package let memory: MemoryGates?
  /// Whether pairs take the usual ε: h lies within ±1 or a little more, whatever the weights are. What does not bears smaller
  /// perturbations: a direction of products makes its columns grow from token to token.
  package let isBounded: Bool
  /// The initial bias of each gate row.
  package let biases: [Float]
  /// The row whose biases are spread over the units instead: they remember for short and for long.
  package let spread: (row: Int, biases: Spread)?
  /// Weights of a unit that belong to no row.
  package let scalars: [CellScalar]
  let code: lz_cell

  /// G, the gate rows of a unit.
  public let rows: Int
  /// S, the states of a unit.
  public let states: Int
  /// Whether the product of a unit's last row with the own state stays apart from what comes from below, and has a bias of its own.
  public let hasLateRow: Bool
  /// Whether rows read the own state of all units of the head; else a unit knows of its own past only by its states.
  public let readsOwnState: Bool
  /// Whether anything goes from a token to the next.
  public let carriesState: Bool
  /// Whether a unit reads its input as it is, besides the rows: then the input is as wide as the layer.
  package let readsInput: Bool
  /// What stands between the cell and all that reads it: a stage whose rows read the layer's input and the cell's h.
  package var output: Cell? { hasOutput ? .opening : nil }
  let hasOutput: Bool

  init(
    _ name: String, _ code: lz_cell, biases: [Float], spread: (row: Int, biases: Spread)? = nil,
    memory: MemoryGates? = nil,
    scalars: [CellScalar] = [], hasOutput: Bool = false, isBounded: Bool = true, help: String
  ) {
    let sizes = lz_sizes_of(code)
    precondition(biases.count == sizes.rows, "\(biases.count) biases of \(sizes.rows) rows of \(name)")
    precondition(
      scalars.count == sizes.scalars, "\(scalars.count) of \(sizes.scalars) scalars of \(name)")
    (self.name, self.code, self.help, self.biases, self.memory) = (name, code, help, biases, memory)
    (self.isBounded, self.spread, self.scalars) = (isBounded, spread, scalars)
    self.hasOutput = hasOutput
    (rows, states) = (Int(sizes.rows), Int(sizes.states))
    hasLateRow = sizes.aside == LZ_LATE.rawValue
    (carriesState, readsOwnState) = (sizes.past != LZ_PRESENT.rawValue, sizes.past == LZ_HEAD.rawValue)
    readsInput = carriesState && sizes.aside == LZ_OTHER.rawValue
  }
}

/// The rows whose biases decide how long a unit remembers (chrono initialization, arXiv 1804.11188).
package struct MemoryGates: Sendable {
  /// The row that keeps the state, if there is one: its bias is ln of a time.
  var keep: Int?
  /// The row that lets news in, if there is another: minus that.
  var admit: Int?
}

/// A weight that every unit has besides its rows.
package struct CellScalar: Sendable {
  /// What it is called in files, after the cell.
  package var name: String
  /// At first.
  var values: Spread
}

/// Initial weights that go from `first` to `last` in equal steps over the units of a stage.
package struct Spread: Sendable {
  var first: Float
  var last: Float

  func value(ofUnit unit: Int, of units: Int) -> Float {
    first + (last - first) * (Float(unit) + 0.5) / Float(units)
  }
}

extension Cell {
  /// Whether its units know of the past by their own states only: then no product waits for the token before.
  public var isElementwise: Bool { carriesState && !readsOwnState && !isWholeModel }
  /// Whether it is a model of its own stages, and not the cell of layers.
  public var isWholeModel: Bool { code == LZ_MEMORY }
  /// Whether tokens cannot enter by its rows alone: more than those reads what comes from below.
  public var needsEmbedding: Bool { readsInput || hasOutput || isWholeModel }

  /// All of them, in the order of the help. A new one is a line here and a line in `cells.def`.
  public static let all: [Cell] = [.lstm, .gru, .slstm, .elman, .relu, .mingru, .rglru, .elstm, .dnc]

  /// Finds one by its name.
  public static func named(_ name: String) -> Cell? { all.first { $0.name == name } }
}

extension Cell: Equatable, Hashable, Codable {
  public static func == (a: Cell, b: Cell) -> Bool { a.name == b.name }

  public func hash(into hasher: inout Hasher) { hasher.combine(name) }

  /// By its name.
  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(name)
  }

  /// - Throws: `DecodingError`, if there is no cell of that name.
  public init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    let name = try container.decode(String.self)
    guard let cell = Cell.named(name) else {
      throw DecodingError.dataCorruptedError(in: container, debugDescription: "there is no cell \(name)")
    }
    self = cell
  }
}

extension Cell: CustomStringConvertible {
  /// Its name.
  public var description: String { name }
}

import LongzooMemory
import LongzooModel
import Testing

@Suite("Bytes of the model")
struct ModelMemoryTests {
  static let shapes =
    [(1, 1, 1), (2, 3, 16), (13, 4, 2), (100, 17, 3), (256, 64, 1), (1000, 31, 2)]
    .map { ModelShape(vocabularySize: $0.0, hiddenSize: $0.1, layers: $0.2) } + [
      ModelShape(vocabularySize: 9, hiddenSize: 20, layers: 2, heads: 5)
    ]
  static let layouts = shapes.flatMap { shape in
    DirectionKind.allCases.flatMap { kind in
      [false, true].map { Layout(shape, kind: kind, exactReadout: $0) }
    }
  }

  private func table(_ category: MemoryCategory, _ bytes: Int) -> MemoryTable {
    var table = MemoryTable()
    table[category] = bytes
    return table
  }

  @Test("Parameters and weights are charged what byteCount says, and given back", arguments: layouts)
  func weights(_ layout: Layout) throws {
    let ledger = MemoryLedger()
    do {
      let parameters = try Parameters(layout.shape, ledger: ledger)
      #expect(ledger.snapshot().current == table(.parameters, Parameters.byteCount(for: layout.shape)))
      #expect(parameters.values.count == layout.shape.parameterCount)
    }
    do {
      let weights = try PackedWeights(layout, ledger: ledger)
      #expect(ledger.snapshot().current == table(.parameters, PackedWeights.byteCount(for: layout)))
      let before = ledger.snapshot().current[.parameters]
      let sequence = try SequenceModel(weights, ledger: ledger)
      var expected = table(.parameters, before)
      expected[.activations] = SequenceModel.byteCount(for: layout)
      #expect(ledger.snapshot().current == expected)
      sequence.reset()
    }
    #expect(ledger.snapshot().current.total == 0)
  }

  @Test("A population is charged what byteCount says, and given back", arguments: layouts)
  func population(_ layout: Layout) throws {
    for (pairs, streams, threads) in [(1, 1, 1), (16, 3, 2), (17, 17, 3), (100, 7, 5)] {
      let ledger = MemoryLedger()
      do {
        let population = try Population(
          layout, pairs: pairs, streams: streams, threads: threads, ledger: ledger)
        let expected = Population.byteCount(for: layout, pairs: pairs, streams: streams, threads: threads)
        #expect(ledger.snapshot().current == expected)
        population.clearLosses()
      }
      #expect(ledger.snapshot().current.total == 0)
    }
  }

  @Test("What does not fit in the budget is refused before it is held")
  func refusal() throws {
    let layout = Self.layouts[8]
    let needed = Population.byteCount(for: layout, pairs: 16, streams: 1, threads: 1).total
    let ledger = MemoryLedger(budget: needed - 1)
    #expect(throws: MemoryError.self) {
      try Population(layout, pairs: 16, streams: 1, threads: 1, ledger: ledger)
    }
    #expect(ledger.snapshot().current.total == 0)
    let enough = MemoryLedger(budget: needed)
    #expect(throws: Never.self) { try Population(layout, pairs: 16, streams: 1, threads: 1, ledger: enough) }
  }
}

@Suite("Parameters by tensor")
struct ParameterTensorTests {
  @Test("A tensor is read and written by itself, row by row")
  func tensors() throws {
    let shape = ModelShape(vocabularySize: 3, hiddenSize: 4, layers: 2, heads: 2)
    let parameters = try Parameters(shape, ledger: MemoryLedger())
    for i in parameters.values.indices { parameters.values[i] = Float(i) }
    for slice in shape.tensors { #expect(parameters.read(slice.tensor) == slice.range.map { Float($0) }) }
    let bias = [Float](repeating: -1, count: 16)
    parameters.write(.bias(1), bias.span)
    let range = shape.slice(.bias(1)).range
    for i in parameters.values.indices {
      #expect(parameters.values[i] == (range.contains(i) ? -1 : Float(i)))
    }
  }

  @Test("A tensor that the model does not have, or of another size, ends the program")
  func refusals() async {
    await #expect(processExitsWith: .failure) {
      let shape = ModelShape(vocabularySize: 3, hiddenSize: 4)
      _ = try Parameters(shape, ledger: MemoryLedger()).read(.kernel(1))
    }
    await #expect(processExitsWith: .failure) {
      let shape = ModelShape(vocabularySize: 3, hiddenSize: 4)
      let values: [Float] = [1, 2]
      try Parameters(shape, ledger: MemoryLedger()).write(.readoutBias, values.span)
    }
  }
}

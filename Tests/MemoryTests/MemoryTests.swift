import Testing

@testable import LongzooMemory

@Suite("Memory ledger")
struct MemoryLedgerTests {
  @Test("A buffer is charged exactly what byteCount says, for as long as it lives")
  func bufferIsCharged() throws {
    let ledger = MemoryLedger()
    for count in [0, 1, 15, 16, 17, 1000] {
      do {
        let buffer = try Buffer<Float>(count: count, .activations, for: "a test", ledger: ledger)
        #expect(ledger.snapshot().current[.activations] == Buffer<Float>.byteCount(for: count))
        #expect(UInt(bitPattern: buffer.pointer) % UInt(Buffer<Float>.alignment) == 0)
        #expect(buffer.elements.allSatisfy { $0 == 0 })
      }
      #expect(ledger.snapshot().current.total == 0)
    }
    #expect(Buffer<Float>.byteCount(for: 17) == 128)
  }

  @Test("Peaks are kept by category and for the sum")
  func peaks() throws {
    let ledger = MemoryLedger()
    try ledger.reserve(100, .stream, for: "a")
    ledger.release(100, .stream)
    try ledger.reserve(70, .parameters, for: "b")
    let snapshot = ledger.snapshot()
    #expect(snapshot.peak[.stream] == 100)
    #expect(snapshot.peak[.parameters] == 70)
    #expect(snapshot.peakTotal == 100)
    #expect(snapshot.current.total == 70)
  }

  @Test("What breaks the budget is refused with the table, and nothing is charged")
  func budget() throws {
    let ledger = MemoryLedger(budget: 1000)
    try ledger.reserve(900, .parameters, for: "weights")
    #expect {
      try ledger.reserve(101, .activations, for: "the state")
    } throws: { error in
      let text = String(describing: error)
      return text.contains("the state") && text.contains("parameters") && text.contains("1,000")
    }
    #expect(ledger.snapshot().current.total == 900)
    try ledger.reserve(100, .activations, for: "the state")
  }

  @Test("Sizes read as people write them")
  func sizes() {
    #expect(ByteSize.formatted(1023) == "1023 B")
    #expect(ByteSize.formatted(1536) == "1.50 KiB")
    #expect(ByteSize.formatted(96 << 20) == "96.00 MiB")
    #expect(ByteSize.grouped(1_234_567) == "1,234,567")
    #expect(ByteSize.grouped(12) == "12")
  }

  @Test("The resident set is read from the kernel and grows with touched memory")
  func residentSet() throws {
    // Other tests run in this process, and may give back memory meanwhile.
    var growth = 0
    for _ in 0..<10 where growth <= 48 << 20 {
      let before = try #require(ResidentSet.read())
      let buffer = try Buffer<UInt8>(count: 64 << 20, .stream, for: "a test", ledger: MemoryLedger())
      buffer.elements.update(repeating: 1)
      let after = try #require(ResidentSet.read())
      growth = after.current - before.current
      #expect(after.peak >= after.current)
      buffer[0] = 0
    }
    #expect(growth > 48 << 20)
  }
}

@Suite("Buffers and rooms")
struct BufferTests {
  @Test("Spans are the buffer's own elements, and an index outside ends the program")
  func spans() async throws {
    let buffer = try Buffer<Int32>(count: 5, .stream, for: "a test", ledger: MemoryLedger())
    buffer.withMutableSpan { for i in 0..<$0.count { $0[i] = Int32(i) - 2 } }
    for i in buffer.indices { #expect(buffer[i] == Int32(i) - 2) }
    let last = buffer.withSpan { $0[4] }
    #expect(last == 2)
    await #expect(processExitsWith: .failure) {
      try Buffer<Int32>(count: 5, .stream, for: "a test", ledger: MemoryLedger())[5] = 1
    }
    await #expect(processExitsWith: .failure) {
      try Buffer<Int32>(count: 5, .stream, for: "a test", ledger: MemoryLedger())[-1] = 1
    }
  }

  @Test("A list of rooms says the bytes that its buffers reserve")
  func rooms() throws {
    var table = MemoryTable()
    let words: Room<UInt16> = table.add(33, .stream, for: "words")
    let floats: Room<Float> = table.add(100, .optimizer, for: "floats")
    let none: Room<Double> = table.add(0, .optimizer, for: "nothing")
    let ledger = MemoryLedger()
    let a = try words.buffer(ledger)
    let b = try floats.buffer(ledger)
    let c = try none.buffer(ledger)
    #expect(ledger.snapshot().current == table && table.total == 128 + 448)
    #expect(a.count == 33 && b.count == 100 && c.count == 0 && a.category == .stream)
  }
}

/// A few open files, so that many shards do not use up the descriptors.
final class OpenFiles {
  /// An open file, and the list of its frames once it is asked for.
  final class Entry {
    let number: Int
    let input: InputFile
    private var lister: FrameLister?

    init(number: Int, input: InputFile) {
      self.number = number
      self.input = input
    }

    func frames() throws(StreamError) -> FrameLister {
      if let lister { return lister }
      let new = try FrameLister(input, file: number)
      lister = new
      return new
    }
  }

  private var slots: [Entry?] = Array(repeating: nil, count: 64)
  private let stop: StopSignal

  init(stop: StopSignal) {
    self.stop = stop
  }

  func file(_ number: Int, _ file: DataFile) throws(StreamError) -> Entry {
    let slot = number % slots.count
    if let held = slots[slot], held.number == number { return held }
    let entry = Entry(number: number, input: try InputFile(file, stop: stop))
    slots[slot] = entry
    return entry
  }
}

import CLongzooKernels

/// Layer norms, and a memory; one token at a time where one of them reads the h of a later stage.
extension StagedSweep {
  /// h of a source that a stage reads at `slot`: after it, or of a later stage before it.
  private func h(of source: Int, readBy index: Int, at slot: Int) -> UnsafeMutablePointer<Float> {
    h(source, after: source < index ? slot : slot - 1)
  }

  /// What a layer norm reads of some samples, and where ∂ of that goes: of a later stage's h, to what is carried to the token before.
  private func input(_ index: Int, _ slots: Range<Int>, _ samples: Range<Int>) -> lz_layer_norm_input {
    let (stage, first) = (stages[index], samples.lowerBound)
    let (other, second) = (stage.other!, stage.second?.stage ?? stage.other!)
    let units = (Self.units(stages[other]), Self.units(stages[second]))
    let after = (
      h(of: other, readBy: index, at: slots.lowerBound), h(of: second, readBy: index, at: slots.lowerBound)
    )
    var input = lz_layer_norm_input()
    input.rows = (UnsafePointer(after.0 + first * units.0), UnsafePointer(after.1 + first * units.1))
    input.counts = (stages[other].units, stage.second?.units ?? 0)
    input.strides = units
    input.units = Self.units(stage)
    input.scalars = UnsafePointer(pointer(.scalars(index)))
    let back = second < index ? parts[second].adjoint : parts[second].carried
    input.into = (parts[other].adjoint + first * units.0, back + first * units.1)
    input.adds = (addsOther[index] ? 1 : 0, addsSecond[index] ? 1 : 0)
    return input
  }

  func forwardLayerNorm(_ index: Int, _ slots: Range<Int>, _ samples: Range<Int>) {
    var input = input(index, slots, samples)
    let to = h(index, after: slots.lowerBound) + samples.lowerBound * Self.units(stages[index])
    lz_layer_norm_rows(instructions.code, &input, samples.count, to)
  }

  func backwardLayerNorm(
    _ index: Int, _ slots: Range<Int>, _ samples: Range<Int>, _ adjoint: UnsafePointer<Float>
  ) {
    var input = input(index, slots, samples)
    let (first, width) = (samples.lowerBound, apartUnits(index))
    lz_layer_norm_rows_backward(
      instructions.code, &input, adjoint + first * Self.units(stages[index]), samples.count,
      parts[index].apart! + (slots.lowerBound * streams + first) * width, width)
  }

  /// Scalars of a stage with their padding.
  private func apartUnits(_ index: Int) -> Int {
    let stage = stages[index]
    return stage.slots > 0 ? (stage.scalarCount + 15) / 16 * 16 : stage.cell.scalars.count * Self.units(stage)
  }

  private func memory(_ stage: Stage, _ index: Int) -> lz_memory {
    lz_memory(
      slots: stage.slots, width: stage.headSize, heads: stage.heads,
      scalars: UnsafePointer(pointer(.scalars(index))))
  }

  /// A stream's memory before a slot.
  private func memory(_ index: Int, before slot: Int, _ stream: Int) -> UnsafeMutablePointer<Float> {
    parts[index].others + (slot * streams + stream) * Self.memoryUnits(stages[index])
  }

  /// A stream's room, after what is carried.
  private func room(_ index: Int, _ stream: Int) -> UnsafeMutablePointer<Float> {
    let stage = stages[index]
    let carried = streams * (Self.units(stage) + Self.memoryUnits(stage))
    return parts[index].carried + carried + stream * Self.roomFloats(stage)
  }

  func forwardMemory(_ index: Int, _ slot: Int, _ streams: Range<Int>) {
    let (stage, source) = (stages[index], stages[index].other!)
    var memory = memory(stage, index)
    for stream in streams {
      lz_memory_step(
        instructions.code, &memory, h(source, after: slot) + stream * Self.units(stages[source]),
        self.memory(index, before: slot, stream), self.memory(index, before: slot + 1, stream),
        h(index, after: slot) + stream * Self.units(stage), room(index, stream))
    }
  }

  /// ∂ of what is read is that of this token's reader, and that of the next token's.
  func backwardMemory(_ index: Int, _ slot: Int, _ streams: Range<Int>) {
    let (stage, source) = (stages[index], stages[index].other!)
    let (part, units, width) = (parts[index], Self.units(stages[index]), Self.units(stages[source]))
    var memory = memory(stage, index)
    for stream in streams {
      let reads = part.adjoint + stream * units
      for unit in 0..<stage.units { reads[unit] += part.carried[stream * units + unit] }
      lz_memory_step_backward(
        instructions.code, &memory, h(source, after: slot) + stream * width,
        self.memory(index, before: slot, stream), self.memory(index, before: slot + 1, stream), reads,
        part.carried + self.streams * units + stream * Self.memoryUnits(stage),
        parts[source].adjoint + stream * width,
        part.apart! + (slot * self.streams + stream) * apartUnits(index),
        room(index, stream))
    }
  }
}

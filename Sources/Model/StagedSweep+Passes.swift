import CLongzooKernels

extension StagedSweep {
  // MARK: Forward

  /// Slots `slots` of the tape; `tokens`: [count][B].
  /// - Precondition: they begin at a multiple of the block, and are as many unless they end the window: sums do not depend on the calls.
  package func forward(_ slots: Range<Int>, tokens: UnsafePointer<UInt32>, on pool: ThreadPool) {
    eachBlock(slots) { block in
      let tokens = tokens + (block.lowerBound - slots.lowerBound) * streams
      for phase in forwardPhases {
        switch phase {
        case .streams(let index): forward(index, block, tokens, on: pool)
        case .samples(let together):
          eachPiece(of: block, on: pool) { samples in
            for index in together { forward(index, block, samples, tokens) }
          }
        }
      }
    }
  }

  /// What a stage does with some samples of a block by themselves.
  private func forward(
    _ index: Int, _ slots: Range<Int>, _ samples: Range<Int>, _ tokens: UnsafePointer<UInt32>
  ) {
    let stage = stages[index]
    if stage.cell == .layerNorm { return forwardLayerNorm(index, slots, samples) }
    if let source = stage.other, stage.cell.rows == 0 {
      let (units, first) = (Self.units(stage), slots.lowerBound)
      lz_norm_rows(
        instructions.code, h(source, after: first) + samples.lowerBound * units, stage.units, units,
        samples.count, h(index, after: first) + samples.lowerBound * units)
      return
    }
    multiplyBelow(index, slots, samples)
    guard !stage.cell.carriesState else { return }
    var chain = chain(index, asOne: slots)
    lz_chain_forward(
      instructions.code, &chain, stage.below == nil ? tokens : nil, 0, 1, samples.lowerBound, samples.count)
  }

  /// A stage that carries a state, once the products with what lies below are there.
  private func forward(
    _ index: Int, _ slots: Range<Int>, _ tokens: UnsafePointer<UInt32>, on pool: ThreadPool
  ) {
    let stage = stages[index]
    if stage.slots > 0 {
      pool.runStreams(streams) { forwardMemory(index, slots.lowerBound, $0) }
    } else if stage.cell.readsOwnState {
      pool.runStreams(streams) {
        lz_sweep_forward(
          instructions.code, sweeps + index, nil, slots.lowerBound, slots.count, 1, $0.lowerBound, $0.count)
      }
    } else {
      var chain = chain(index, asOne: nil)
      pool.runStreams(streams) {
        lz_chain_forward(
          instructions.code, &chain, stage.below == nil ? tokens : nil, slots.lowerBound, slots.count,
          $0.lowerBound, $0.count)
      }
    }
  }

  /// The products of some samples of a block with what lies below.
  private func multiplyBelow(_ index: Int, _ slots: Range<Int>, _ samples: Range<Int>) {
    let stage = stages[index]
    let width = stage.cell.rows * Self.units(stage)
    stage.eachSource { source, column in
      let units = Self.units(stages[source.stage])
      lz_multiply_samples(
        instructions.code, product(index, column: column).forward, width, source.units,
        h(source.stage, after: slots.lowerBound) + samples.lowerBound * units, units, samples.count,
        column > 0 ? 1 : 0, rows(index, from: slots.lowerBound) + samples.lowerBound * width, width)
    }
  }

  // MARK: Backward

  /// The way back over `slots`, of one block; `outputAdjoint`: [count][B][U] of the last stage.
  package func backward(_ slots: Range<Int>, outputAdjoint: UnsafePointer<Float>, on pool: ThreadPool) {
    precondition(slots.count <= block, "\(slots.count) tokens of \(block)")
    guard isByToken else { return passBack(slots, outputAdjoint, on: pool) }
    for slot in slots.reversed() {
      let first = (slot - slots.lowerBound) * streams * Self.units(stages[stages.count - 1])
      passBack(slot..<slot + 1, outputAdjoint + first, on: pool)
    }
  }

  private func passBack(_ slots: Range<Int>, _ outputAdjoint: UnsafePointer<Float>, on pool: ThreadPool) {
    for phase in backwardPhases {
      switch phase {
      case .streams(let index): backward(index, slots, adjoint(index, outputAdjoint), on: pool)
      case .samples(let together):
        eachPiece(of: slots, on: pool) { samples in
          for index in together { backward(index, slots, samples, adjoint(index, outputAdjoint)) }
        }
      }
    }
  }

  /// ∂h of a stage by what reads it at the same token.
  private func adjoint(_ index: Int, _ output: UnsafePointer<Float>) -> UnsafePointer<Float> {
    index == stages.count - 1 ? output : UnsafePointer(parts[index].adjoint)
  }

  private func backward(
    _ index: Int, _ slots: Range<Int>, _ samples: Range<Int>, _ adjoint: UnsafePointer<Float>
  ) {
    let stage = stages[index]
    if stage.cell == .layerNorm { return backwardLayerNorm(index, slots, samples, adjoint) }
    if let source = stage.other, stage.cell.rows == 0 {
      let at = samples.lowerBound * Self.units(stage)
      lz_norm_rows_backward(
        instructions.code, h(source, after: slots.lowerBound) + at, adjoint + at, stage.units,
        Self.units(stage), samples.count, addsOther[index] ? 1 : 0, parts[source].adjoint + at)
      return
    }
    if !stage.cell.carriesState {
      var chain = chain(index, asOne: slots, adjoint: adjoint)
      lz_chain_backward(instructions.code, &chain, 0, 1, samples.lowerBound, samples.count)
    }
    returnBelow(index, slots, samples)
  }

  private func backward(
    _ index: Int, _ slots: Range<Int>, _ adjoint: UnsafePointer<Float>, on pool: ThreadPool
  ) {
    if stages[index].slots > 0 {
      pool.runStreams(streams) { backwardMemory(index, slots.lowerBound, $0) }
    } else if stages[index].cell.readsOwnState {
      pool.runStreams(streams) {
        lz_sweep_backward(
          instructions.code, sweeps + index, adjoint, slots.lowerBound, slots.count, $0.lowerBound, $0.count)
      }
    } else {
      var chain = chain(index, asOne: nil, adjoint: adjoint)
      pool.runStreams(streams) {
        lz_chain_backward(
          instructions.code, &chain, slots.lowerBound, slots.count, $0.lowerBound, $0.count)
      }
    }
  }

  /// ∂ of what lies below, from ∂ of the rows of some samples.
  private func returnBelow(_ index: Int, _ slots: Range<Int>, _ samples: Range<Int>) {
    let stage = stages[index]
    let width = stage.cell.rows * Self.units(stage)
    stage.eachSource { source, column in
      let units = Self.units(stages[source.stage])
      lz_multiply_samples(
        instructions.code, product(index, column: column).backward, units, stage.gates,
        rows(index, from: slots.lowerBound) + samples.lowerBound * width, width, samples.count,
        (column > 0 ? addsSecond : addsBelow)[index] ? 1 : 0,
        parts[source.stage].adjoint + samples.lowerBound * units, units)
    }
  }
}

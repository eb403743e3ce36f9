import Foundation
import LongzooMemory
import LongzooModel

extension CheckpointState {
  /// Refuses what no run can have written, and what would overflow, trap or never end further on.
  /// - Throws: exit code 65, with the field.
  package func check(_ fields: DecodedFields) throws(RunFailure) {
    try plan.checkDecoded(fields)
    try progress.check(plan, fields)
    try fields.count(optimizerUpdates, "optimizerUpdates", in: 0...progress.step)
    try fields.count(
      tokensBehindPosition, "tokensBehindPosition", in: 0...min(progress.tokensPerStream, longestBlock))
  }

  /// Tokens of a stream that a search can have kept.
  private var longestBlock: Int {
    plan.searched.isEmpty ? 0 : plan.keptChunks * plan.chunk
  }

  /// Refuses tensors that are not those of the configuration, before anything is reserved by what that says.
  /// - Throws: exit code 65.
  package func check(tensorsOf file: SafetensorsReader) throws(RunFailure) {
    let (shape, c) = (try WeightsFile.shape(of: file, as: plan.model), plan)
    guard shape == c.shape else {
      throw .badData(
        "\(file.path): the tensors have \(Self.words(shape)), and the configuration says \(Self.words(c.shape)); the file is damaged"
      )
    }
    let needed = c.carriedBytes
    let held = file.entries.filter {
      $0.name.hasPrefix("longzoo.") && !$0.name.hasPrefix("longzoo.optimizer.")
        && $0.name != "longzoo.average"
    }.reduce(0) { $0 + $1.byteCount }
    guard needed <= held else {
      throw .badData(
        "\(file.path): \(c.estimator.pairs) pairs in \(c.streaming.streams) streams carry \(ByteSize.formatted(needed)), and the file has \(ByteSize.formatted(held)) "
          + "of that; it is damaged")
    }
    if c.estimator.family.isUnrolled { try checkUnroll(file) }
  }

  /// The window with which an unroll began: pes goes through all that have ended since, and each has read a token at least.
  private func checkUnroll(_ file: SafetensorsReader) throws(RunFailure) {
    let name = "longzoo.unroll.start"
    var words = [UInt16](repeating: 0, count: 5)
    var bytes = words.mutableSpan
    try bytes.withUnsafeMutableBytes { (room) throws(RunFailure) in try file.read(name, into: room) }
    let window = words[1...].reversed().reduce(UInt64(0)) { $0 << 16 | UInt64($1) }
    let earliest = UInt64(progress.step - min(progress.step, progress.tokensInContext))
    guard words[0] == 0 || (window >= earliest && window < UInt64(max(1, progress.step))) else {
      throw .badData(
        "\(file.path): tensor \"\(name)\" says that the context began with window \(window), which \(progress.tokensInContext) tokens "
          + "before step \(progress.step) do not reach; the file is damaged")
    }
  }

  private static func words(_ shape: ModelShape) -> String {
    "\(shape.vocabularySize) ids, \(shape.hiddenSize) units, \(shape.layers) layers and \(shape.heads) heads of \(shape.cell) cells"
      + (shape.block == .plain ? "" : " in \(shape.block.rawValue) blocks")
      + (shape.embeddingSize == 0 ? "" : " on an embedding of \(shape.embeddingSize)")
      + (shape.cell.isWholeModel
        ? " with \(shape.memorySlots) slots\(shape.startsEmpty ? ", empty at first," : "") and \(shape.readHeads) read heads"
        : "")
  }
}

extension RunPlan {
  /// The command line's checks, on what a file says.
  /// - Throws: exit code 65, with the file and the option.
  package func checkDecoded(_ fields: DecodedFields) throws(RunFailure) {
    do throws(RunFailure) {
      try validateValues()
      try validateSettled()
    } catch {
      throw fields.failure("its configuration cannot be run: \(error.wording)")
    }
    try fields.require(!data.paths.isEmpty, "configuration.paths names no data")
  }
}

extension RunProgress {
  package func check(_ c: RunPlan, _ fields: DecodedFields) throws(RunFailure) {
    try fields.count(step, "progress.step")
    // What all streams have read together is counted with, too.
    try fields.count(tokensPerStream, "progress.tokensPerStream", in: 0...(1 << 60) / c.streaming.streams)
    try fields.require(
      tokensPerStream >= step, "progress.tokensPerStream is \(tokensPerStream), less than the \(step) steps")
    try fields.count(targets, "progress.targets", in: 0...tokensPerStream * c.streaming.streams)
    try fields.count(tokensInContext, "progress.tokensInContext", in: 0...tokensPerStream)
    try fields.count(refusedUpdates, "progress.refusedUpdates", in: 0...step)
    try fields.finite(trainSeconds, "progress.trainSeconds", atLeast: 0)
    try fields.finite(smoothedLoss, "progress.smoothedLoss")
    try meters.check(fields)
    try watch.check(fields)
    try ratePlan.check(fields)
    try heldOut?.check(step: step, fields)
  }
}

extension HeldOutRecord {
  fileprivate func check(step: Int, _ fields: DecodedFields) throws(RunFailure) {
    for (point, name) in [(best, "best"), (last, "last")] {
      try fields.count(point.step, "progress.heldOut.\(name).step", in: 0...step)
      try fields.finite(point.lossNats, "progress.heldOut.\(name).lossNats")
      try fields.count(point.targets, "progress.heldOut.\(name).targets")
    }
    try fields.count(count, "progress.heldOut.count")
    try fields.count(worse, "progress.heldOut.worse", in: 0...count)
  }
}

extension DivergenceWatch {
  fileprivate func check(_ fields: DecodedFields) throws(RunFailure) {
    try fields.finite(recent, "progress.watch.recent")
    try fields.finite(best, "progress.watch.best")
    try fields.count(windowsAbove, "progress.watch.windowsAbove")
    try fields.count(refusedRunning, "progress.watch.refusedRunning")
  }
}

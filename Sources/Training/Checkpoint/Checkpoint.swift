import Foundation
import LongzooEstimator
import LongzooMemory
import LongzooModel
import LongzooStream

/// How far a run has come: with the tensors of the checkpoint, all that is needed to go on bit for bit.
package struct RunProgress: Codable, Equatable {
  package var step = 0
  /// Tokens that each stream has given.
  package var tokensPerStream = 0
  /// Tokens of all streams that were to be predicted.
  package var targets = 0
  /// Tokens since the states were last zero.
  package var tokensInContext = 0
  /// Updates that were refused because a loss was infinite or NaN.
  package var refusedUpdates = 0
  /// Seconds of training, evaluation left out, over all resumptions.
  package var trainSeconds = 0.0
  /// Running mean of the window losses, in nats a token; nil before the first.
  package var smoothedLoss: Double?
  package var meters = RunMeters()
  package var watch = DivergenceWatch()
  package var ratePlan = RatePlan()
  /// nil before the first evaluation.
  package var heldOut: HeldOutRecord?
}

/// The metadata of a checkpoint.
package struct CheckpointState: Codable {
  private enum CodingKeys: String, CodingKey {
    case version
    case plan = "configuration"
    case progress, optimizerUpdates, position, tokensBehindPosition
  }

  package var version = 1
  package var plan: RunPlan
  package var progress: RunProgress
  package var optimizerUpdates: Int
  package var position: StreamPosition
  /// How much further each stream has been read: after a search for a learning rate the position is where that began.
  package var tokensBehindPosition = 0
}

/// All that a version must be able to read of another one's checkpoint.
private struct CheckpointVersion: Decodable {
  var version: Int
}

/// `checkpoint.safetensors`: the weights in training, the optimizer's moments, the averaged weights, and what the
/// estimator carries: states, and which tokens its directions have met. Directions are drawn again from the seed.
package enum Checkpoint {
  package static let key = "longzoo.checkpoint"

  package static func write(
    to path: String, _ state: CheckpointState, _ model: any TrainingState, through buffer: TransferBuffer
  ) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = .sortedKeys
    let json = String(decoding: try encoder.encode(state), as: UTF8.self)
    let metadata = WeightsFile.dataMetadata(state.plan).merging([key: json]) { $1 }
    try SafetensorsWriter.write(
      to: path, isOfRun: true, metadata: metadata, tensors: model.checkpointTensors, through: buffer)
  }

  /// What a checkpoint says of its run: checked, so that everything in it can be counted with.
  /// - Throws: exit code 65 if it is not one of ours, or says what no run can have written.
  package static func state(of file: SafetensorsReader) throws(RunFailure) -> CheckpointState {
    guard let json = file.metadata[key] else {
      throw .badData(
        "\(file.path) holds weights only, no run to resume; start from it with \(.initialWeights)")
    }
    let fields = DecodedFields(file: file.path)
    guard try fields.decode(CheckpointVersion.self, from: Data(json.utf8)).version == 1 else {
      throw .badData("\(file.path) was written by a version of longzoo that this one cannot resume")
    }
    let state = try fields.decode(CheckpointState.self, from: Data(json.utf8))
    try state.check(fields)
    try state.check(tensorsOf: file)
    return state
  }
}

/// Memory that a checkpoint holds as it is.
package struct CheckpointMemory {
  private let name: String
  private let dtype: Safetensors.DType
  private let bytes: UnsafeRawBufferPointer

  package init(_ name: String, _ dtype: Safetensors.DType, _ bytes: UnsafeRawBufferPointer) {
    self.name = "longzoo." + name
    self.dtype = dtype
    self.bytes = bytes
  }

  package init(_ state: CarriedState) {
    self.init(state.name, state.element == .float32 ? .f32 : .u16, UnsafeRawBufferPointer(state.bytes))
  }

  package var tensor: TensorToWrite {
    TensorToWrite(name: name, dtype: dtype, shape: [bytes.count / dtype.width], bytes: bytes)
  }

  package func read(_ file: SafetensorsReader) throws(RunFailure) {
    try file.read(name, into: UnsafeMutableRawBufferPointer(mutating: bytes))
  }
}

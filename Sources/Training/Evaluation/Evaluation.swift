import Foundation

/// What a model does on tokens that it was not trained on.
public struct Evaluation {
  /// Tokens behind the first that were read.
  public var tokens: Int
  /// Tokens that were to be predicted.
  public var targets: Int
  public var lossNats: Double
  public var unigramBits: Double?
  public var bigramBits: Double?
  /// Mean loss of the targets at positions 2^i ..< 2^(i+1) since the state was zero, in nats; nil where there is none.
  public var lossByPosition: [Double?]
  /// The score of marked data.
  public var answers: AnswerScore?
  /// It was given up before the end of the data: the figures are those of the tokens that were read until then.
  public var isPartial = false

  public var bitsPerToken: Double { lossNats / log(2) }
}

/// How often the most probable id was the target, the targets before it being given.
public struct AnswerScore {
  /// Share of the targets.
  public var accuracy: Double
  /// Runs of targets without a marked token between them.
  public var answers: Int
  /// Share of the answers that are right from their first to their last token.
  public var sequenceAccuracy: Double
}

/// The sums over some of the evaluated tokens.
package struct EvaluationSums {
  /// With those that are marked.
  package private(set) var tokens = 0
  package private(set) var targets = 0
  package private(set) var answers = 0
  private var loss = 0.0
  private var hits = 0
  private var rightAnswers = 0
  private var isWithinAnswer = false
  private var isRightSoFar = true
  private var positionLosses = [Double](repeating: 0, count: 64)
  private var positionTargets = [Int](repeating: 0, count: 64)

  /// Adds a target, or with nil one that is marked.
  /// - Parameter position: tokens since the state was zero, from 1.
  package mutating func add(_ target: (loss: Float, isHit: Bool)?, position: Int) {
    tokens += 1
    guard let target else { return endAnswer() }
    targets += 1
    loss += Double(target.loss)
    let bucket = Int.bitWidth - 1 - position.leadingZeroBitCount
    positionLosses[bucket] += Double(target.loss)
    positionTargets[bucket] += 1
    if target.isHit { hits += 1 } else { isRightSoFar = false }
    isWithinAnswer = true
  }

  /// To be called at a reset and at the end too.
  package mutating func endAnswer() {
    if isWithinAnswer {
      answers += 1
      if isRightSoFar { rightAnswers += 1 }
    }
    (isWithinAnswer, isRightSoFar) = (false, true)
  }

  package mutating func add(_ other: EvaluationSums) {
    tokens += other.tokens
    targets += other.targets
    answers += other.answers
    loss += other.loss
    hits += other.hits
    rightAnswers += other.rightAnswers
    for i in 0..<64 {
      positionLosses[i] += other.positionLosses[i]
      positionTargets[i] += other.positionTargets[i]
    }
  }

  package var lossNats: Double { loss / Double(targets) }

  package var lossByPosition: [Double?] {
    let last = positionTargets.lastIndex { $0 > 0 } ?? -1
    return (0..<last + 1).map {
      positionTargets[$0] > 0 ? positionLosses[$0] / Double(positionTargets[$0]) : nil
    }
  }

  package var score: AnswerScore? {
    guard answers > 0 else { return nil }
    return AnswerScore(
      accuracy: Double(hits) / Double(targets), answers: answers,
      sequenceAccuracy: Double(rightAnswers) / Double(answers))
  }
}

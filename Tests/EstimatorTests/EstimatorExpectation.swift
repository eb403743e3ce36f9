import LongzooMemory
import LongzooModel
import LongzooTestSupport
import Testing

@testable import LongzooEstimator

extension EstimatorFamily {
  /// A tiny model and many pairs; ε is small enough for the bias to be lost in the error of 51,200 directions, about 0.004 of the
  /// gradient.
  var expectationCases: [EstimatorLawCase] {
    let base = EstimatorLawCase(self, pairs: 256, streams: 1).but("") {
      $0.workload.shape = ModelShape(vocabularySize: 5, hiddenSize: 3)
      ($0.configuration.epsilon, $0.configuration.creditDecay) = (0x1p-7, 1)
      ($0.configuration.lifetime, $0.configuration.clipNorm) = (1, 0)
    }
    let directions = movesWeights ? EstimatorMode.directions(perturbations) : [(.rank1, 1)]
    var cases = directions.map { perturbation, rank in
      base.but("\(perturbation), rank \(rank)") {
        ($0.configuration.perturbation, $0.configuration.rank) = (perturbation, rank)
      }
    }
    if settings.contains(.readout) {
      cases += cases.prefix(isUnrolled ? 1 : cases.count).map { exact in
        exact.but(exact.what + ", estimated readout") { $0.configuration.readout = .zo }
      }
    }
    if hasPairs { cases.append(base.but("a stream a pair") { $0.workload.streams = 256 }) }
    for shape in otherShapes(base.workload.shape) where shape.referenceGradient != nil {
      cases.append(base.but("\(shape.what)") { $0.workload.shape = shape })
    }
    return cases
  }
}

/// The mean of many estimates, held against the exact gradient. Seeds are fixed: it cannot fail by chance, only by change.
struct EstimatorExpectation {
  let subject: EstimatorLawCase
  private static let text: [UInt32] = [0, 1, 2, 3, 4, 2, 0, 3, 1, 1]
  private static let tokens = 8
  private static let estimates = 200

  init(_ subject: EstimatorLawCase) { self.subject = subject }

  func check() throws {
    let under = try subject.subject()
    under.streams = under.streams.map { _ in Self.text }
    let exact = exactGradient(under)
    let isVaried = subject.family.hasPairs && !subject.family.isExact
    let searched = isVaried ? searchedParameters : 0
    var (average, cosines) = (EstimatorAverage(), EstimatorAverage())
    for number in 0..<(isVaried ? Self.estimates : 1) {
      under.windows.beginContext()
      under.run(number, from: 0, chunks: [5, 3])
      average.add(under.gradient)
      if isVaried { cosines.add([cosine(Array(under.gradient[..<searched]), Array(exact[..<searched]))]) }
    }
    if isVaried {
      checkScores(Array(average.scores(against: exact)[..<searched]))
      if subject.family.movesWeights { checkCosine(cosines, parameters: searched) }
    }
    // An exact readout's gradient is that of the moved models: within O(ε²), here 10⁻⁴ of a gradient.
    let norm = dot(exact, exact).squareRoot()
    for i in searched..<exact.count where abs(average.mean[i] - exact[i]) > (isVaried ? 2e-3 : 2e-5) * norm {
      Issue.record("\(subject.testDescription), parameter \(i): \(average.mean[i]), \(exact[i])")
    }
  }

  private func exactGradient(_ under: any EstimatorSubject) -> [Double] {
    let shape = subject.workload.shape
    let tokens = Self.text[0...Self.tokens].map(Int.init)
    return shape.referenceGradient!(under.theta, tokens).map { $0 / Double(Self.tokens) }
  }

  /// Those whose gradient is estimated.
  private var searchedParameters: Int {
    let shape = subject.workload.shape
    return subject.configuration.readout == .exact ? shape.slice(.readout).offset : shape.parameterCount
  }

  /// Within 5 standard errors everywhere, and one on average: components of one estimate are not independent, so that the mean of
  /// the squared scores of n may leave 1 by more than √(2/n).
  private func checkScores(_ scores: [Double]) {
    let varying = scores.filter { $0 != 0 }
    let meanSquare = dot(varying, varying) / Double(varying.count)
    let largest = varying.map { abs($0) }.max() ?? 0
    #expect(largest < 5, "\(subject.testDescription): \(largest) standard errors")
    let spread = 4.5 * (2 / Double(varying.count)).squareRoot()
    #expect(
      meanSquare > 0.4 && meanSquare < 1 + max(0.6, spread),
      "\(subject.testDescription): mean squared score \(meanSquare)")
  }

  /// All tokens are read, so that all directions act: d is the number of searched parameters. The mean of a ratio differs from
  /// the ratio of means by terms of 1/n.
  private func checkCosine(_ cosines: EstimatorAverage, parameters: Int) {
    let pairs = Double(subject.configuration.pairs)
    let theory = subject.configuration.directions.predictedCosine(
      pairs: pairs, parameters: Double(parameters))
    let tolerance = 5 * cosines.standardErrors[0] + 1 / pairs
    #expect(
      abs(cosines.mean[0] - theory) < tolerance,
      "\(subject.testDescription): cosine \(cosines.mean[0]), theory \(theory)")
  }
}

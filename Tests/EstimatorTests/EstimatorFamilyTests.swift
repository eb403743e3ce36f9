import Foundation
import LongzooMemory
import LongzooModel
import Testing

@testable import LongzooEstimator

@Suite("Families of estimators")
struct EstimatorFamilyTests {
  @Test("Every family has a name of its own, by which it is found and coded")
  func names() throws {
    let all = EstimatorFamily.all
    #expect(Set(all.map(\.name)).count == all.count && Set(all).count == all.count)
    for family in all {
      #expect(EstimatorFamily(named: family.name) == family)
      let coded = try JSONEncoder().encode([family])
      #expect(String(decoding: coded, as: UTF8.self) == "[\"\(family.name)\"]")
      #expect(try JSONDecoder().decode([EstimatorFamily].self, from: coded) == [family])
    }
    #expect(EstimatorFamily(named: "spsa") == nil)
    #expect(throws: DecodingError.self) {
      try JSONDecoder().decode([EstimatorFamily].self, from: Data("[\"spsa\"]".utf8))
    }
  }

  @Test(
    "A setting that means nothing is refused under its name and the family's", arguments: EstimatorFamily.all)
  func foreignSettings(_ family: EstimatorFamily) throws {
    for setting in EstimatorSettingsTests.all {
      let refusal = family.refusal(of: setting)
      #expect((refusal == nil) == family.settings.contains(setting))
      guard let refusal else { continue }
      #expect(refusal.settings.prefix(2) == [setting, Setting("estimator")])
      #expect(refusal.description.contains("estimator \(family.name)"))
    }
    #expect(family.settings.isSubset(of: EstimatorSettingsTests.all))
  }

  @Test("What a family cannot do is refused, and its defaults are not", arguments: EstimatorFamily.all)
  func refusals(_ family: EstimatorFamily) {
    let defaults = family.defaults
    var c = EstimatorConfiguration()
    (c.pairs, c.epsilon) = (defaults.pairs, defaults.epsilon)
    (c.lifetime, c.maxDivergence) = (defaults.lifetime, defaults.maxDivergence)
    var w = EstimatorLawCase(family).workload
    w.window = defaults.window.tokens ?? defaults.context
    w.context = defaults.context
    #expect(family.refusal(of: c, w) == nil)
    for perturbation in Perturbation.allCases where family.movesWeights {
      c.perturbation = perturbation
      #expect((family.refusal(of: c, w) == nil) == family.perturbations.contains(perturbation))
    }
    c.perturbation = .rank1
    w.context = nil
    #expect((family.refusal(of: c, w) != nil) == family.isUnrolled)
  }

  @Test("Traits are those of what is made", arguments: EstimatorFamily.all)
  func traits(_ family: EstimatorFamily) throws {
    let subject = EstimatorLawCase(family)
    let estimator = try subject.subject().windows
    #expect((estimator is any PerturbingEstimator) == family.hasPairs)
    #expect((estimator is any InterruptibleEstimator) == family.isExact)
    #expect((estimator is CDRGE) == family.hasCoefficients)
    if family.worksInPlace { #expect(estimator is any InPlaceEstimator) }
    #expect(family.settings.contains(.lifetime) == (family.credit == .lifetime))
    #expect(family.movesWeights == family.settings.contains(.rank))
    #expect(!family.takesDifferences || family.hasPairs)
  }

  @Test("Credit ends at a reset, and does not overflow")
  func credit() {
    var c = EstimatorConfiguration()
    c.lifetime = 5
    var w = EstimatorLawCase(.cdRGE).workload
    (w.window, w.context) = (16, nil)
    #expect(EstimatorFamily.cdRGE.creditReach(c, w) == 80)
    #expect(EstimatorFamily.tbptt.creditReach(c, w) == 16)
    w.context = 50
    for family in [EstimatorFamily.cdRGE, .pes, .hybrid] { #expect(family.creditReach(c, w) == 50) }
    (w.window, w.context, c.lifetime) = (.max, nil, 2)
    #expect(EstimatorFamily.cdRGE.creditReach(c, w) == .max)
  }

  @Test("What choices are coded as stays: checkpoints have it")
  func coding() throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = .sortedKeys
    func text(_ value: some Encodable) throws -> String {
      String(decoding: try encoder.encode(value), as: UTF8.self)
    }
    #expect(try text([CheckpointingChoice.none, .every(7)]) == #"[{"none":{}},{"every":{"_0":7}}]"#)
    #expect(try text([WindowChoice.tokens(8), .context]) == #"[{"tokens":{"_0":8}},{"context":{}}]"#)
    #expect(try text(Perturbation.allCases) == #"["rank1","rademacher","gaussian"]"#)
    #expect(try text(ReadoutKind.allCases) == #"["zo","exact"]"#)
  }
}

private enum EstimatorSettingsTests {
  /// Every property of `EstimatorConfiguration`, of which a mirror shows the choices: `_pairs`.
  static let all = Set(
    Mirror(reflecting: EstimatorConfiguration()).children.compactMap {
      $0.label.map { Setting(String($0.dropFirst())) }
    })
}

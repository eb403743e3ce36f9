import ArgumentParser
import Foundation
import LongzooEstimator
import LongzooMemory
import LongzooModel

/// `--estimator`
extension EstimatorFamily: ExpressibleByArgument {
  public init?(argument: String) { self.init(named: argument) }

  public var defaultValueDescription: String { name }
  public static var allValueStrings: [String] { all.map(\.name) }

  static let optionHelp =
    "The gradient estimator. From pairs of models: " + list { $0.hasPairs && !$0.isExact } + ". Exact: "
    + list { !$0.hasPairs } + ". Both: " + list { $0.hasPairs && $0.isExact }
    + ". (default: \(standard.name))"

  /// The default of a setting, and those of families that have another one: "0.2; 0.05 for hybrid".
  static func defaults<Value: Hashable>(_ value: KeyPath<EstimatorDefaults, Value>, of setting: Setting)
    -> String
  {
    let usual = standard.defaults[keyPath: value]
    let others = all.filter { $0.settings.contains(setting) && $0.defaults[keyPath: value] != usual }
    let texts = Dictionary(grouping: others) { $0.defaults[keyPath: value] }.map { value, families in
      "\(value) for \(families.map(\.name).joined(separator: " and "))"
    }
    return (["\(usual)"] + texts.sorted()).joined(separator: "; ").replacingOccurrences(
      of: "0.0 ", with: "0 ")
  }

  static var epsilonDefaults: String {
    let moved = all.compactMap { family in
      family.defaults.epsilonOfEstimatedReadout.map { ", \($0) for \(family.name) with --readout zo" }
    }
    let cells = Cell.all.filter { !$0.isBounded }.map { "--cell \($0.name)" }
    let small = ", a tenth of it for \((cells + ["--block residual"]).joined(separator: ", "))"
    return defaults(\.epsilon, of: .epsilon) + moved.joined() + small
  }

  private static func list(of isListed: (EstimatorFamily) -> Bool) -> String {
    all.filter(isListed).map { "\($0.name) (\($0.help))" }.joined(separator: ", ")
  }
}

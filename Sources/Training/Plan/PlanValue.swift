import LongzooEstimator
import LongzooModel
import LongzooStream

/// What a plan's property may be: a value that files hold, and that people can read and type.
protocol PlanValue: SendableMetatype {
  associatedtype Present: Codable & SendableMetatype
  /// nil: there is none.
  var presentValue: Present? { get }
  init(present: Present)
  var planText: String? { get }
}

/// Values that are always there.
protocol PresentPlanValue: PlanValue, Codable where Present == Self {}

extension PresentPlanValue {
  var presentValue: Self? { self }
  init(present: Self) { self = present }
}

extension PresentPlanValue where Self: RawRepresentable, RawValue == String {
  var planText: String? { rawValue }
}

extension PresentPlanValue where Self: CustomStringConvertible {
  var planText: String? { description }
}

extension Int: PresentPlanValue {}
extension UInt64: PresentPlanValue {}
extension Double: PresentPlanValue {}
extension Bool: PresentPlanValue {}
extension String: PresentPlanValue {}
extension TokenType: PresentPlanValue {}
extension CompressionChoice: PresentPlanValue {}
extension FormatChoice: PresentPlanValue {}
extension TargetChoice: PresentPlanValue {}
extension Cell: PresentPlanValue {}
extension BlockKind: PresentPlanValue {}
extension ResetKind: PresentPlanValue {}
extension EstimatorFamily: PresentPlanValue {}
extension Perturbation: PresentPlanValue {}
extension StepRule: PresentPlanValue {}
extension ReadoutKind: PresentPlanValue {}
extension OptimizerKind: PresentPlanValue {}
extension ScheduleKind: PresentPlanValue {}
extension Regime: PresentPlanValue {}

extension [String]: PlanValue, PresentPlanValue {
  var planText: String? { joined(separator: " ") }
}

extension WindowChoice: PresentPlanValue {
  var planText: String? { if case .tokens(let count) = self { "\(count)" } else { "context" } }
}

extension CheckpointingChoice: PresentPlanValue {
  var planText: String? { if case .every(let tokens) = self { "\(tokens)" } else { "\(self)" } }
}

extension SaveChoice: PresentPlanValue {
  var planText: String? { if case .updates(let count) = self { "\(count)" } else { "never" } }
}

extension Optional: PlanValue where Wrapped: PresentPlanValue {
  var presentValue: Wrapped? { self }
  init(present: Wrapped) { self = present }
  var planText: String? { flatMap(\.planText) }
}

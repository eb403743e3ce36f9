import ArgumentParser
import LongzooEstimator
import LongzooModel
import LongzooStream
import LongzooTraining

extension TokenType: ExpressibleByArgument {}
extension CompressionChoice: ExpressibleByArgument {}
extension TargetChoice: ExpressibleByArgument {}
extension FormatChoice: ExpressibleByArgument {}
extension Instructions: ExpressibleByArgument {}
extension BlockKind: ExpressibleByArgument {}
extension OptimizerKind: ExpressibleByArgument {}
extension StepRule: ExpressibleByArgument {}
extension ScheduleKind: ExpressibleByArgument {}
extension Perturbation: ExpressibleByArgument {}
extension ReadoutKind: ExpressibleByArgument {}
extension ResetKind: ExpressibleByArgument {}

enum RegimeChoice: String, CaseIterable, ExpressibleByArgument { case auto, shared, inplace }

extension Cell: ExpressibleByArgument {
  public init?(argument: String) {
    guard let cell = Cell.named(argument) else { return nil }
    self = cell
  }

  public static var allValueStrings: [String] { all.map(\.name) }

  static let optionHelp =
    "The recurrent cell: " + all.map { "\($0.name) (\($0.help))" }.joined(separator: ", ")
    + ". (default: lstm)"
}

extension ModelPlan {
  /// "1 layer", "3 residual blocks"
  var layersText: String {
    "\(layers) \(block == .plain ? "layer" : "residual block")\(layers == 1 ? "" : "s")"
  }
}

extension WindowChoice {
  /// `N|context`
  static func parse(_ text: String) throws -> WindowChoice {
    text == "context" ? .context : .tokens(try TokenCount.parse(text).value)
  }
}

extension CheckpointingChoice {
  /// `none|sqrt|binomial|N`
  static func parse(_ text: String) throws -> CheckpointingChoice {
    switch text {
    case "none": return .none
    case "sqrt": return .sqrt
    case "binomial": return .binomial
    default:
      let tokens = try TokenCount.number(text)
      guard tokens >= 1 else { throw ValidationError("a segment has at least one token.") }
      return .every(tokens)
    }
  }
}

extension SaveChoice {
  /// `N|never`
  static func parse(_ text: String) throws -> SaveChoice {
    text == "never" ? .never : .updates(try TokenCount.number(text))
  }
}

/// `--lr F|auto`, `--eps F|auto`
enum SearchedNumber: Equatable {
  case auto
  case value(Double)

  static func parse(_ text: String) throws -> SearchedNumber {
    if text == "auto" { return .auto }
    guard text.contains(where: \.isNumber) else {
      throw ValidationError("it is neither a decimal number nor 'auto'.")
    }
    return .value(try DecimalNumber.parse(text))
  }
}

extension ScheduleKind {
  static let help = "constant; linear or cosine: down to 0 at the end that --max-… sets."
}

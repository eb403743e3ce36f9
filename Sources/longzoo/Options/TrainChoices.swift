import ArgumentParser
import LongzooEstimator
import LongzooModel
import LongzooStream

extension TokenType: ExpressibleByArgument {}
extension CompressionChoice: ExpressibleByArgument {}
extension TargetChoice: ExpressibleByArgument {}
extension FormatChoice: ExpressibleByArgument {}
extension Instructions: ExpressibleByArgument {}
extension OptimizerKind: ExpressibleByArgument {}
extension StepRule: ExpressibleByArgument {}
extension ScheduleKind: ExpressibleByArgument {}

/// `--perturbation`; `--rank` says the rest.
enum Perturbation: String, CaseIterable, Codable, ExpressibleByArgument {
  case rank1, rademacher, gaussian

  func directions(rank: Int) -> DirectionKind {
    switch self {
    case .rank1: .products(rank)
    case .rademacher: .rademacher
    case .gaussian: .gaussian
    }
  }
}

/// `--cell`
enum CellKind: String, Codable {
  case lstm

  static func parse(_ text: String) throws -> CellKind {
    guard let cell = CellKind(rawValue: text) else {
      throw ValidationError("the only recurrent cell that there is yet is lstm.")
    }
    return cell
  }
}

/// `--checkpointing none|sqrt|binomial|N`
enum CheckpointingChoice: Codable, Equatable {
  case none, sqrt, binomial
  case every(Int)

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
enum ReadoutKind: String, CaseIterable, Codable, ExpressibleByArgument {
  /// Estimated like all other parameters.
  case zo
  /// Its gradient summed online.
  case exact
}
enum ResetKind: String, CaseIterable, Codable, ExpressibleByArgument {
  /// Every stream after a context of its own.
  case context
  /// All streams at the same time.
  case together
  case never
}

/// How a run's weights are kept.
enum Regime: String, Codable {
  /// Parameters, their packed copy, a gradient, an optimizer, an average.
  case shared
  /// The packed weights only.
  case inPlace = "inplace"
}

enum RegimeChoice: String, CaseIterable, ExpressibleByArgument { case auto, shared, inplace }

/// `--save-interval N|never`
enum SaveChoice: Codable, Equatable {
  case updates(Int)
  /// No file of weights at all.
  case never

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
    guard let value = try? DecimalNumber.parse(text) else {
      throw ValidationError("it is neither a decimal number nor 'auto'.")
    }
    return .value(value)
  }
}

/// How long the step along an estimate is.
public enum StepRule: String, CaseIterable, Codable, Sendable {
  /// The learning rate times the estimate.
  case gradient
  /// The learning rate times L/‖∇L‖²: with a rate of 1 the step that would bring the loss to 0 if it fell on as steeply as it
  /// does here (Polyak, 1969, for a minimum of 0). ‖∇L‖² is estimated by the mean square of the pairs' slopes.
  case polyak
}

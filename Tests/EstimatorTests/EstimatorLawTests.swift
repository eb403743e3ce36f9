import LongzooMemory
import LongzooModel
import LongzooTestSupport
import Testing

@testable import LongzooEstimator

/// The laws of all families. A new one is checked by being in `EstimatorFamily.all`.
@Suite("What every estimator must keep")
struct EstimatorLawTests {
  @Test(
    "Chunks, threads, resumes, searches, bytes and allocations",
    arguments: EstimatorFamily.all.flatMap(\.lawCases))
  func laws(_ subject: EstimatorLawCase) throws { try EstimatorLaws(subject).check() }

  /// From a zero state, where every family estimates the same gradient: nothing lies beyond the window.
  @Test(
    "The mean of many estimates of a first window is its exact gradient",
    arguments: EstimatorFamily.all.flatMap(\.expectationCases))
  func expectation(_ subject: EstimatorLawCase) throws { try EstimatorExpectation(subject).check() }
}

import LongzooStream

extension RunConfiguration {
  /// A pipe is one stream, and a hundred columns for each of its tokens are slow: 400 tokens a second on two cores with
  /// 256 pairs, ten thousand with 16, at nearly the loss (Benchmarks/notes/pipe-defaults.md).
  package static let defaultPipePairs = 16
  /// A single stream meets the zero state only where it is reset, and never otherwise: then a model that had read 200,000
  /// tokens could not begin anew, with 50 bits a token held out where it had 3.3 in training.
  package static let defaultPipeContext = 1000

  /// Defaults for one stream of tokens that come at their own pace.
  package mutating func setPipeDefaults(arePairsGiven: Bool, isContextGiven: Bool) {
    if !arePairsGiven, estimator.hasPairs { pairs = Self.defaultPipePairs }
    guard !isContextGiven else { return }
    switch estimator {
    case .cdRGE, .fdRGE, .jvp, .nres, .node: context = Self.defaultPipeContext
    // They have short contexts from files too, or need the whole of one.
    case .pes, .tbptt, .hybrid, .bptt: break
    }
  }
}

/// The streams' contexts, spread evenly over the time that one takes.
///
/// Were all streams reset together, then with contexts of a million tokens a model would meet a zero state a few times in a run, and forget
/// how to go on from one. So stream s of S is reset s/S of a context behind stream 0: its first context is shorter, by less than all of it
/// and in whole windows, and all others have their full length. As a context's last window is cut to end with it, the same windows
/// end the contexts of all streams.
package struct StaggeredContexts {
  package let context: Int
  package let window: Int
  package let streams: Int

  /// The streams that begin a context when stream 0 has had so many tokens of its own, 0 ..< context.
  package func streams(beginningAt tokens: Int) -> Range<Int> {
    firstStream(from: tokens)..<firstStream(from: context - tokens <= window ? context : tokens + window)
  }

  /// ⌈tokens·S/context⌉, the first stream that is at least so far behind.
  private func firstStream(from tokens: Int) -> Int {
    let (quotient, rest) = context.dividingFullWidth(tokens.multipliedFullWidth(by: streams))
    return quotient + (rest > 0 ? 1 : 0)
  }
}

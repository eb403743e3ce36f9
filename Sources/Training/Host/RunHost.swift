import LongzooMemory
import LongzooStream

/// What surrounds a run: who may end it, who is told of it, and by which clock it goes.
///
/// The default host lets a run go on to its limits, in silence.
public struct RunHost {
  /// Asked before every chunk of tokens, by every phase of a run and by its threads: nil lets it go on.
  public var stop: @Sendable () -> StopRequest?
  /// Told what is noticed of the data that is no error, one sentence at a time.
  public var warn: @Sendable (Wording) -> Void
  /// Told what happens, on the thread that runs; it should not take long.
  public var observe: (RunEvent, Trainer) -> Void
  public var clock: any WallClock

  public init(
    stop: @escaping @Sendable () -> StopRequest? = { nil },
    warn: @escaping @Sendable (Wording) -> Void = { _ in },
    observe: @escaping (RunEvent, Trainer) -> Void = { _, _ in }, clock: any WallClock = MonotonicClock()
  ) {
    self.stop = stop
    self.warn = warn
    self.observe = observe
    self.clock = clock
  }

  var isStopped: @Sendable () -> Bool {
    let stop = stop
    return { stop() != nil }
  }
}

/// How a run is asked to end before its limits. An update that is quick is finished; the run saves, and can be resumed.
public enum StopRequest: Sendable {
  /// Somebody waits for the end: what takes a second more, such as the loss on held-out tokens, is still done.
  case soon
  /// Nothing is done any more but saving.
  case now
}

extension StreamConfiguration {
  /// Data that is given up when the host wants so, and that tells it what is odd about it.
  package func read(for host: RunHost, warns: Bool = true) -> StreamConfiguration {
    var data = self
    data.isInterrupted = host.isStopped
    if warns { data.notify = host.warn }
    return data
  }
}

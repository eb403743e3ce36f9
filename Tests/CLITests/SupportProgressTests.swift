import Foundation
import Testing

@testable import LongzooTraining
@testable import longzoo

@Suite struct ProgressLineTests {
  /// A progress line into a pipe, with a clock that the test turns.
  private final class Bench {
    var seconds = 0.0
    private(set) var ends: [Int32] = [0, 0]

    init() { pipe(&ends) }
    deinit { for end in ends where end >= 0 { close(end) } }

    func line(total: Int?, terminal: Bool = false, quiet: Bool = false) -> ProgressLine {
      ProgressLine(
        total: total, quiet: quiet,
        output: .init(descriptor: ends[1], isTerminal: terminal, now: { [unowned self] in seconds }))
    }

    func written() -> String {
      var bytes = [UInt8](repeating: 0, count: 1 << 16)
      var poller = pollfd(fd: ends[0], events: Int16(POLLIN), revents: 0)
      guard poll(&poller, 1, 0) == 1 else { return "" }
      let count = read(ends[0], &bytes, bytes.count)
      return String(decoding: bytes.prefix(max(0, count)), as: UTF8.self)
    }

    func closeReader() {
      close(ends[0])
      ends[0] = -1
    }
  }

  @Test func linesLookLikeTqdm() {
    let progress = Bench().line(total: 1_000_000)
    #expect(
      progress.line(250_000, note: "loss 2.31", elapsed: 75)
        == "25% 250k/1.00M [01:15<03:45, 3.33k tok/s] loss 2.31")
    #expect(progress.line(0, note: "", elapsed: 0) == "0% 0/1.00M [00:00<?, ? tok/s]")
    let pipe = Bench().line(total: nil)
    #expect(pipe.line(7_200_000, note: "", elapsed: 7200) == "7.20M [2:00:00, 1.00k tok/s]")
  }

  @Test func logsGetWholeLinesAtASlowPace() {
    let bench = Bench()
    let progress = bench.line(total: 1000)
    for step in 0..<1000 {
      bench.seconds = Double(step) * 0.1
      progress.update(step)
    }
    progress.finish(1000, note: "done")
    let lines = bench.written().split(separator: "\n")
    #expect((10...25).contains(lines.count), "\(lines.count)")
    #expect(lines.allSatisfy { !$0.contains("\r") && !$0.contains("\u{1B}") })
    #expect(lines.last?.hasSuffix("done") == true)
  }

  @Test func terminalsGetOneLineRewritten() {
    let bench = Bench()
    let progress = bench.line(total: 1000, terminal: true)
    for step in 0..<1000 {
      bench.seconds = Double(step) * 0.01
      progress.update(step, note: String(repeating: "x", count: 200))
    }
    progress.message("saved")
    let text = bench.written()
    let updates = text.split(separator: "\r").dropLast()
    #expect((90...101).contains(updates.count), "\(updates.count)")
    #expect(updates.allSatisfy { $0.count <= 79 + 3 })
    #expect(text.hasSuffix("\r\u{1B}[Ksaved\n"))
  }

  @Test func quietSaysNothing() {
    let bench = Bench()
    let progress = bench.line(total: 10, quiet: true)
    progress.update(1)
    progress.message("x")
    progress.finish(10)
    #expect(bench.written() == "")
  }

  @Test(.timeLimit(.minutes(1))) func fullAndClosedOutputsDoNotHoldUpTheRun() {
    signal(SIGPIPE, SIG_IGN)
    let bench = Bench()
    let progress = bench.line(total: nil)
    for step in 0..<5000 { progress.finish(step, note: String(repeating: "y", count: 100)) }
    bench.closeReader()
    for step in 0..<10 { progress.finish(step) }
    let closed = ProgressLine(total: 1, output: .init(descriptor: 987, isTerminal: true, now: { 0 }))
    closed.finish(1)
  }
}

@Suite(.serialized) struct SignalsTests {
  @Test func theFirstSignalIsAFlag() {
    Signals.install()
    #expect(Signals.received == nil)
    // To the process and not to this thread, which may block signals. A repetition at once, as `timeout` sends
    // it, is the same request.
    for _ in 0..<2 { kill(getpid(), SIGTERM) }
    for _ in 0..<100 where Signals.received == nil { usleep(20_000) }
    #expect(Signals.received == SIGTERM)
    for number in [SIGINT, SIGTERM] {
      // The repetition may not have been delivered yet: to ignore a signal forgets it.
      signal(number, SIG_IGN)
      signal(number, SIG_DFL)
    }
    Signals.forget()
  }

  @Test func repetitionsTogetherAreOneRequest() {
    let (first, wait) = (Int64(5_000_000_000), Signals.debounceNanoseconds)
    Signals.forget()
    #expect(!Signals.isSecond(SIGTERM, at: first) && Signals.received == SIGTERM)
    // On another thread, whose clock was read before.
    #expect(!Signals.isSecond(SIGINT, at: first - 1000) && Signals.received == SIGTERM)
    #expect(!Signals.isSecond(SIGTERM, at: first + wait))
    #expect(Signals.isSecond(SIGTERM, at: first + wait + 1))
    Signals.forget()
    #expect(Signals.received == nil)
  }
}

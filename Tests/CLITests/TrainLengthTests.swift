import LongzooEstimator
import LongzooMemory
import Testing

@testable import LongzooTraining
@testable import longzoo

/// How long a run is, and what decides it.
@Suite struct TrainLengthTests {
  private func configuration(_ change: (inout RunPlan) -> Void = { _ in }) -> RunPlan {
    var c = RunPlan()
    c.data.paths = ["data"]
    c.streaming.streams = 4
    c.estimator.pairs = 4
    change(&c)
    return c
  }

  private func progress(steps: Int, window: Int = 8) -> RunProgress {
    var p = RunProgress()
    p.step = steps
    p.tokensPerStream = steps * window
    return p
  }

  /// A window ends with its context, and what is announced is what is read.
  @Test func windowsAreNoLongerThanContexts() throws {
    let c = configuration {
      ($0.streaming.context, $0.streaming.window, $0.limits.maxSteps) = (4, .tokens(8), 10)
    }
    #expect(RunLimits(c, trainingTokens: nil).totalTokens == 10 * 4 * 4)
    let runs = Runs("--context", "4", "--window", "8", "--max-steps", "10")
    #expect(try runs.train(runs.folder.put("data", Sample.tokens(500)))["tokens"] == 40)
  }

  @Test func shortDataIsReadSomeTimes() {
    let limits = RunLimits(configuration(), trainingTokens: 1000)
    #expect(limits.totalTokens == 50_000)
    #expect(limits.totalUpdates == 50_000 / 32)
    #expect(limits.reached(progress(steps: 1562), tokens: 49_984) == nil)
    #expect(limits.reached(progress(steps: 1563), tokens: 50_016) == .endOfData)
    #expect(limits.part(progress(steps: 781), tokens: 25_000) == 0.5)
  }

  @Test func longDataIsReadForOneContextAStream() {
    let c = configuration { $0.streaming.context = 1000 }
    let limits = RunLimits(c, trainingTokens: 1 << 40)
    #expect(limits.totalTokens == 4000)
    #expect(limits.reached(progress(steps: 125), tokens: 4000) == .endOfData)
    // A few short contexts of these are no training.
    for estimator in [EstimatorFamily.tbptt, .hybrid] {
      let limits = RunLimits(
        configuration { ($0.streaming.context, $0.estimator.family) = (1000, estimator) },
        trainingTokens: 1 << 40)
      #expect(limits.totalTokens == 4_000_000)
    }
  }

  @Test func epochsArePasses() {
    let limits = RunLimits(configuration { $0.limits.epochs = 2.5 }, trainingTokens: 1000)
    #expect(limits.totalTokens == 2500)
    #expect(limits.reached(progress(steps: 79), tokens: 2528) == .endOfData)
    #expect(limits.left(progress(steps: 10), tokens: 320).windows == 68)
    // What is said to be endless is no trap.
    #expect(RunLimits(configuration { $0.limits.epochs = 1e300 }, trainingTokens: 1000).totalTokens == .max)
    #expect(RunLimits(configuration { $0.limits.epochs = 1e-9 }, trainingTokens: 1000).totalTokens == 1)
  }

  @Test func limitsReplaceTheDefaultLength() {
    let c = configuration { $0.limits.maxSeconds = 10 }
    let limits = RunLimits(c, trainingTokens: 10)
    #expect(limits.totalTokens == nil && limits.totalUpdates == nil && limits.hasEnd)
    var p = progress(steps: 1_000_000)
    p.trainSeconds = 2.5
    #expect(limits.reached(p, tokens: 32_000_000) == nil)
    #expect(limits.part(p, tokens: 32_000_000) == 0.25)
  }

  @Test func aPipeEndsWhereItIsSaidToEnd() {
    let pipe = configuration { ($0.data.paths, $0.streaming.streams) = (["-"], 1) }
    #expect(!RunLimits(pipe, trainingTokens: nil).hasEnd)
    var expected = pipe
    expected.data.expectTokens = 801
    let limits = RunLimits(expected, trainingTokens: nil)
    #expect(limits.part(progress(steps: 25), tokens: 200) == 0.25)
    expected.optimizer.schedule = .cosine
    #expect(failure { try expected.validate() } == nil)
    expected.data.expectTokens = nil
    let error = failure { try expected.validate() }
    #expect(error?.exitCode == 64 && error?.message.contains("--lr-schedule cosine") == true)
  }

  @Test func patienceEndsARun() {
    var c = configuration {
      ($0.limits.patience, $0.limits.maxSteps, $0.data.holdoutFraction) = (2, 100, 0.1)
    }
    let limits = RunLimits(c, trainingTokens: 1000)
    var p = progress(steps: 10)
    p.heldOut = HeldOutRecord(.init(step: 1, lossNats: 2, targets: 9))
    func add(_ step: Int, _ loss: Double) -> Bool {
      p.heldOut!.add(.init(step: step, lossNats: loss, targets: 9))
    }
    let isBetter = add(2, 1)
    #expect(isBetter && p.heldOut!.best.step == 2)
    let isAsGood = add(3, 1)
    #expect(!isAsGood)
    #expect(limits.reached(p, tokens: 320) == nil)
    let isWorse = !add(4, 3)
    #expect(isWorse)
    #expect(limits.reached(p, tokens: 320) == .patience)
    #expect(p.heldOut!.best.step == 2 && p.heldOut!.last.step == 4 && p.heldOut!.count == 4)
    c.run.evalInterval = 0
    #expect(failure { try c.validate() }?.message.contains("--eval-interval 0") == true)
    (c.run.evalInterval, c.data.holdoutFraction) = (nil, 0)
    #expect(failure { try c.validate() }?.message.contains("--val") == true)
  }

  // MARK: Evaluations on the way

  private func dueSteps(_ c: RunPlan, trainingTokens: Int?, heldOut: Int, steps: Int) -> [Int] {
    let rhythm = EvaluationRhythm(
      c, RunLimits(c, trainingTokens: trainingTokens), heldOutTokens: heldOut, seconds: 0)
    return (1...steps).filter { rhythm.isDue(step: $0, seconds: Double($0), columnsPerSecond: 1e6) }
  }

  @Test func aRunIsMeasuredTwentyTimes() {
    let c = configuration { ($0.limits.maxSteps, $0.data.holdoutFraction) = (400, 0.1) }
    #expect(dueSteps(c, trainingTokens: 1000, heldOut: 2, steps: 400) == (1...20).map { 20 * $0 })
    // Never for more than a tenth of the time: 64 token-columns an update.
    #expect(dueSteps(c, trainingTokens: 1000, heldOut: 160, steps: 400) == [200, 400])
    let last = configuration {
      ($0.limits.maxSteps, $0.data.holdoutFraction, $0.run.evalInterval) = (400, 0.1, 0)
    }
    #expect(dueSteps(last, trainingTokens: 1000, heldOut: 2, steps: 400) == [])
    let given = configuration {
      ($0.limits.maxSteps, $0.data.holdoutFraction, $0.run.evalInterval) = (400, 0.1, 150)
    }
    #expect(dueSteps(given, trainingTokens: 1000, heldOut: 1_000_000, steps: 400) == [150, 300])
    #expect(dueSteps(configuration(), trainingTokens: 1000, heldOut: 0, steps: 400) == [])
  }

  @Test func aClockMeasuresByTheClock() {
    let c = configuration { ($0.limits.maxSeconds, $0.data.holdoutFraction) = (200, 0.1) }
    var rhythm = EvaluationRhythm(c, RunLimits(c, trainingTokens: 1000), heldOutTokens: 1000, seconds: 0)
    #expect(!rhythm.isDue(step: 1, seconds: 9, columnsPerSecond: 1e6))
    #expect(rhythm.isDue(step: 1, seconds: 10, columnsPerSecond: 1e6))
    // Slow machines wait: ten seconds of training for one of evaluation.
    #expect(!rhythm.isDue(step: 1, seconds: 10, columnsPerSecond: 1e3))
    rhythm.note(seconds: 10, duration: 3)
    #expect(!rhythm.isDue(step: 1, seconds: 39, columnsPerSecond: 1e6))
    #expect(rhythm.isDue(step: 1, seconds: 40, columnsPerSecond: 1e6))
    #expect(rhythm.expectedSeconds(tokens: 2000, columnsPerSecond: 1) == 6)
  }

  // MARK: Words

  @Test func longUpdatesAreAnnounced() {
    let text = Announcement.longUpdate(tokens: 64_000_000, seconds: 601)
    #expect(text.hasPrefix("an update reads 64,000,000 tokens and takes about 10 min 1 s here"))
  }

  /// Windows, and lifetimes of directions, end with the context.
  @Test func creditEndsWithTheContext() {
    let clipped = configuration {
      ($0.streaming.window, $0.streaming.context, $0.estimator.lifetime) = (.tokens(64), 10, 2)
    }
    #expect(Announcement.estimator(clipped).contains("credit reaches back 10 tokens"))
    #expect(
      Announcement.plan(
        clipped, RunLimits(clipped, trainingTokens: 1000), training: 1000, from: RunProgress()
      )
      .contains("40 tokens an update"))
    let hybrid = configuration {
      ($0.estimator.family, $0.streaming.window, $0.streaming.context) = (.hybrid, .tokens(64), 10)
    }
    #expect(Announcement.estimator(hybrid).contains("10 exactly and 10 by estimate"))
  }

  @Test func announcements() {
    let c = configuration { ($0.model.hiddenSize, $0.model.heads, $0.estimator.lifetime) = (8, 2, 3) }
    #expect(
      Announcement.model(c)
        == "model      lstm of 8 units, 2 heads, vocabulary of 256, \(ByteSize.grouped(c.shape.parameterCount)) parameters"
    )
    #expect(
      Announcement.estimator(c)
        == "estimator  cd-rge with 4 pairs: credit reaches back 24 tokens, the state is carried over 1,000,000"
    )
    #expect(
      Announcement.plan(c, RunLimits(c, trainingTokens: 1000), training: 1000, from: RunProgress())
        == "run        32 tokens an update, 1,562 updates (50.0k tokens, 50 passes over the data)")
    let exact = configuration {
      ($0.estimator.family, $0.streaming.window, $0.limits.maxSeconds, $0.streaming.context) = (
        .tbptt, .tokens(64), 90, 0
      )
    }
    #expect(
      Announcement.estimator(exact)
        == "estimator  tbptt: credit reaches back 64 tokens, the state is never reset")
    #expect(
      Announcement.plan(
        exact, RunLimits(exact, trainingTokens: 1000), training: 1000, from: progress(steps: 7))
        == "run        on from update 7, 256 tokens an update, at most 1 min 30 s")
    let tiny = configuration()
    #expect(
      Announcement.plan(tiny, RunLimits(tiny, trainingTokens: 20), training: 20, from: RunProgress())
        == "run        32 tokens an update, 31 updates (1.00k tokens, 50 passes over the data)")
  }
}

import Foundation
import LongzooEstimator
import LongzooMemory
import Synchronization
import Testing

@testable import LongzooTraining

/// What a Swift program does with a run: no command line, no process, and no waiting.
@Suite struct TrainerDoorTests {
  private let folder = FileManager.default.temporaryDirectory.appendingPathComponent(
    "longzoo-" + UUID().uuidString)
  private var path: String { folder.path }

  private func tokens(_ count: Int = 4000) throws -> TokenArray {
    try TokenArray((0..<count).map { ($0 / 3 + $0 % 3 * 5) % 11 }, vocabularySize: 11)
  }

  private func plan(_ tokens: TokenArray, steps: Int? = 20) -> RunPlan {
    var plan = RunPlan()
    plan.data = tokens.data
    plan.model.hiddenSize = 6
    plan.estimator.family = .tbptt
    plan.streaming.streams = 4
    plan.streaming.window = .tokens(16)
    plan.run.threads = 1
    plan.limits.maxSteps = steps
    return plan
  }

  @Test func trainsSavesLoadsAndEvaluates() throws {
    defer { try? FileManager.default.removeItem(at: folder) }
    let tokens = try tokens()
    let summary = try Trainer(plan(tokens, steps: 60), in: path).run()
    #expect(summary.steps == 60 && summary.reason == .maxSteps)
    let heldOut = try #require(summary.heldOutBits)
    #expect(heldOut < 3, "\(heldOut)")
    let model = try TrainedModel(at: path, threads: 1)
    #expect(model.shape.vocabularySize == 11 && model.shape.hiddenSize == 6)
    let evaluation = try #require(try model.evaluate(tokens.data))
    #expect(evaluation.targets == 3999 && evaluation.bitsPerToken < 3)
    #expect(try model.evaluate(tokens.data, limit: 10)?.targets == 10)
  }

  @Test func anEvaluationThatIsStoppedSaysWhatItHasFound() throws {
    defer { try? FileManager.default.removeItem(at: folder) }
    let (few, many) = (try tokens(), try tokens(40_000))
    _ = try Trainer(plan(few, steps: 5), in: path).run()
    let (model, data) = (try TrainedModel(at: path, threads: 1), many.data)
    // Small files come whole before anybody asks: the tenth question is in the middle.
    let asked = Atomic<Int>(0)
    let host = RunHost(stop: { asked.add(1, ordering: .relaxed).newValue > 10 ? .soon : nil })
    let part = try #require(try model.evaluate(data, host: host))
    #expect(part.isPartial && part.tokens > 0 && part.tokens < 39_999, "\(part.tokens)")
    #expect(part.unigramBits == nil && part.bigramBits == nil)
    let same = try #require(try model.evaluate(data, limit: part.tokens))
    #expect(!same.isPartial && same.tokens == part.tokens && same.lossNats == part.lossNats)
    #expect(try model.evaluate(data, host: RunHost(stop: { .soon })) == nil)
    var counts: [Int] = []
    _ = try model.evaluate(data, observe: { counts.append($0) })
    #expect(counts == counts.sorted() && Set(counts).count > 5)
  }

  @Test func aRunThatIsStoppedAtOnceHasLearnedNothing() throws {
    defer { try? FileManager.default.removeItem(at: folder) }
    let isStopped = Atomic<Bool>(false)
    var host = RunHost(stop: { isStopped.load(ordering: .relaxed) ? .now : nil })
    host.observe = { event, _ in if case .updated = event { isStopped.store(true, ordering: .relaxed) } }
    let tokens = try tokens()
    let one = try Trainer(plan(tokens, steps: 20), in: path + "/one", host: host).run()
    #expect(one.steps == 1 && one.nothingLearned == nil)
    // Before its first tokens a run has nothing to say, and leaves nothing.
    isStopped.store(false, ordering: .relaxed)
    host.observe = { event, _ in if case .begins = event { isStopped.store(true, ordering: .relaxed) } }
    let stopped = try Trainer(plan(tokens, steps: 20), in: path + "/none", host: host)
    #expect(throws: RunStopped.self) { try stopped.run() }
    #expect(!stopped.folder.hasCheckpoint && stopped.nothingLearned == .notBegun)
  }

  @Test func aResumedRunIsTheRun() throws {
    defer { try? FileManager.default.removeItem(at: folder) }
    let tokens = try tokens()
    let whole = try Trainer(plan(tokens, steps: 20), in: path + "/whole").run()
    var half = plan(tokens, steps: 9)
    // A rate that falls to the end falls to another one.
    (half.optimizer.schedule, half.optimizer.learningRate) = (.constant, 0.02)
    _ = try Trainer(half, in: path + "/half").run()
    let rest = try Trainer(resuming: path + "/half") { $0.limits.maxSteps = 20 }.run()
    half.limits.maxSteps = 20
    let through = try Trainer(half, in: path + "/through").run()
    #expect(rest.steps == 20 && rest.weightsDigest == through.weightsDigest)
    #expect(whole.weightsDigest != through.weightsDigest)
  }

  @Test func aRunThatIsOverIsLeftAsItIs() throws {
    defer { try? FileManager.default.removeItem(at: folder) }
    let tokens = try tokens()
    let first = try Trainer(plan(tokens, steps: 3), in: path).run()
    let lines = try String(contentsOfFile: path + "/metrics.jsonl", encoding: .utf8)
    let again = try Trainer(resuming: path).run()
    #expect(again.weightsDigest == first.weightsDigest && again.heldOutBits == first.heldOutBits)
    #expect(try String(contentsOfFile: path + "/metrics.jsonl", encoding: .utf8) == lines)
    // What this session has not trained has no pace.
    #expect(again.json.contains("\"token_columns_per_second\":null"))
  }

  @Test func aRunIsNotOverwritten() throws {
    defer { try? FileManager.default.removeItem(at: folder) }
    let tokens = try tokens()
    _ = try Trainer(plan(tokens, steps: 1), in: path).run()
    #expect(throws: RunFailure.self) { try Trainer(plan(tokens, steps: 1), in: path) }
  }

  @Test func dataThatIsRefusedCostsNoRun() throws {
    defer { try? FileManager.default.removeItem(at: folder) }
    let tokens = try tokens()
    _ = try Trainer(plan(tokens, steps: 1), in: path).run()
    let weights = try Data(contentsOf: URL(fileURLWithPath: path + "/model.safetensors"))
    var other = plan(try self.tokens(), steps: 1)
    other.data.vocabularySize = 3
    try other.settle()
    #expect(throws: (any Error).self) {
      try Trainer(
        other, resume: nil, folder: RunFolder(path: path), host: RunHost(), ledger: MemoryLedger()
      ).run()
    }
    #expect(try Data(contentsOf: URL(fileURLWithPath: path + "/model.safetensors")) == weights)
  }

  // MARK: The host

  /// A clock that a test sets.
  private final class TestClock: WallClock {
    private let seconds = Locked(0.0)
    var now: Double { seconds.withLock { $0 } }
    func advance(_ by: Double) { seconds.withLock { $0 += by } }
  }

  @Test func aTimeLimitIsThatOfTheClock() throws {
    defer { try? FileManager.default.removeItem(at: folder) }
    let (tokens, clock) = (try tokens(), TestClock())
    var plan = plan(tokens, steps: nil)
    plan.limits.maxSeconds = 1000
    let host = RunHost(
      observe: { event, _ in if case .updated = event { clock.advance(70) } }, clock: clock)
    let summary = try Trainer(plan, in: path, host: host).run()
    // An update's seconds are counted when it has ended.
    #expect(summary.reason == .maxSeconds && (14...16).contains(summary.steps), "\(summary.steps)")
  }

  @Test(arguments: [StopRequest.soon, .now]) func aHostStopsARun(request: StopRequest) throws {
    defer { try? FileManager.default.removeItem(at: folder) }
    let (tokens, isOver) = (try tokens(), Locked(false))
    var events: [String] = []
    var plan = plan(tokens, steps: 1000)
    plan.run.evalInterval = 500
    let host = RunHost(
      stop: { isOver.withLock { $0 } ? request : nil },
      observe: { event, run in
        switch event {
        case .begins: events.append("begins")
        case .updated: if run.steps == 5 { isOver.withLock { $0 = true } }
        case .endsTraining: events.append("endsTraining")
        case .ends: events.append("ends")
        default: break
        }
      })
    let summary = try Trainer(plan, in: path, host: host).run()
    #expect(summary.reason == .signal && summary.steps == 5)
    // Who waits for the end still wants to know what it has come to, if that is quick.
    #expect((summary.heldOutBits != nil) == (request == .soon))
    #expect(events == ["begins", "endsTraining", "ends"])
    let rest = try Trainer(resuming: path) { $0.limits.maxSteps = 8 }.run()
    #expect(rest.steps == 8)
  }

  // MARK: Tokens in memory

  @Test func anUnknownIdIsRefused() throws {
    let error = #expect(throws: RunFailure.self) { try TokenArray([1, 2, 300], vocabularySize: 300) }
    #expect(error?.kind == .badData && error?.description.contains("token 2 is 300") == true)
    #expect(throws: RunFailure.self) { try TokenArray([-1], vocabularySize: 2) }
    #expect(throws: RunFailure.self) { try TokenArray([], vocabularySize: 0) }
  }

  @Test(arguments: [200, 60_000, 70_000]) func idsOfAnyWidth(vocabulary: Int) throws {
    let tokens = try TokenArray((0..<50).map { $0 * 131 % vocabulary }, vocabularySize: vocabulary)
    var data = tokens.data
    data.expectTokens = 50
    var plan = RunPlan()
    plan.data = data
    let outline = try RunForecast(plan)
    #expect(outline.trainingTokens == 50 && tokens.count == 50)
  }
}

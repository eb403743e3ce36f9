// Streams a compressed file, shows how it goes, and stops on a condition of its own.
import LongzooTraining
import Synchronization

guard let file = CommandLine.arguments.dropFirst().first else {
  print("usage: FromFile FILE [FOLDER]")
  throw RunStopped()
}
let folder = CommandLine.arguments.dropFirst(2).first ?? "runs/from-file"

var plan = RunPlan(files: [file])
plan.model.hiddenSize = 32
plan.streaming.context = 100_000
plan.limits.maxSeconds = 60

// Asked by every thread that works for the run.
let isGoodEnough = Atomic(false)
let host = RunHost(
  stop: { isGoodEnough.load(ordering: .relaxed) ? .soon : nil },
  observe: { event, run in
    guard case .updated = event, run.steps % 100 == 0, let bits = run.trainingBits else { return }
    print("update \(run.steps): \(bits) bits a token")
    if bits < 4.5 { isGoodEnough.store(true, ordering: .relaxed) }
  })
let summary = try Trainer(plan, in: folder, host: host).run()
print("stopped by \(summary.reason.rawValue) after \(summary.tokens) tokens; the model is in \(folder)")

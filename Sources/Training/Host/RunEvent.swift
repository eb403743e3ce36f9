import LongzooMemory

/// What a run tells its host; the trainer that comes with it has the state.
public enum RunEvent {
  /// All is open and reserved; the first update follows.
  case begins
  /// The limits were reached before this session began.
  case hasNothingLeft(StopReason)
  /// A pipe is quiet for so many seconds; `before` this wait it was for so many.
  case waits(seconds: Double, before: Double)
  /// An update was made or refused.
  case updated
  /// Within an update: the part of its work that is done, the tokens of each stream that it reads, and its seconds so far.
  case isWithinUpdate(part: Double, tokens: Int, seconds: Double)
  /// An update was not made.
  case refused(update: Int, reason: Wording)
  case beginsEvaluation
  /// So many held-out tokens were read; nil: nobody knows of how many.
  case evaluates(tokens: Int, of: Int?)
  case endsEvaluation
  /// The held-out loss of the weights as they are now.
  case evaluated(Evaluation)
  /// A search for a rate or an ε has ended.
  case searched([SettingSearch.Trial], chosen: TrialValues)
  /// There will be no search, as the run is too short for one; these values stay.
  case cannotSearch(TrialValues)
  case endsTraining
  /// Nothing is told any more.
  case ends
}

/// Why a run has ended; the raw value is what files and JSON say.
public enum StopReason: String, Sendable {
  case maxSteps = "max-steps"
  case maxTokens = "max-tokens"
  case maxSeconds = "max-seconds"
  case stopBelow = "stop-below"
  /// Evaluations have not become better.
  case patience
  case endOfData = "end-of-data"
  /// The host has asked for it.
  case signal
  case diverged
}

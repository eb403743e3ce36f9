import LongzooMemory

/// The properties of `EstimatorConfiguration`, for sentences that name them.
extension Setting {
  public static let pairs = Setting("pairs")
  public static let epsilon = Setting("epsilon")
  public static let perturbation = Setting("perturbation")
  public static let rank = Setting("rank")
  public static let step = Setting("step")
  public static let lifetime = Setting("lifetime")
  public static let maxDivergence = Setting("maxDivergence")
  public static let beyondMomentum = Setting("beyondMomentum")
  public static let creditDecay = Setting("creditDecay")
  public static let readout = Setting("readout")
  public static let checkpointing = Setting("checkpointing")
  public static let clipNorm = Setting("clipNorm")

  // What else such sentences name; a run has these, and not an estimator.
  static let block = Setting("block")
  static let cell = Setting("cell")
  static let embeddingSize = Setting("embeddingSize")
  static let estimator = Setting("estimator")
  static let window = Setting("window")
  static let context = Setting("context")
  static let reset = Setting("reset")
}

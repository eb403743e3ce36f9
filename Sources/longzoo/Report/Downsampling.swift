/// Fewer points for the same picture.
enum Downsampling {
  /// At most about `count` of the points, in their order: of every stretch the first, the lowest, the highest and the last, so
  /// that no spike is lost.
  static func extremes(_ points: [PlotPoint], to count: Int) -> [PlotPoint] {
    guard points.count > max(count, 4) else { return points }
    let stretches = max(count / 4, 1)
    return (0..<stretches).flatMap { stretch -> [PlotPoint] in
      let range = points.count * stretch / stretches..<points.count * (stretch + 1) / stretches
      let lowest = range.min { points[$0].y < points[$1].y }!
      let highest = range.max { points[$0].y < points[$1].y }!
      return Set([range.lowerBound, lowest, highest, range.upperBound - 1]).sorted().map { points[$0] }
    }
  }
}

import ArgumentParser
struct BenchCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bench", abstract: "Measures this machine's peak and the population step, in one run.")
}

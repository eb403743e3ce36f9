import Foundation

/// What a new process could hold without pushing others out.
package enum MachineMemory {
  /// Bytes: what the kernel says is available, or less if a control group allows less. nil where nobody says.
  package static var available: Int? {
    let meminfo = try? String(contentsOfFile: "/proc/meminfo", encoding: .utf8)
    let line = meminfo?.split(separator: "\n").first { $0.hasPrefix("MemAvailable:") }
    let kibibytes = line?.split(separator: " ").compactMap { Int($0) }.first
    return [kibibytes.map { $0 * 1024 }, controlGroup].compactMap { $0 }.min()
  }

  /// Bytes that a process could hold if it had the machine, or its control group, to itself, with what can be swapped out; nil where nobody
  /// says.
  package static var most: Int? {
    let meminfo = try? String(contentsOfFile: "/proc/meminfo", encoding: .utf8)
    let lines = meminfo?.split(separator: "\n").filter {
      $0.hasPrefix("MemTotal:") || $0.hasPrefix("SwapTotal:")
    }
    let kibibytes = lines?.flatMap { $0.split(separator: " ").compactMap { Int($0) } }.reduce(0, +)
    let group = number("memory.max").map { $0 + (number("memory.swap.max") ?? 0) }
    return [kibibytes.map { $0 * 1024 }, group].compactMap { $0 }.min()
  }

  /// A file of the control group; nil where there is none, and where it says "max".
  private static func number(_ name: String) -> Int? {
    let text = try? String(contentsOfFile: "/sys/fs/cgroup/" + name, encoding: .utf8)
    return text.flatMap { Int($0.trimmingCharacters(in: .whitespacesAndNewlines)) }
  }

  private static var controlGroup: Int? {
    guard let most = number("memory.max"), let used = number("memory.current") else { return nil }
    return max(most - used, 0)
  }
}

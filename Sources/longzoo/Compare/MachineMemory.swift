import Foundation

/// What a new process could hold without pushing others out.
enum MachineMemory {
  /// Bytes: what the kernel says is available, or less if a control group allows less. nil where nobody says.
  static var available: Int? {
    let meminfo = try? String(contentsOfFile: "/proc/meminfo", encoding: .utf8)
    let line = meminfo?.split(separator: "\n").first { $0.hasPrefix("MemAvailable:") }
    let kibibytes = line?.split(separator: " ").compactMap { Int($0) }.first
    return [kibibytes.map { $0 * 1024 }, controlGroup].compactMap { $0 }.min()
  }

  private static var controlGroup: Int? {
    func number(_ name: String) -> Int? {
      let text = try? String(contentsOfFile: "/sys/fs/cgroup/" + name, encoding: .utf8)
      return text.flatMap { Int($0.trimmingCharacters(in: .whitespacesAndNewlines)) }
    }
    guard let most = number("memory.max"), let used = number("memory.current") else { return nil }
    return max(most - used, 0)
  }
}

import ArgumentParser
import Foundation
import LongzooMemory
import LongzooModel
import LongzooStream
import LongzooTraining

@main
struct LongzooCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "longzoo",
    abstract:
      "Trains recurrent networks on token streams of any length, in memory that does not depend on the length.",
    version: ProgramVersion.text,
    subcommands: [
      TrainCommand.self, EvalCommand.self, BenchCommand.self, CompareCommand.self, ReportCommand.self,
      TaskCommand.self, ReplayCommand.self,
    ])

  static func main() {
    StandardStreams.fillClosed()
    Signals.install()
    ParentWatch.begin()
    do {
      try AddressSpace.requireSlack()
      try ArgumentBytes.requireUTF8()
      var command = try CommandLineReader.command()
      try command.run()
    } catch let failure as RunFailure {
      end(failure.message, details: failure.details, code: failure.exitCode)
    } catch is RunStopped {
      Foundation.exit(ExitStatus.signal(Signals.received ?? SIGTERM))
    } catch let error as StreamError where error.kind == .interrupted {
      Foundation.exit(ExitStatus.signal(Signals.received ?? SIGTERM))
    } catch let error as StreamError {
      // A refused reservation is no fault of the data.
      guard error.kind != .overBudget else { endWithTable(error.commandText, code: error.kind.exitCode) }
      end(error.commandText, code: error.kind.exitCode)
    } catch let error as MemoryError {
      endWithTable(error.commandText, code: error.isOfTheSystem ? ExitStatus.inputOutput : ExitStatus.usage)
    } catch let refusal as SystemRefusal {
      end(refusal.text(naming: OptionName.of), code: ExitStatus.inputOutput)
    } catch {
      end(error)
    }
  }

  private static func end(_ message: String, details: String? = nil, code: Int32) -> Never {
    let text = code == ExitStatus.usage ? CommandLineReader.withSources(message) : message
    StandardStreams.tellFailure(text, details: details)
    Foundation.exit(code)
  }

  /// The first line, and the ledger's table below it.
  private static func endWithTable(_ text: String, code: Int32) -> Never {
    let parts = text.split(separator: ":\n", maxSplits: 1).map(String.init)
    end(parts[0], details: parts.count > 1 ? parts[1] : nil, code: code)
  }

  /// Help and the version, on standard output; or a code that a command has ended with, which has said why.
  private static func end(_ error: any Error) -> Never {
    let code = exitCode(for: error)
    let text = fullMessage(for: error)
    if !text.isEmpty, !code.isSuccess { StandardStreams.tell(text + "\n") }
    if !text.isEmpty, code.isSuccess {
      do throws(RunFailure) {
        try StandardStreams.printResult(text)
      } catch {
        end(error.message, code: error.exitCode)
      }
    }
    Foundation.exit(code.rawValue)
  }
}

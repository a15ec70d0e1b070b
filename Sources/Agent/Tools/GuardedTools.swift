/// Which of a server's tools a person has to approve, by the manifest; and says so once where it names one that is not there.
import Logging
import Synchronization

final class GuardedTools: Sendable {
    private let names: Set<String>
    private let field: String
    private let logger: Logger
    private let hasWarned = Mutex(false)

    /// - Parameters:
    ///   - names: as the server calls them.
    ///   - field: the server's in the manifest.
    init(_ names: [String], field: String, logger: Logger) {
        self.names = Set(names)
        self.field = field
        self.logger = logger
    }

    /// The tools, those marked that need an approval.
    func marked(_ tools: [Tool]) -> [Tool] {
        let missing = names.subtracting(tools.map(\.name)).sorted()
        if !missing.isEmpty, hasWarned.withLock({ exchange(&$0, with: true) }) == false {
            logger.warning(
                "tools that need an approval are none of the server's: check their names",
                metadata: [
                    "field": "\(field).requireApproval", "names": "\(missing.joined(separator: ", "))",
                ])
        }
        return tools.map { tool in
            var tool = tool
            tool.needsApproval = names.contains(tool.name)
            return tool
        }
    }
}

/// The one binary's commands. Exit codes: 0 done, 1 failed, 2 wrong configuration, 64 wrong usage.
import ArgumentParser

@main
struct AgentPoolCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "agentpool",
        abstract: "A home for AI agents that remember: chat over SSE, three tiers of memory, one binary.",
        version: "0.1.0",
        subcommands: [
            Run.self, WorkerCommand.self, ControllerCommand.self, RenderCommand.self, DrainCommand.self,
            Chat.self, RouteCommand.self, PurgeCommand.self, ReindexCommand.self, PrintCRD.self,
        ])
}

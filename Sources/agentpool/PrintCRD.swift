/// `agentpool crd`: the CustomResourceDefinition, as `crds/` holds it.
import ArgumentParser
import PoolAPI

struct PrintCRD: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "crd", abstract: "Print the AgentPool CustomResourceDefinition.")

    func run() throws {
        print(try CustomResourceDefinition.yaml(), terminator: "")
    }
}

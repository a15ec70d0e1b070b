/// The rules of what agents have at hand: servers of tools, and skills.
extension SpecRules {
    mutating func checkTools() {
        for (index, server) in spec.mcpServers.enumerated() {
            checkWay(to: server, at: "mcpServers[\(index)]")
            guard let allowed = server.allow else { continue }
            for (place, tool) in server.requireApproval.enumerated() where !allowed.contains(tool) {
                report(
                    "mcpServers[\(index)].requireApproval[\(place)]", "\"\(tool)\" is not in allow",
                    "add it to allow, or remove it here")
            }
        }
    }

    /// A server is reached at an address or started as a process.
    private mutating func checkWay(to server: AgentPoolSpec.MCPServer, at path: String) {
        guard let command = server.command else {
            if server.url == nil {
                report(
                    "\(path).url", "is required\(place == .machine ? " where there is no command" : "")",
                    place == .machine ? "add it, or command" : "add it")
            }
            if server.env != nil {
                report("\(path).env", "has no meaning without command", "remove it")
            }
            return
        }
        guard place == .machine else {
            return report(
                "\(path).command", "only agentpool run starts a process",
                "serve the tools over HTTP, and give their url")
        }
        if server.url != nil {
            report("\(path).url", "a server has url or command, not both", "remove one of them")
        }
        if server.headersSecretRef != nil {
            report(
                "\(path).headersSecretRef", "has no meaning for a process, which is sent no headers",
                "remove it; what the process needs goes into env")
        }
        if command.contains(where: { $0.contains("\0") }) {
            report("\(path).command", "holds a character that no argument may have", "remove the NUL")
        }
        for (name, value) in (server.env ?? [:]).sorted(by: { $0.key < $1.key }) {
            if name.isEmpty || name.contains("=") || (name + value).contains("\0") {
                report(
                    SchemaCheck.path("\(path).env", name), "is no variable of an environment",
                    "name it without '=', and remove any NUL")
            }
        }
    }

    mutating func checkSkills() {
        for (index, skill) in spec.skills.enumerated() {
            switch (skill.configMapRef, skill.volume) {
            case (nil, nil):
                report(
                    "skills[\(index)].configMapRef", "is required where there is no volume",
                    "add it, or volume")
            case (_?, _?):
                report(
                    "skills[\(index)].configMapRef", "a skill has configMapRef or volume, not both",
                    "remove one of them")
            default: break
            }
        }
    }
}

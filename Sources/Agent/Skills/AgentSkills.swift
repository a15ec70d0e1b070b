/// The skills of one agent, as tools that its model may call: one reads a skill's guide, the other a file of it.
import Memory

struct AgentSkills: Sendable {
    let names: [String]
    let shelf: SkillShelf

    static let sourceName = "skills"
    static let activation = "activate_skill"
    static let reading = "read_skill_file"
    /// Bytes of a file that a call answers.
    static let fileLimit = 64 * 1024

    /// Those that can be read now, in the manifest's order.
    var available: [Skill] { names.compactMap(shelf.skill) }

    /// An agent without skills has no such tools.
    var sources: [ToolSource] {
        guard !names.isEmpty else { return [] }
        return [
            ToolSource(
                name: Self.sourceName, list: { _ in tools },
                call: { tool, arguments, _ in
                    if tool.name == Self.activation { return await activate(arguments, tool) }
                    return await read(arguments, tool)
                })
        ]
    }

    var tools: [Tool] {
        let names = available.map(\.name)
        guard !names.isEmpty else { return [] }
        return [
            Tool(
                name: Self.activation,
                description:
                    "Answers a skill's guide and the names of its files. Call it before you begin a task that the "
                    + "skill is for.",
                inputSchema: Self.schema([("name", names)]), isReadOnly: true),
            Tool(
                name: Self.reading,
                description: "Answers the text of one of a skill's files, where its guide refers to it.",
                inputSchema: Self.schema([("skill", names), ("path", nil)]), isReadOnly: true),
        ]
    }

    /// - Parameter activated: the session's; this agent has those of them that are its own.
    func inPrompt(activated: [String], _ toolbox: Toolbox) -> PromptSkills {
        let offer = toolbox.offers.first {
            $0.source.name == Self.sourceName && $0.tool.name == Self.activation
        }
        guard let offer else { return PromptSkills() }
        var seen: Set<String> = []
        let own = activated.filter { names.contains($0) && seen.insert($0).inserted }
        return PromptSkills(
            catalogue: available, activated: own.compactMap(shelf.skill), activation: offer.name)
    }

    private func activate(_ arguments: String, _ tool: Tool) async -> ToolResult {
        await answer(arguments, tool, ["name"]) { values async throws(SkillFolder.Fault) in
            let name = try known(values[0])
            guard let skill = await shelf.opened(name) else {
                throw SkillFolder.Fault(text: "The skill can't be read now.")
            }
            var writer = JSONWriter(capacity: skill.guide.utf8.count + 1024)
            writer.beginObject()
            skill.write(to: &writer)
            writer.endObject()
            return (
                String(decoding: writer.bytes, as: UTF8.self), SkillText(skill: name, version: skill.version)
            )
        }
    }

    private func read(_ arguments: String, _ tool: Tool) async -> ToolResult {
        await answer(arguments, tool, ["skill", "path"]) { values async throws(SkillFolder.Fault) in
            let name = try known(values[0])
            let path = try SkillFolder.checked(values[1])
            let (bytes, size) = try await shelf.read(name, path, limit: Self.fileLimit)
            guard var text = Self.text(bytes, isWhole: size <= bytes.count) else {
                throw SkillFolder.Fault(text: "\(path) is no text of UTF-8, and is not shown.")
            }
            if size > bytes.count { text += "\n[cut: these are the first \(bytes.count) of \(size) bytes]" }
            return (text, SkillText(skill: name, path: path))
        }
    }

    private func known(_ name: String) throws(SkillFolder.Fault) -> String {
        guard names.contains(name), shelf.skill(name) != nil else {
            throw SkillFolder.Fault(
                text:
                    "There is no such skill. The skills are: \(available.map(\.name).joined(separator: ", "))."
            )
        }
        return name
    }

    /// The texts of the arguments' members, given to `work`.
    private func answer(
        _ arguments: String, _ tool: Tool, _ members: [String],
        _ work: ([String]) async throws(SkillFolder.Fault) -> (text: String, of: SkillText)
    ) async -> ToolResult {
        var values: [String: String] = [:]
        do {
            var reader = JSONReader(try CallArguments.read(arguments, for: tool), repairsSurrogates: true)
            try reader.beginObject()
            while let key = try reader.nextKey() {
                if try members.contains(key) && reader.peek() == .string {
                    values[key] = try reader.readString()
                } else {
                    try reader.skipValue()
                }
            }
        } catch {
            return ToolResult(
                .notSent, (error as? CallArguments.Fault)?.text ?? "The arguments are not JSON.")
        }
        let given = members.compactMap { values[$0] }
        guard given.count == members.count else {
            return ToolResult(.failed, "The call needs the texts \(members.joined(separator: " and ")).")
        }
        do {
            let (text, skillText) = try await work(given)
            var result = ToolResult(.done, text)
            result.skillText = skillText
            return result
        } catch {
            return ToolResult(.failed, error.text)
        }
    }

    /// Nil where it isn't text. A character that the limit cut in two is left out.
    private static func text(_ bytes: [UInt8], isWhole: Bool) -> String? {
        if bytes.contains(0) { return nil }
        for dropped in 0...(isWhole ? 0 : min(3, bytes.count)) {
            if let text = String(validating: bytes.dropLast(dropped), as: UTF8.self) { return text }
        }
        return nil
    }

    /// Of an object of required texts, some of which are one of these.
    private static func schema(_ members: [(name: String, choices: [String]?)]) -> String {
        var writer = JSONWriter()
        writer.beginObject()
        writer.field("type", "object")
        writer.key("properties")
        writer.beginObject()
        for (name, choices) in members {
            writer.key(escaping: name)
            writer.beginObject()
            writer.field("type", "string")
            if let choices {
                writer.key("enum")
                writer.beginArray()
                for choice in choices { writer.string(choice) }
                writer.endArray()
            }
            writer.endObject()
        }
        writer.endObject()
        writer.key("required")
        writer.beginArray()
        for (name, _) in members { writer.string(name) }
        writer.endArray()
        writer.field("additionalProperties", false)
        writer.endObject()
        return String(decoding: writer.bytes, as: UTF8.self)
    }
}

extension Skill {
    /// The members of the object that a model is shown.
    func write(to writer: inout JSONWriter) {
        writer.field("skill", name)
        if let compatibility { writer.field("needs", compatibility) }
        writer.field("guide", guide)
        if isCut { writer.field("guide_is_cut", true) }
        guard !files.files.isEmpty else { return }
        writer.key("files")
        writer.beginArray()
        for file in files.files { writer.string(file) }
        writer.endArray()
        if files.isCut { writer.field("files_are_cut", true) }
    }
}

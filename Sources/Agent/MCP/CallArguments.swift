/// Decides whether a model's arguments can be sent: they have to be a JSON object, whatever the tool's schema says of its members.

/// The arguments of a call as they came from the model, checked.
enum CallArguments {
    static let maxBytes = 256 * 1024

    /// Why a call can't be made with these arguments, in words by which the model can mend them.
    struct Fault: Error, Equatable {
        let text: String
    }

    /// The text of a JSON object.
    static func read(_ text: String, for tool: Tool) throws(Fault) -> [UInt8] {
        guard text.utf8.count <= maxBytes else {
            throw fault(tool, "are longer than \(maxBytes) bytes. Send less at a time.")
        }
        let trimmed = HeaderText.trimmed(text)
        // Models say so that a tool needs nothing.
        if trimmed.isEmpty || trimmed == "null" { return Array("{}".utf8) }
        var reader = JSONReader(trimmed)
        do {
            guard try reader.peek() == .object else {
                throw fault(tool, "are JSON, but no object. \(advice(tool))")
            }
            try reader.skipValue()
            try reader.finish()
        } catch let error as Fault {
            throw error
        } catch let error as JSONError {
            throw fault(tool, "are not JSON: \(error). \(advice(tool))")
        } catch {
            throw fault(tool, "can't be read. \(advice(tool))")
        }
        return Array(trimmed.utf8)
    }

    /// A member that is a text, of arguments that are otherwise as above.
    static func text(_ member: String, in arguments: String, for tool: Tool) throws(Fault) -> String {
        var found: String?
        do {
            var reader = JSONReader(try read(arguments, for: tool))
            try reader.beginObject()
            while let key = try reader.nextKey() {
                if key == member, try reader.peek() == .string {
                    found = try reader.readString()
                } else {
                    try reader.skipValue()
                }
            }
        } catch let error as Fault {
            throw error
        } catch {
            throw fault(tool, "can't be read. \(advice(tool))")
        }
        guard let found, !found.isEmpty else { throw fault(tool, "have no \(member). \(advice(tool))") }
        return found
    }

    private static func fault(_ tool: Tool, _ what: String) -> Fault {
        Fault(text: "The tool \(tool.name) was not called: its arguments \(what)")
    }

    private static func advice(_ tool: Tool) -> String {
        let schema = tool.inputSchema
        let shown = schema.utf8.count <= 1024 ? ": \(schema)" : "."
        return "Call it again with one JSON object that fits its schema\(shown)"
    }
}

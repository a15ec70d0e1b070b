import Testing

@testable import Agent

/// Which input schemas of tools are offered to models.
@Suite struct ToolSchemaTests {
    private func read(_ text: String) throws -> String { try ToolSchema.read(text.bytes[...]) }

    @Test(
        "A good schema stays as it stands",
        arguments: [
            #"{"type":"object"}"#,
            ##"{ "type": "object", "properties": {"a": {"$ref": "#/$defs/A~1%25"}}, "$defs": {"A/%": {"type": "string"}} }"##,
            // A tree: it holds itself further in.
            ##"{"type":"object","properties":{"left":{"$ref":"#"},"right":{"$ref":"#/properties/left"}}}"##,
            ##"{"type":"object","properties":{"a":{"$ref":"#name"},"b":{"$ref":"https://example.com/s"}}}"##,
            #"{"type":"object","properties":{"$ref":{"type":"string"}}}"#,
            ##"{"type":"object","allOf":[{"required":["a"]},{"$ref":"#/allOf/0"}]}"##,
        ])
    func good(text: String) throws {
        #expect(try read(text) == text)
    }

    @Test("A schema without a type is given the one that arguments have")
    func typeless() throws {
        #expect(try read("{}") == #"{"type":"object"}"#)
        #expect(try read(#"{"properties":{}}"#) == #"{"type":"object","properties":{}}"#)
    }

    @Test(
        "A schema that a model's server would refuse leaves its tool out",
        arguments: [
            ("[]", "no JSON object"), (#""object""#, "no JSON object"), ("null", "no JSON object"),
            (#"{"type":"string"}"#, "type object"), (#"{"type":["object","null"]}"#, "type object"),
            (#"{"type":"object","properties":[]}"#, "properties"),
            (##"{"type":"object","properties":{"a":{"$ref":"#/$defs/b"}}}"##, "nowhere"),
            (
                ##"{"type":"object","$defs":{"a":{"$ref":"#/$defs/b"},"b":{"$ref":"#/$defs/a"}}}"##, "circle"
            ),
            (##"{"type":"object","$defs":{"a":{"$ref":"#/$defs/a"}}}"##, "circle"),
            (#"{"type":"object","description":"\#(String(repeating: "x", count: 65536))"}"#, "bytes"),
        ])
    func bad(text: String, reason: String) throws {
        let fault = try #require(throws: ToolSchema.Fault.self) { try read(text) }
        #expect(fault.reason.contains(reason))
    }

    @Test("References are bounded")
    func manyReferences() throws {
        let many = (0..<1001).map { ##""p\##($0)":{"$ref":"#/$defs/a"}"## }.joined(separator: ",")
        let text = #"{"type":"object","$defs":{"a":{}},"properties":{\#(many)}}"#
        let fault = try #require(throws: ToolSchema.Fault.self) { try read(text) }
        #expect(fault.reason.contains("references"))
    }

    @Test("A long chain of references is followed once, not from each of them, and judged by its end")
    func chain() throws {
        func schema(end: String) -> String {
            let links = (0..<999).map { ##""d\##($0)":{"$ref":"#/$defs/d\##($0 + 1)"}"## }
            return #"{"type":"object","$defs":{\#(links.joined(separator: ",")),"d999":\#(end)}}"#
        }
        let good = schema(end: "{}")
        #expect(try read(good) == good)
        let circle = try #require(throws: ToolSchema.Fault.self) {
            try read(schema(end: ##"{"$ref":"#/$defs/d0"}"##))
        }
        #expect(circle.reason.contains("circle"))
        let nowhere = try #require(throws: ToolSchema.Fault.self) {
            try read(schema(end: ##"{"$ref":"#/$defs/none"}"##))
        }
        #expect(nowhere.reason.contains("nowhere"))
    }
}

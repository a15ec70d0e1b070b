import Foundation
import Testing

@testable import Kubernetes

/// Moments, JSON slices and metadata.
@Suite struct PureValueTests {
    @Test(
        "A moment is read in every form that the API and other clients write, and written in the API's own",
        arguments: [
            ("1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000000Z"),
            ("2026-02-28T23:59:59.5Z", "2026-02-28T23:59:59Z", "2026-02-28T23:59:59.500000Z"),
            ("2024-02-29T12:00:00.123456789Z", "2024-02-29T12:00:00Z", "2024-02-29T12:00:00.123456Z"),
            ("2024-03-01T01:30:00+02:30", "2024-02-29T23:00:00Z", "2024-02-29T23:00:00.000000Z"),
            ("2100-03-01T00:00:00-01:00", "2100-03-01T01:00:00Z", "2100-03-01T01:00:00.000000Z"),
            ("1969-12-31T23:59:59.9Z", "1969-12-31T23:59:59Z", "1969-12-31T23:59:59.900000Z"),
        ])
    func timestamps(text: String, seconds: String, microseconds: String) throws {
        let moment = try #require(Timestamp(text))
        #expect(moment.inSeconds == seconds)
        #expect(moment.inMicroseconds == microseconds)
        #expect(Timestamp(microseconds) == moment)
    }

    @Test("A moment agrees with Foundation's calendar over four centuries")
    func calendar() throws {
        var generator = SystemRandomNumberGenerator()
        let formatter = ISO8601DateFormatter()
        for _ in 0..<2000 {
            let seconds = Int64.random(in: 0..<12_600_000_000, using: &generator)
            let expected = formatter.string(from: Date(timeIntervalSince1970: Double(seconds)))
            #expect(Timestamp(seconds: seconds).inSeconds == expected)
            #expect(Timestamp(expected) == Timestamp(seconds: seconds))
        }
    }

    @Test(
        "What is no moment is not taken for one",
        arguments: [
            "", "2024", "2024-13-01T00:00:00Z", "2024-01-01 00:00:00Z", "2024-01-01T00:00:00",
            "2024-01-01T25:00:00Z",
            "2024-01-01T00:00:00Zx", "2024-01-01T00:00:00+1", "x024-01-01T00:00:00Z",
        ])
    func noTimestamps(text: String) {
        #expect(Timestamp(text) == nil)
    }

    @Test("The parts of a JSON text are found whatever stands around and in them")
    func slices() throws {
        let text =
            #" { "a" : [ 1 , {"x":"}]\"" } , "two" ,[]] , "b":{"c":{"d":"\u00e4\n"}},"n":-1.5e3,"t":true} "#
        let slice = JSONSlice(Array(text.utf8))
        let elements = try #require(slice["a"]).elements
        #expect(
            elements.map { String(decoding: $0.bytes, as: UTF8.self) } == [
                "1", #"{"x":"}]\"" }"#, #""two""#, "[]",
            ])
        #expect(elements[1]["x"]?.string == "}]\"")
        #expect(elements[2].string == "two")
        #expect(elements[3].elements.isEmpty)
        #expect(slice["b"]?["c"]?["d"]?.string == "ä\n")
        #expect(slice["n"].map { String(decoding: $0.bytes, as: UTF8.self) } == "-1.5e3")
        #expect(slice["t"]?.isTrue == true)
        #expect(slice["missing"] == nil)
        #expect(slice["n"]?["x"] == nil)
        #expect(slice.members.map(\.name) == ["a", "b", "n", "t"])
        #expect(try slice["b"]?.decoded(as: [String: [String: String]].self) == ["c": ["d": "ä\n"]])
    }

    @Test("A JSON text that is cut off anywhere is walked to where it ends, and no further")
    func cutSlices() {
        let text = Array(#"{"type":"ADDED","object":{"metadata":{"name":"a\"b","n":[1,{"x":2}]}}}"#.utf8)
        for end in 0..<text.count {
            let slice = JSONSlice(Array(text[..<end]))
            _ = slice["object"]?["metadata"]?["name"]?.string
            _ = slice.members.flatMap { $0.value.members }
            _ = slice.elements
        }
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<2000 {
            var broken = text
            for _ in 0..<3 {
                broken[Int.random(in: 0..<broken.count, using: &generator)] =
                    Array("{}[]\",:\\ax1 ".utf8).randomElement(using: &generator) ?? 0
            }
            let slice = JSONSlice(broken)
            _ = slice["object"]?["metadata"]?["n"]?.elements
            _ = slice.members
        }
    }

    @Test("Metadata are read with everything that may be missing, and without what nobody decides by")
    func metadata() throws {
        let text = """
            {"metadata":{"name":"web","namespace":"shop","uid":"u1","resourceVersion":"7","generation":3,
            "labels":{"a":"b"},"finalizers":["f"],"creationTimestamp":"2026-01-01T00:00:00Z",
            "deletionTimestamp":"2026-01-01T00:00:01Z",
            "ownerReferences":[{"apiVersion":"v1","kind":"Node","name":"n","uid":"u2"},
              {"apiVersion":"agentpool.dev/v1alpha1","kind":"AgentPool","name":"p","uid":"u3","controller":true}],
            "managedFields":[{"manager":"agentpool","operation":"Apply","apiVersion":"v1","time":"2026-01-01T00:00:00Z",
              "fieldsType":"FieldsV1","fieldsV1":{"f:spec":{}}},{"manager":"kubelet","operation":"Update",
              "subresource":"status"}]},"spec":{"replicas":2}}
            """
        let meta = try JSONDecoder().decode(ObjectHeader.self, from: Data(text.utf8)).metadata
        #expect(
            meta.name == "web" && meta.namespace == "shop" && meta.uid == "u1" && meta.resourceVersion == "7")
        #expect(meta.generation == 3 && meta.labels == ["a": "b"] && meta.annotations.isEmpty)
        #expect(meta.finalizers == ["f"])
        #expect(meta.controller?.name == "p")
        #expect(meta.creationTimestamp == Timestamp("2026-01-01T00:00:00Z"))
        #expect(meta.deletionTimestamp == Timestamp("2026-01-01T00:00:01Z"))
        #expect(
            meta.managedFields == [
                ManagedFieldsEntry(
                    manager: "agentpool", operation: "Apply", time: Timestamp("2026-01-01T00:00:00Z")),
                ManagedFieldsEntry(manager: "kubelet", operation: "Update", subresource: "status"),
            ])
        #expect(try ObjectHeader(JSONSlice(Array(text.utf8))).metadata == meta)
        let least = try JSONDecoder().decode(
            ObjectHeader.self, from: Data(#"{"metadata":{"name":"a"}}"#.utf8))
        #expect(least.metadata == ObjectMeta(name: "a"))
    }

    @Test("Metadata that are read straight from their JSON are what decoding them gives, or as unreadable")
    func bothWays() throws {
        let texts = [
            #"{"name":"a","labels":{"a\/b":"\\\"","x":""},"annotations":null,"generation":null,"uid":"\\"}"#,
            #"{"name":"a","namespace":"n","uidx":1,"namf":2,"generatiom":3,"finalizers":[],"ownerReferences":[]}"#,
            #"{"namespace":"n"}"#, #"{"name":5}"#, #"{"name":"a","generation":"1"}"#,
            #"{"name":"a","labels":{"a":1}}"#,
            #"{"name":"a","deletionTimestamp":"yesterday"}"#, #"{"name":"a","managedFields":[{"time":"x"}]}"#,
            #"{"name":"a","managedFields":[{"manager":"m","time":null},{}]}"#, #"{"name":"a\ud83d\ude00"}"#,
        ]
        for text in texts {
            // Whether it can be read is the question; why not is asked below.
            let decoded = try? JSONDecoder().decode(ObjectMeta.self, from: Data(text.utf8))
            let read = try? ObjectMeta(JSONSlice(Array(text.utf8)))
            #expect(decoded == read, "\(text)")
        }
        #expect(throws: ObjectMeta.Unreadable(description: "generation is no number")) {
            try ObjectMeta(JSONSlice(Array(#"{"name":"a","generation":"1"}"#.utf8)))
        }
    }
}

// How YAML text is read before anything is known of its meaning.
import Testing

@testable import PoolAPI

@Suite struct YAMLReaderTests {
    /// What `kubectl` 1.32 made of these words.
    static let words: [(String, JSONValue)] = [
        ("y", true), ("yes", true), ("on", true), ("off", false), ("True", true), ("truE", "truE"),
        ("010", 8), ("1_000", 1000), ("0x1F", 31), ("0o17", 15), ("-7", -7), ("+7", 7), ("0", 0),
        ("1e3", 1000.0), ("1.5", 1.5), (".5", 0.5), ("2001-01-01", "2001-01-01"), ("10.0.0.1", "10.0.0.1"),
        ("15m", "15m"), ("~", .null), ("Null", .null), ("None", "None"), ("+-1", "+-1"), ("0x", "0x"),
        ("99999999999999999999", 1e20), ("'1'", "1"), ("\"yes\"", "yes"), ("!!str 1", "1"),
    ]

    @Test("A plain word means what it means to kubectl", arguments: words)
    func plainWords(word: String, meaning: JSONValue) throws {
        let document = try #require(try YAMLReader.documents(in: "a: \(word)", file: nil).first)
        #expect(document.json == ["a": meaning])
    }

    @Test("Values know their lines, and a field that of its name")
    func lines() throws {
        let document = try #require(
            try YAMLReader.documents(in: "a:\n  b: 1\nc:\n\n  - x\n  - y\n", file: nil).first)
        guard case .object(let members) = document.content, case .array(let items) = members[1].value.content
        else {
            Issue.record("expected an object with a list")
            return
        }
        #expect(members.map(\.line) == [1, 3])
        #expect(items.map(\.line) == [5, 6])
    }

    /// By name: a runner prints a test's arguments.
    static let endless: [String: String] = [
        "aliases of aliases": "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
            + zip("bcdefgh", "abcdefg").map {
                "\($0): &\($0) [*\($1),*\($1),*\($1),*\($1),*\($1),*\($1)]\n"
            }
            .joined(),
        "open lists": String(repeating: "[", count: 100_000),
        "open maps": String(repeating: "{a: ", count: 100_000),
        "dashes": String(repeating: "- ", count: 100_000) + "x",
        "one level too deep": String(repeating: "[", count: 66) + String(repeating: "]", count: 66),
        "one byte too long": "a: 1\n" + String(repeating: "#", count: YAMLReader.sizeLimit),
    ]

    @Test("Texts that expand or nest without end are refused", arguments: endless.keys.sorted())
    func expansion(name: String) throws {
        let yaml = try #require(Self.endless[name])
        let error = try #require(throws: ManifestError.self) { try YAMLReader.documents(in: yaml, file: nil) }
        #expect(error.problems.count == 1)
    }

    @Test(
        "What JSON has no form for is refused",
        arguments: ["? [a]\n: b", "a: !!binary aGk=", "a: *nothing", "a: \u{1}", "a: !thing b"])
    func refused(yaml: String) throws {
        let error = try #require(throws: ManifestError.self) { try YAMLReader.documents(in: yaml, file: nil) }
        #expect(error.problems.count == 1 && !error.problems[0].mend.isEmpty)
    }

    @Test(
        "The nearest name is found within a third of the word, and none beyond",
        arguments: [
            ("instruction", "instructions"), ("modle", "model"), ("baseurl", "baseURL"), ("xyz", nil),
            ("", nil),
        ] as [(String, String?)])
    func nearestName(word: String, expected: String?) {
        #expect(NearestName.of(word, among: ["name", "model", "instructions", "baseURL"]) == expected)
    }
}

// The reader of JSON text beside Foundation's, on texts of all kinds and on broken ones.
import Foundation
import Testing

@testable import PoolAPI

@Suite struct JSONTextTests {
    @Test(
        "A text means what Foundation reads of it",
        arguments: [
            "{}", "[]", " [1, -2, 0, 3.5, -0.25E-2, 12345678901234567890] ", "\"\"", "true", "null",
            #"{"a":{"b":[null,false,"x"]},"a2":"\"\\\/\b\f\n\r\té\u00e9\ud83d\ude00"}"#,
            "{\"a\" : 1 , \"b\"\n:\t[ ]}",
        ])
    func values(text: String) throws {
        #expect(
            try JSONText.value(of: Array(text.utf8))
                == JSONDecoder().decode(JSONValue.self, from: Data(text.utf8)))
    }

    @Test(
        "A broken text is refused",
        arguments: [
            "", " ", "{", "[1,]", "{\"a\":}", "{\"a\" 1}", "{a: 1}", "[1 2]", "01", "+1", "1.", ".5", "1e",
            "-",
            "nul", "truth", "\"a", "\"\\x\"", "\"\\ud83d\"", "\"\\udc00\"", "\"\\u12g4\"", "\"\u{1}\"",
            "{} {}",
            "1e999", "{\"a\":1,}",
        ])
    func broken(text: String) {
        let error = #expect(throws: JSONTextError.self) { try JSONText.value(of: Array(text.utf8)) }
        #expect(error.map { $0.offset <= text.utf8.count } == true)
    }

    @Test("A text that is not UTF-8, or nested without end, is refused")
    func bounds() {
        let foreign: [UInt8] = [0x22, 0xff, 0x22]
        #expect(throws: JSONTextError.self) { try JSONText.value(of: foreign) }
        let deep = [UInt8](repeating: UInt8(ascii: "["), count: 1_000_000)
        #expect(throws: JSONTextError.self) { try JSONText.value(of: deep) }
    }

    @Test("What is written is read again as the same value")
    func roundTrip() throws {
        let value: JSONValue = ["a": [1, 2.5, "x\u{1}\"é😀", .null, true], "b": ["c": -7, "d": 1e300]]
        #expect(try JSONText.value(of: value.bytes()) == value)
    }
}

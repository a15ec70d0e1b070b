import Agent
import Foundation
import PoolAPI
import Testing

@Suite struct JSONWriterTests {
    @Test("Commas stand where they must, at every depth")
    func commas() {
        var writer = JSONWriter()
        writer.beginObject()
        writer.field("a", 1)
        writer.key("b")
        writer.beginArray()
        writer.null()
        writer.bool(false)
        writer.beginObject()
        writer.endObject()
        writer.beginArray()
        writer.endArray()
        writer.endArray()
        writer.key(escaping: "c\"")
        writer.raw(#"{"raw":1}"#.utf8)
        writer.field("d", 0.5)
        writer.endObject()
        #expect(
            String(decoding: writer.bytes, as: UTF8.self)
                == #"{"a":1,"b":[null,false,{},[]],"c\"":{"raw":1},"d":0.5}"#)
    }

    @Test("Frames stand around values without commas, and a reset writer starts anew")
    func frames() {
        var writer = JSONWriter()
        for number in 1...2 {
            writer.frame("data: ")
            writer.int(number)
            writer.frame("\n\n")
        }
        #expect(String(decoding: writer.bytes, as: UTF8.self) == "data: 1\n\ndata: 2\n\n")
        writer.reset()
        writer.int(3)
        #expect(writer.bytes == [UInt8(ascii: "3")])
    }

    @Test(
        "Any text reads back as it was, by our reader and by Foundation's",
        arguments: [
            "", "plain", "quote \" back \\ slash /", "\u{0}\u{1}\u{1F}\n\r\t\u{8}\u{C}\u{7F}",
            "你好 😀 é\u{301}", "</x>\u{2028}",
        ])
    func strings(text: String) throws {
        var writer = JSONWriter()
        writer.string(text)
        var reader = JSONReader(writer.bytes)
        #expect(try reader.readString() == text)
        #expect(try JSONDecoder().decode(String.self, from: Data(writer.bytes)) == text)
    }

    @Test("Doubles read back as they were; what JSON can't hold becomes null")
    func doubles() throws {
        for value in [0.1, -0.0, 1e300, .leastNonzeroMagnitude, 1_000_000, 123_456_789.125] {
            var writer = JSONWriter()
            writer.double(value)
            var reader = JSONReader(writer.bytes)
            #expect(try reader.readDouble().bitPattern == value.bitPattern)
        }
        for value in [Double.nan, .infinity] {
            var writer = JSONWriter()
            writer.double(value)
            #expect(writer.bytes == Array("null".utf8))
        }
    }

    @Test("A value of the manifest is written with its members in the order of their names")
    func values() {
        var writer = JSONWriter()
        writer.value(["b": [1, 2.5, .null], "a": ["x": true, "s": "t"]] as JSONValue)
        #expect(
            String(decoding: writer.bytes, as: UTF8.self) == #"{"a":{"s":"t","x":true},"b":[1,2.5,null]}"#)
    }
}

import Agent
import Testing

@Suite struct JSONReaderTests {
    @Test("The fields that are wanted are read, whatever stands around them")
    func pull() throws {
        var reader = JSONReader(
            #" { "skip" : {"a":[1,{"b":null}],"c":"}"}, "name" : "x", "list": [ 1 , 2.5, -3e2 ], "on":true, "none":null } "#
        )
        var name: String?
        var list: [Double] = []
        var isOn = false
        try reader.beginObject()
        while let key = try reader.nextKey() {
            switch key {
            case "name": name = try reader.readString()
            case "list":
                try reader.beginArray()
                while try reader.nextElement() { list.append(try reader.readDouble()) }
            case "on": isOn = try reader.readBool()
            case "none": #expect(try reader.readNull())
            default: try reader.skipValue()
            }
        }
        try reader.finish()
        #expect(name == "x")
        #expect(list == [1, 2.5, -300])
        #expect(isOn)
    }

    @Test(
        "Every escape is resolved, surrogate pairs included",
        arguments: [
            (#""plain""#, "plain"), (#""""#, ""), (#""a\"b\\c\/d""#, "a\"b\\c/d"),
            (#""\b\f\n\r\t""#, "\u{8}\u{C}\n\r\t"),
            (#""\u00e9\u4F60""#, "é你"), (#""\ud83d\ude00!""#, "😀!"), (#""\u0000""#, "\0"),
            (#""grüße 你好""#, "grüße 你好"),
        ])
    func strings(json: String, text: String) throws {
        var reader = JSONReader(json)
        #expect(try reader.readString() == text)
        try reader.finish()
    }

    @Test("Half a surrogate pair is an error, or U+FFFD where the reader was told to repair")
    func loneSurrogates() throws {
        for json in [#""\ud83d""#, #""\ude00""#, #""\ud83dx""#, #""\ud83d\n""#, #""\ud83d\ud83d""#] {
            #expect(throws: JSONError.self) {
                var reader = JSONReader(json)
                return try reader.readString()
            }
            var lenient = JSONReader(json, repairsSurrogates: true)
            #expect(try lenient.readString().unicodeScalars.contains("\u{FFFD}"))
            try lenient.finish()
        }
    }

    @Test(
        "What is not JSON is refused with the place of the fault",
        arguments: [
            ("", 0), ("{", 1), (#"{"a"}"#, 4), (#"{"a":1,}"#, 7), (#"{,}"#, 1), ("[1,]", 3), ("[1 2]", 3),
            ("[,1]", 1), ("01", 0),
            ("1.", 0), ("-", 0), ("+1", 0), (".5", 0), ("1e", 0), ("1e+", 0), ("tru", 3), ("trux", 0),
            ("nul", 3), ("NaN", 0),
            (#""abc"#, 4), (#""a\x""#, 2), (#""\u12g4""#, 3), (#""\u12"#, 5), ("\"a\nb\"", 2), ("1 2", 2),
            ("{} x", 3), (#"{1:2}"#, 1),
            (#"{"a" 1}"#, 5), ("[1}", 2), ("'a'", 0),
        ])
    func refused(json: String, offset: Int) {
        let error = #expect(throws: JSONError.self) {
            var reader = JSONReader(json)
            try reader.skipValue()
            try reader.finish()
        }
        #expect(error?.offset == offset, "\(json): \(String(describing: error))")
    }

    @Test("Bytes that are not UTF-8 are refused")
    func invalidText() {
        for bytes: [UInt8] in [
            [0x22, 0xFF, 0x22], [0x22, 0xC3, 0x22], [0x22, 0xED, 0xA0, 0x80, 0x22],
            [0x22, 0x5C, 0x6E, 0xFF, 0x22],
        ] {
            #expect(throws: JSONError.self) {
                var reader = JSONReader(bytes)
                return try reader.readString()
            }
        }
    }

    @Test("Nesting beyond the limit is refused instead of overflowing the stack")
    func depth() throws {
        let deep = String(repeating: "[", count: 100_000)
        let error = #expect(throws: JSONError.self) {
            var reader = JSONReader(deep)
            try reader.skipValue()
        }
        #expect(error?.reason == .tooDeep(limit: 64))
        var reader = JSONReader(String(repeating: "[", count: 64) + String(repeating: "]", count: 64))
        try reader.skipValue()
        try reader.finish()
    }

    @Test(
        "Whole numbers are read in any spelling, others are refused",
        arguments: [
            ("0", 0), ("-0", 0), ("42", 42), ("-7", -7), ("7.0", 7), ("70e-1", 7), ("1e3", 1000),
            ("9223372036854775807", Int?.some(.max)),
            ("-9223372036854775808", Int?.some(.min)), ("-9223372036854775809", nil),
            ("123456789012345678901234567890", nil),
            ("1.5", nil), ("9223372036854775808", nil), ("1e300", nil),
        ])
    func integers(json: String, value: Int?) {
        var reader = JSONReader(json)
        #expect(Result { try reader.readInt() }.success == value)
    }

    @Test(
        "Doubles are the nearest ones",
        arguments: [
            "0.1", "-0.0069292834959924221", "123456789012345678", "1e22", "1e23", "9007199254740993",
            "2.2250738585072011e-308",
            "4.9e-324", "1e-400", "0.30000000000000004", "1.7976931348623157e308", "-0.0", "3.14159",
            "100000000000000000000000e-23",
        ])
    func doubles(json: String) throws {
        var reader = JSONReader(json)
        let expected = try #require(Double(json))
        #expect(try reader.readDouble().bitPattern == expected.bitPattern)
    }

    @Test("A number beyond every double is refused")
    func infinite() {
        #expect(throws: JSONError.self) {
            var reader = JSONReader("1e999")
            return try reader.readDouble()
        }
    }

    @Test("A raw value is its own bytes, and a copied reader reads on independently")
    func rawAndBookmarks() throws {
        var reader = JSONReader(#"{"a": {"b" : [1, 2]} , "c":1}"#)
        try reader.beginObject()
        #expect(try reader.nextKey() == "a")
        var bookmark = reader
        #expect(String(decoding: try reader.readRaw(), as: UTF8.self) == #"{"b" : [1, 2]}"#)
        #expect(try reader.nextKey() == "c")
        try bookmark.beginObject()
        #expect(try bookmark.nextKey() == "b")
    }

    @Test("An error never quotes the text that it complains about")
    func discretion() {
        var reader = JSONReader(#"{"password": hunter2}"#)
        let error = #expect(throws: JSONError.self) { try reader.skipValue() }
        #expect(error.map { !"\($0)".contains("hunter2") } == true)
    }
}

extension Result {
    fileprivate var success: Success? {
        if case .success(let value) = self { value } else { nil }
    }
}

/// A character as it looks to a reader: without what is invisible, and letters of other alphabets as the Latin ones that they resemble.
///
/// A look-up for each character, so that whoever searches a text reads it once, in time that grows with its length alone.
enum FoldedScalar: Equatable {
    /// Zero-width characters, joiners, marks of direction, combining accents: no reader sees them, and no word ends at them.
    case invisible
    case space
    case lineEnd
    /// ASCII, letters in lower case.
    case ascii(UInt8)
    /// ASCII that is written in Unicode's tag characters, which no reader sees (U+E0000 to U+E007F).
    case hidden(UInt8)
    /// Of a script that is written without spaces.
    case ideograph(UInt32)
    case other(UInt32)

    init(_ scalar: Unicode.Scalar) {
        let value = scalar.value
        self =
            switch value {
            case 0x0A, 0x0B, 0x0C, 0x0D, 0x85, 0x2028, 0x2029: .lineEnd
            case 0x09, 0x20, 0xA0, 0x1680, 0x2000...0x200A, 0x202F, 0x205F, 0x3000: .space
            case 0...0x1F, 0x7F...0x9F: .invisible
            case 0x41...0x5A: .ascii(UInt8(value) + 32)
            case 0x21...0x7E: .ascii(UInt8(value))
            case 0xAD, 0x300...0x36F, 0x34F, 0x61C, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x180B...0x180F,
                0x200B...0x200F, 0x202A...0x202E, 0x2060...0x206F, 0x3164, 0xFE00...0xFE0F, 0xFEFF, 0xFFA0,
                0xE0100...0xE01EF:
                .invisible
            case 0xE0020...0xE007E: Self.lowered(UInt8(value - 0xE0000), as: { .hidden($0) })
            case 0xE0000...0xE001F, 0xE007F: .hidden(0)
            // Full-width forms.
            case 0xFF01...0xFF5E: Self.lowered(UInt8(value - 0xFF01 + 0x21), as: { .ascii($0) })
            // Mathematical alphabets of 52 letters each.
            case 0x1D400...0x1D6A3: .ascii(UInt8((value - 0x1D400) % 52 % 26) + 0x61)
            // Letters in circles.
            case 0x24B6...0x24E9: .ascii(UInt8((value - 0x24B6) % 26) + 0x61)
            case 0x3040...0x30FF, 0x3400...0x9FFF, 0xF900...0xFAFF, 0x20000...0x3FFFF: .ideograph(value)
            default: Self.lookalikes[value].map { .ascii($0) } ?? .other(value)
            }
    }

    private static func lowered(_ byte: UInt8, as make: (UInt8) -> FoldedScalar) -> FoldedScalar {
        make((0x41...0x5A).contains(byte) ? byte + 32 : byte)
    }

    /// Latin letters with accents, and those of the Cyrillic and Greek alphabets that look like Latin ones.
    private static let lookalikes: [UInt32: UInt8] = {
        let rows = [
            ("a", "àáâãäåāăąаαА"), ("b", "ВΒ"), ("c", "çćĉċčсС"), ("d", "ďđԁ"), ("e", "èéêëēĕėęěеёЕЁΕ"),
            ("g", "ĝğġģɡ"),
            ("h", "ĥħһНΗ"), ("i", "ìíîïĩīĭįıіїІΙι"), ("j", "ĵјЈ"), ("k", "ķкКκΚ"), ("l", "ĺļľŀłӏ"),
            ("m", "МΜ"),
            ("n", "ñńņňпΝ"), ("o", "òóôõöøōŏőоОοΟ"), ("p", "рРρΡ"), ("r", "ŕŗřг"), ("s", "śŝşšſѕЅ"),
            ("t", "ţťŧтТτΤ"),
            ("u", "ùúûüũūŭůűųυ"), ("v", "νѵ"), ("w", "ŵԝ"), ("x", "хХχΧ"), ("y", "ýÿŷуУΥ"), ("z", "źżžΖ"),
        ]
        var table: [UInt32: UInt8] = [:]
        for (letter, others) in rows {
            for scalar in others.unicodeScalars { table[scalar.value] = letter.utf8.first }
        }
        return table
    }()
}

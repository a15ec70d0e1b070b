/// Quotes text that others wrote, so that no content can end the quotation: one JSON object a line between
/// two tags.
///
/// Inside JSON a line end is `\n` and, here, every `<` is `\u003c`. So a quoted text can neither begin a line
/// nor spell a tag, whatever it holds, and a model still reads it without effort.
enum QuotedData {
    /// `<tag>`, an introduction, a line for each object, `</tag>`.
    ///
    /// - Parameter write: writes the members of one element's object.
    static func block<Element>(
        tag: String, introduction: String, _ elements: some Sequence<Element>,
        write: (Element, inout JSONWriter) -> Void
    ) -> String {
        var text = "<\(tag)>\n\(introduction)\n"
        for element in elements {
            text += line { writer in write(element, &writer) }
            text += "\n"
        }
        text += "</\(tag)>"
        return text
    }

    /// One JSON object without line ends and without `<`.
    static func line(_ write: (inout JSONWriter) -> Void) -> String {
        var writer = JSONWriter()
        writer.beginObject()
        write(&writer)
        writer.endObject()
        // JSON's own syntax holds no '<', so each one stands inside a string, where the escape means the
        // same.
        guard writer.bytes.contains(UInt8(ascii: "<")) else {
            return String(decoding: writer.bytes, as: UTF8.self)
        }
        var escaped: [UInt8] = []
        escaped.reserveCapacity(writer.bytes.count + 32)
        for byte in writer.bytes {
            if byte == UInt8(ascii: "<") {
                escaped.append(contentsOf: #"\u003c"#.utf8)
            } else {
                escaped.append(byte)
            }
        }
        return String(decoding: escaped, as: UTF8.self)
    }

    /// `2026-11-22` of milliseconds since 1970, UTC (Howard Hinnant's civil_from_days).
    static func date(_ milliseconds: Int64) -> String {
        let days = Int((Double(milliseconds) / 86_400_000).rounded(.down)) + 719_468
        let era = (days >= 0 ? days : days - 146_096) / 146_097
        let dayOfEra = days - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
        let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        return "\(year)-\(month < 10 ? "0" : "")\(month)-\(day < 10 ? "0" : "")\(day)"
    }
}

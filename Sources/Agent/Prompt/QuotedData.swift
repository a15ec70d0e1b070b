/// Quotes text that others wrote, so that no content can end the quotation: one JSON object a line between
/// two tags.
///
/// Inside JSON a line end is `\n` and, here, every `<` is `\u003c`. So a quoted text can neither begin a line
/// nor spell a tag, whatever it holds, and a model still reads it without effort.
enum QuotedData {
    /// Gives `sink` the pieces of `<tag>`, an introduction where there is one, a line for each object, `</tag>`.
    ///
    /// - Parameter write: writes the members of one element's object.
    static func quote<Element>(
        tag: String, introduction: String?, _ elements: some Sequence<Element>,
        write: (Element, inout JSONWriter) -> Void, to sink: (ArraySlice<UInt8>) -> Void
    ) {
        sink(Array("<\(tag)>\n".utf8)[...])
        if let introduction { sink(Array("\(introduction)\n".utf8)[...]) }
        var writer = JSONWriter(capacity: 2048)
        for element in elements {
            writer.reset()
            writer.beginObject()
            write(element, &writer)
            writer.endObject()
            line(writer.bytes, to: sink)
        }
        sink(Array("</\(tag)>".utf8)[...])
    }

    /// What the quotation adds to the texts in it, roughly.
    static func estimatedBytes(objects: Int) -> Int { 256 + objects * 128 }

    private static let escaped = Array(#"\u003c"#.utf8)
    private static let lineEnd = [UInt8(ascii: "\n")]

    /// JSON's own syntax holds no '<', so each one stands inside a string, where the escape means the same.
    private static func line(_ json: [UInt8], to sink: (ArraySlice<UInt8>) -> Void) {
        var rest = json[...]
        while let index = rest.firstIndex(of: UInt8(ascii: "<")) {
            sink(rest[..<index])
            sink(escaped[...])
            rest = rest[(index + 1)...]
        }
        sink(rest)
        sink(lineEnd[...])
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

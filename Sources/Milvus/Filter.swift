/// Builds every filter expression, each over digests, ids and numbers, and escapes their strings in the one place that does.
struct Filter: Equatable, CustomStringConvertible {
    let description: String

    static func rows(of principal: String) -> Filter {
        Filter(description: "principal == \(literal(principal))")
    }

    /// Rows of a session older than a generation, and rows by id: of the principal only.
    static func rows(of principal: String, session: String, generationBelow: Int64, orIDs ids: [String])
        -> Filter
    {
        var choice = "(session == \(literal(session)) and generation < \(generationBelow))"
        if !ids.isEmpty { choice += " or id in \(list(ids))" }
        return Filter(description: "principal == \(literal(principal)) and (\(choice))")
    }

    /// Of the principal only: an id of somebody else's row matches nothing.
    static func rows(of principal: String, ids: [String]) -> Filter {
        Filter(description: "principal == \(literal(principal)) and id in \(list(ids))")
    }

    /// Everybody's rows of a pool: to forget it as a whole.
    static func rows(ofPool pool: String) -> Filter {
        Filter(description: "pool == \(literal(pool))")
    }

    static func rows(ofPool pool: String, ids: [String]) -> Filter {
        Filter(description: "pool == \(literal(pool)) and id in \(list(ids))")
    }

    /// Everybody's rows in a range of ids: to rebuild a collection.
    static func rows(in range: RowIDs) -> Filter {
        // `g` comes after the last hexadecimal digit.
        Filter(
            description: "id >= \(literal(range.prefix)) and id < \(literal(range.prefix + "g"))")
    }

    /// Everybody's rows before `time`: the retention. Apart from this and those above every filter names a principal.
    static func rows(before time: Int64) -> Filter {
        Filter(description: "time < \(time)")
    }

    private static func list(_ strings: [String]) -> String {
        "[" + strings.map(literal).joined(separator: ", ") + "]"
    }

    /// A string in double quotes.
    ///
    /// Both servers take quotation mark, backslash and line ends escaped and all else as it is, NUL and the other control
    /// characters too; milvus-lite knows no numeric escape. Braces have no meaning inside quotes.
    static func literal(_ string: String) -> String {
        var literal = "\""
        for scalar in string.unicodeScalars {
            switch scalar {
            case "\"": literal += "\\\""
            case "\\": literal += "\\\\"
            case "\n": literal += "\\n"
            case "\r": literal += "\\r"
            default: literal.unicodeScalars.append(scalar)
            }
        }
        return literal + "\""
    }
}

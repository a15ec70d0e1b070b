/// Ids that say what they name: texts without control characters, joined and written in letters that need no escape anywhere. Pure.
import Foundation

enum OpaqueID {
    /// No field holds a control character.
    private static let separator: UInt8 = 0

    /// The prefix, then letters, digits, `-` and `_`.
    static func text(prefix: String, _ fields: [String]) -> String {
        prefix + Array(fields.map { Array($0.utf8) }.joined(separator: [separator])).base64URL
    }

    /// Nil where the text is none of this prefix.
    static func fields(of text: String, prefix: String) -> [String]? {
        guard text.hasPrefix(prefix), let bytes = [UInt8](base64URL: text.dropFirst(prefix.count)) else {
            return nil
        }
        let fields = bytes.split(separator: separator, omittingEmptySubsequences: false).map {
            String(validating: $0, as: UTF8.self)
        }
        return fields.contains(nil) ? nil : fields.compactMap(\.self)
    }
}

extension [UInt8] {
    /// RFC 4648, section 5, without padding.
    fileprivate var base64URL: String {
        Data(self).base64EncodedString()
            .replacingOccurrences(of: "+", with: "-").replacingOccurrences(of: "/", with: "_")
            .replacingOccurrences(of: "=", with: "")
    }

    /// Nil for any other text.
    fileprivate init?(base64URL text: Substring) {
        let standard = text.replacingOccurrences(of: "-", with: "+").replacingOccurrences(of: "_", with: "/")
        let padding = String(repeating: "=", count: (4 - standard.utf8.count % 4) % 4)
        guard let data = Data(base64Encoded: standard + padding) else { return nil }
        self.init(data)
    }
}

/// Sets of Unicode scalars: what a literal, a dot, a bracket or a class such as `\d` takes.

/// Ranges and classes together, or all but them.
struct ScalarSet: Sendable {
    private(set) var ranges: [ClosedRange<UInt32>] = []
    private var classes: [(members: ScalarClass, isNegated: Bool)] = []
    private(set) var isNegated = false

    static let all = ScalarSet().inverted
    static let allButLineEnds = ScalarSet(.lineEnd, isNegated: true)

    init() {}

    init(_ members: ScalarClass, isNegated: Bool = false) {
        insert(members, isNegated: isNegated)
    }

    /// - Parameter ignoresCase: whether what differs from a member in case alone belongs to it too.
    init(_ scalar: Unicode.Scalar, ignoresCase: Bool) {
        insert(scalar.value...scalar.value, ignoresCase: ignoresCase)
    }

    var inverted: ScalarSet {
        var set = self
        set.isNegated.toggle()
        return set
    }

    /// Its only member, where that is plain to see.
    var only: Unicode.Scalar? {
        guard !isNegated, classes.isEmpty, ranges.count == 1, ranges[0].count == 1 else { return nil }
        return Unicode.Scalar(ranges[0].lowerBound)
    }

    /// Whether the ranges alone say what belongs to it.
    var isListed: Bool { !isNegated && classes.isEmpty }

    mutating func insert(_ range: ClosedRange<UInt32>, ignoresCase: Bool = false) {
        ranges.append(range)
        if ignoresCase {
            ranges += LetterCase.variants(of: range).map { $0...$0 }
        }
    }

    mutating func insert(_ members: ScalarClass, isNegated: Bool = false) {
        classes.append((members, isNegated))
    }

    func contains(_ scalar: Unicode.Scalar) -> Bool {
        let isListed =
            ranges.contains { $0.contains(scalar.value) }
            || classes.contains { $0.members.contains(scalar) != $0.isNegated }
        return isListed != isNegated
    }
}

/// Scalars of a kind, told by their Unicode properties as Swift's `Regex` tells them.
enum ScalarClass: Sendable {
    case word
    case digit
    case whitespace
    case lineEnd
    case categories([Unicode.GeneralCategory])
    case han

    func contains(_ scalar: Unicode.Scalar) -> Bool {
        switch self {
        case .word: Self.isWord(scalar)
        case .digit:
            scalar.isASCII ? ("0"..."9").contains(scalar) : scalar.properties.numericType != nil
        case .whitespace: scalar.properties.isWhitespace
        case .lineEnd:
            switch scalar.value {
            case 0x0A...0x0D, 0x85, 0x2028, 0x2029: true
            default: false
            }
        case .categories(let categories): categories.contains(scalar.properties.generalCategory)
        case .han: Self.hanRanges.contains { $0.contains(scalar.value) }
        }
    }

    private static func isWord(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar {
        case "a"..."z", "A"..."Z", "0"..."9", "_": true
        default:
            !scalar.isASCII && (scalar.properties.isAlphabetic || scalar.properties.numericType != nil)
        }
    }

    /// The class that `\p{name}` names; nil for one that is not known here.
    init?(property name: String) {
        if name == "Han" {
            self = .han
        } else if let categories = Self.categoriesByName[name] {
            self = .categories(categories)
        } else {
            return nil
        }
    }

    private static let categoriesByName: [String: [Unicode.GeneralCategory]] = {
        let single: [String: Unicode.GeneralCategory] = [
            "Lu": .uppercaseLetter, "Ll": .lowercaseLetter, "Lt": .titlecaseLetter, "Lm": .modifierLetter,
            "Lo": .otherLetter, "Mn": .nonspacingMark, "Mc": .spacingMark, "Me": .enclosingMark,
            "Nd": .decimalNumber, "Nl": .letterNumber, "No": .otherNumber, "Pc": .connectorPunctuation,
            "Pd": .dashPunctuation, "Ps": .openPunctuation, "Pe": .closePunctuation,
            "Pi": .initialPunctuation, "Pf": .finalPunctuation, "Po": .otherPunctuation, "Sm": .mathSymbol,
            "Sc": .currencySymbol, "Sk": .modifierSymbol, "So": .otherSymbol, "Zs": .spaceSeparator,
            "Zl": .lineSeparator, "Zp": .paragraphSeparator, "Cc": .control, "Cf": .format,
        ]
        var named = single.mapValues { [$0] }
        for (name, category) in single where name.first != "C" {
            named[String(name.prefix(1)), default: []].append(category)
        }
        return named
    }()

    /// Script=Han of Unicode 16; `Unicode.Scalar.Properties` doesn't tell scripts.
    private static let hanRanges: [ClosedRange<UInt32>] = [
        0x4E00...0x9FFF, 0x3400...0x4DBF, 0x2E80...0x2E99, 0x2E9B...0x2EF3, 0x2F00...0x2FD5, 0x3005...0x3005,
        0x3007...0x3007, 0x3021...0x3029, 0x3038...0x303B, 0xF900...0xFA6D, 0xFA70...0xFAD9,
        0x16FE2...0x16FE3, 0x16FF0...0x16FF1, 0x20000...0x2A6DF, 0x2A700...0x2B739, 0x2B740...0x2B81D,
        0x2B820...0x2CEA1, 0x2CEB0...0x2EBE0, 0x2EBF0...0x2EE5D, 0x2F800...0x2FA1D, 0x30000...0x3134A,
        0x31350...0x323AF,
    ]
}

/// Which scalars differ in case alone: those with the same lowercase mapping.
private enum LetterCase {
    /// The scalars of the range's letters in other case, of which some may lie in the range.
    static func variants(of range: ClosedRange<UInt32>) -> [UInt32] {
        var variants: [UInt32] = []
        for (lower, uppers) in uppersByLower
        where range.contains(lower) || uppers.contains(where: range.contains) {
            variants.append(lower)
            variants += uppers
        }
        return variants
    }

    /// All that become another scalar in lowercase, by that scalar. No cased letter lies above plane 1.
    private static let uppersByLower: [UInt32: [UInt32]] = {
        var uppers: [UInt32: [UInt32]] = [:]
        for value in UInt32(0)...0x1_FFFF {
            guard let scalar = Unicode.Scalar(value), scalar.properties.changesWhenLowercased else {
                continue
            }
            let lower = scalar.properties.lowercaseMapping.unicodeScalars
            if lower.count == 1, let first = lower.first {
                uppers[first.value, default: []].append(value)
            }
        }
        return uppers
    }()
}

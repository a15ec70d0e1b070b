/// Reads a regular expression's text, and says in plain words where it is none that can be matched in linear time.
struct PatternParser {
    /// Groups within groups: as deep as the tree is, its readers call themselves.
    static let maximumDepth = 64
    static let maximumCount = 1000

    struct Flags {
        var ignoresCase = false
        var dotTakesLineEnds = false
        var anchorsAtLines = false
    }

    private let scalars: [Unicode.Scalar]
    private var place = 0
    private(set) var flags = Flags()
    private var depth = 0
    private var groupNames: Set<String> = []

    static func parse(_ text: String) throws(PatternError) -> PatternNode {
        var parser = PatternParser(scalars: Array(text.unicodeScalars))
        let node = try parser.alternation()
        guard parser.peek == nil else { throw PatternError(message: "a ) closes no group") }
        return node
    }

    private init(scalars: [Unicode.Scalar]) {
        self.scalars = scalars
    }

    var peek: Unicode.Scalar? { place < scalars.count ? scalars[place] : nil }

    /// Whether a hyphen follows that doesn't close a bracket.
    var peeksRange: Bool {
        peek == "-" && place + 1 < scalars.count && scalars[place + 1] != "]"
    }

    mutating func take() -> Unicode.Scalar? {
        guard let scalar = peek else { return nil }
        place += 1
        return scalar
    }

    mutating func take(_ text: String) -> Bool {
        guard scalars[place...].starts(with: text.unicodeScalars) else { return false }
        place += text.unicodeScalars.count
        return true
    }

    private mutating func alternation() throws(PatternError) -> PatternNode {
        var branches: [PatternNode] = []
        var parts: [PatternNode] = []
        while let next = peek, next != ")" {
            if take("|") {
                branches.append(.sequence(parts))
                parts = []
            } else if let part = try part() {
                parts.append(part)
            }
        }
        branches.append(.sequence(parts))
        return branches.count == 1 ? branches[0] : .alternation(branches)
    }

    /// A part with how often it is repeated; nil where flags are set, which match nothing.
    private mutating func part() throws(PatternError) -> PatternNode? {
        guard let scalar = take() else { return nil }
        switch scalar {
        case "(": return try group().map { group throws(PatternError) in try repeated(group) }
        case "[": return try repeated(.scalars(try bracket()))
        case ".": return try repeated(.scalars(flags.dotTakesLineEnds ? .all : .allButLineEnds))
        case "^": return try unrepeated(.assertion(flags.anchorsAtLines ? .lineStart : .textStart))
        case "$": return try unrepeated(.assertion(flags.anchorsAtLines ? .lineEnd : .textEnd))
        case "*", "+", "?": throw PatternError(message: "\(scalar) repeats nothing")
        case "\\":
            if let assertion = takeAssertion() { return try unrepeated(.assertion(assertion)) }
            return try repeated(.scalars(try escape()))
        default: return try repeated(.scalars(ScalarSet(scalar, ignoresCase: flags.ignoresCase)))
        }
    }

    // MARK: Groups

    /// What follows an opening parenthesis; nil for flags that hold from here to the end of the group around.
    private mutating func group() throws(PatternError) -> PatternNode? {
        let outer = flags
        if take("?") {
            guard try opensGroup() else { return nil }
        }
        depth += 1
        guard depth <= Self.maximumDepth else {
            throw PatternError(message: "groups are nested more than \(Self.maximumDepth) deep")
        }
        let node = try alternation()
        guard take(")") else { throw PatternError(message: "a group is not closed") }
        depth -= 1
        flags = outer
        return node
    }

    /// Reads what stands between `(?` and the group's content; false where there is no content.
    private mutating func opensGroup() throws(PatternError) -> Bool {
        for sign in ["=", "!", "<=", "<!", "*", "~"] where take(sign) {
            throw PatternError(message: "look-around is not supported")
        }
        if take(">") { throw PatternError(message: "atomic groups are not supported") }
        if take("(") { throw PatternError(message: "conditionals are not supported") }
        if take(":") { return true }
        if take("P<") || take("<") {
            try readGroupName()
            return true
        }
        return try readFlags()
    }

    private mutating func readGroupName() throws(PatternError) {
        var name = ""
        while let scalar = take(), scalar != ">" { name.unicodeScalars.append(scalar) }
        let isName =
            name.unicodeScalars.first.map { $0 == "_" || $0.properties.isAlphabetic } == true
            && name.unicodeScalars.allSatisfy(ScalarClass.word.contains)
        guard isName else { throw PatternError(message: "a group's name is not a word") }
        guard groupNames.insert(name).inserted else {
            throw PatternError(message: "two groups are named \"\(name)\"")
        }
    }

    private mutating func readFlags() throws(PatternError) -> Bool {
        var isOn = true
        var isEmpty = true
        while let scalar = take() {
            switch scalar {
            case "i": flags.ignoresCase = isOn
            case "s": flags.dotTakesLineEnds = isOn
            case "m": flags.anchorsAtLines = isOn
            case "-" where isOn:
                isOn = false
                continue
            case ":" where !isEmpty: return true
            case ")" where !isEmpty: return false
            default: throw PatternError(message: "(?\(scalar) is not supported; flags are i, s and m")
            }
            isEmpty = false
        }
        throw PatternError(message: "a group is not closed")
    }

    // MARK: Repetition

    private mutating func repeated(_ node: PatternNode) throws(PatternError) -> PatternNode {
        guard let (least, most) = try takeCount() else { return node }
        let isLazy = take("?")
        if peek == "+" { throw PatternError(message: "possessive repetition is not supported") }
        guard try takeCount() == nil else {
            throw PatternError(message: "what is repeated already is repeated again")
        }
        return .repetition(node, least: least, most: most, isLazy: isLazy)
    }

    private mutating func unrepeated(_ node: PatternNode) throws(PatternError) -> PatternNode {
        if try takeCount() != nil { throw PatternError(message: "an anchor is repeated") }
        return node
    }

    private mutating func takeCount() throws(PatternError) -> (least: Int, most: Int?)? {
        if take("*") { return (0, nil) }
        if take("+") { return (1, nil) }
        if take("?") { return (0, 1) }
        let start = place
        guard take("{") else { return nil }
        let least = try takeNumber()
        let hasComma = take(",")
        let most = hasComma ? try takeNumber() : least
        // A brace that counts nothing stands for itself.
        guard take("}"), least != nil || most != nil else {
            place = start
            return nil
        }
        guard least ?? 0 <= most ?? Self.maximumCount else {
            throw PatternError(message: "a count's lower bound is above its upper bound")
        }
        return (least ?? 0, most)
    }

    private mutating func takeNumber() throws(PatternError) -> Int? {
        var number: Int?
        while take(" ") {}
        defer { while take(" ") {} }
        while let digit = peek, ("0"..."9").contains(digit) {
            place += 1
            number = (number ?? 0) * 10 + Int(digit.value - 48)
            guard number ?? 0 <= Self.maximumCount else {
                throw PatternError(message: "a count is above \(Self.maximumCount)")
            }
        }
        return number
    }
}

/// Redacts a reply while it streams, as a value: its end is held back until more has come, so that a match is found however the
/// model cut it.
///
/// What it passes on is at once what the client reads, what is told again to whoever comes back, and what is stored.
struct ReplyRedaction {
    private let redaction: Redaction
    /// Passed on already; patterns may look behind.
    private var before = ""
    private var held = ""
    private var calls: [Int: ToolCallDelta] = [:]
    private var callBytes = 0

    /// Characters behind a match that patterns may look at.
    private static let lookBehind = 32
    /// A match that goes on for longer is cut off here.
    private static let longestMatch = 8192

    init(_ redaction: Redaction) {
        self.redaction = redaction
    }

    /// What may be passed on now; often nothing. Calls are whole at the finish.
    mutating func take(_ deltas: [ChatDelta]) throws(ModelError) -> [ChatDelta] {
        var shown: [ChatDelta] = []
        for delta in deltas {
            switch delta {
            case .text(let piece):
                held += piece
            case .toolCall(let piece):
                try add(piece)
            case .finish:
                shown += flush()
                shown.append(delta)
            case .usage:
                shown.append(delta)
            }
        }
        let text = passable(isEnd: false)
        return text.isEmpty ? shown : [.text(text)] + shown
    }

    /// All that is held back, when nothing more comes.
    mutating func flush() -> [ChatDelta] {
        let text = passable(isEnd: true)
        var rest: [ChatDelta] = text.isEmpty ? [] : [.text(text)]
        for (_, var call) in calls.sorted(by: { $0.key < $1.key }) {
            call.arguments = redaction.redacted(json: call.arguments)
            rest.append(.toolCall(call))
        }
        calls = [:]
        return rest
    }

    private mutating func add(_ piece: ToolCallDelta) throws(ModelError) {
        callBytes += piece.arguments.utf8.count
        guard callBytes <= CollectedReply.limit else {
            throw ModelError(.malformed, "The model's reply has more than \(CollectedReply.limit) bytes.")
        }
        var call = calls[piece.index] ?? ToolCallDelta(index: piece.index)
        call.id = piece.id ?? call.id
        call.name = piece.name ?? call.name
        call.arguments += piece.arguments
        calls[piece.index] = call
    }

    /// Characters that are passed on at once: each time costs a search of what is held.
    private var step: Int { max(1, redaction.holdBack / 4) }

    /// The held text up to where a match may still begin, redacted.
    private mutating func passable(isEnd: Bool) -> String {
        guard !held.isEmpty, isEnd || held.count >= redaction.holdBack + step else { return "" }
        let text = before + held
        var place = text.utf8.index(text.startIndex, offsetBy: before.utf8.count)
        var limit = isEnd ? text.endIndex : text.index(text.endIndex, offsetBy: -redaction.holdBack)
        var shown = ""
        for match in redaction.matches(in: text, from: place) {
            guard match.range.lowerBound < limit else { break }
            if !isEnd, match.range.upperBound == text.endIndex, held.utf8.count < Self.longestMatch {
                // It may go on.
                limit = match.range.lowerBound
                break
            }
            shown += text[place..<match.range.lowerBound]
            shown += match.replacement
            redaction.count(match)
            place = match.range.upperBound
        }
        if place < limit {
            shown += text[place..<limit]
            place = limit
        }
        held = String(text[place...])
        before = String(text[..<place].suffix(Self.lookBehind))
        return shown
    }
}

/// What a request for a response decides about calls that wait for a person: OpenAI's items of type `mcp_approval_response`.
import Agent
import Memory

/// The same decision as that of `POST /v1/sessions/{id}/approvals`, and made by the same code.
struct ResponseDecisions: Sendable {
    /// Of the one turn that all of them are about; nil before the first is read.
    private(set) var turn: TurnID?
    /// By the calls' ids.
    private(set) var all: [String: ApprovalDecision] = [:]
    /// Where each of them stands in the body.
    private var paths: [String: String] = [:]

    /// Reads one item.
    ///
    /// - Throws: `APIError` that names the field.
    mutating func add(_ reader: inout FieldReader, at path: String) throws(APIError) {
        var (name, isApproved, reason): (String?, Bool?, String) = (nil, nil, "")
        try reader.beginObject()
        while let field = try reader.nextField() {
            switch field {
            case "approval_request_id": name = try reader.string()
            case "approve": isApproved = try reader.bool()
            case "reason": reason = try reader.string() ?? ""
            default: try reader.skip()
            }
        }
        let field = path + ".approval_request_id"
        guard let id = name.flatMap({ ApprovalRequestID($0) }) else {
            throw .invalid(
                field, "`approval_request_id` must be the id of an item of type `mcp_approval_request`.")
        }
        guard turn == nil || turn == id.turn else {
            throw .invalid(field, "Decide about the calls of one response at a time.")
        }
        let decision = try ApprovalDecision(isApproved, reason: reason, at: path)
        guard all.updateValue(decision, forKey: id.call) == nil else {
            throw .invalid(field, "This call is decided twice.")
        }
        turn = id.turn
        paths[id.call] = field
    }

    /// What is decided, as an order. The turn is named by it, so that the same decision sent again is told what came of it.
    ///
    /// - Parameter session: that the request names.
    func order(
        _ order: inout TurnOrder, after previous: ResponseID?, in session: SessionID?
    ) throws(APIError) {
        guard session != nil else { throw .decisionWithoutSession }
        if let previous, previous.turn != turn { throw .decisionElsewhere }
        order.turnID = turn
        order.decisions = all
        // It goes on within the turn.
        (order.prior, order.new, order.after) = ([], [], nil)
        order.functions = ClientFunctions()
    }

    /// A fault in the words of this API.
    func error(_ fault: DecisionFault) -> APIError {
        func name(_ call: String) -> String {
            turn.map { ApprovalRequestID(turn: $0, call: call).text } ?? call
        }
        switch fault {
        case .unknownTurn: return .unknownApprovalRequest(paths.values.min())
        case .unknownCall(let call, let waiting):
            let others =
                waiting.isEmpty
                ? "none does." : "these do: \(waiting.map(name).joined(separator: ", "))."
            return .invalid(paths[call], "No call \(name(call)) waits for approval; \(others)")
        case .undecided(let call):
            return .invalid(
                "input", "The call \(name(call)) is not decided: approve or refuse it in the same request.")
        }
    }
}

extension ApprovalDecision {
    private static let maximumReason = 4096

    /// - Parameter path: of the object that holds both.
    init(_ isApproved: Bool?, reason: String, at path: String) throws(APIError) {
        guard let isApproved else {
            throw .invalid(path + ".approve", "`approve` must be true or false.")
        }
        guard reason.utf8.count <= Self.maximumReason else {
            throw .invalid(path + ".reason", "`reason` may have \(Self.maximumReason) bytes.")
        }
        self = isApproved ? .approved : .refused(reason: reason)
    }
}

extension APIError {
    fileprivate static func unknownApprovalRequest(_ field: String?) -> APIError {
        APIError(
            .notFound, code: "approval_request_not_found",
            "There is no such approval request for this caller in this session.", param: field)
    }

    static let decisionWithoutSession = APIError(
        .badRequest, code: "missing_required_parameter",
        "An `mcp_approval_response` needs the session whose turn waits: name it by `previous_response_id` or `conversation`.",
        param: "previous_response_id")

    static let decisionElsewhere = APIError.invalid(
        "previous_response_id",
        "The approval request is of another response than `previous_response_id` names: go on after that one."
    )
}

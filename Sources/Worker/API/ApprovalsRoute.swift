/// `POST /v1/sessions/{id}/approvals`: a person decides about the calls that a turn waits for, and the turn goes on.
import Agent
import Memory
import NIOCore
import NIOHTTP1

/// The body: `{"turn_id": text, "approvals": [{"call_id": text, "approve": bool, "reason"?: text}]}`, and `user` as for a turn.
struct ApprovalsRequest: Sendable {
    var turnID: TurnID
    var decisions: [String: ApprovalDecision]
    var user: String?

    /// - Throws: `APIError` that names the field; unknown fields are errors, for this API is our own.
    static func parse(_ body: [UInt8]) throws(APIError) -> ApprovalsRequest {
        var turn: TurnID?
        var (decisions, user): ([String: ApprovalDecision], String?) = ([:], nil)
        var reader = FieldReader(body)
        try reader.beginObject()
        while let field = try reader.nextField() {
            switch field {
            case "turn_id": turn = try reader.string().flatMap { TurnID($0) }
            case "user": user = try reader.string()
            case "approvals":
                try reader.beginArray()
                while try reader.nextElement(atMost: 256) {
                    let path = reader.path
                    let (id, decision) = try decision(&reader, at: path)
                    guard decisions.updateValue(decision, forKey: id) == nil else {
                        throw .invalid(path + ".call_id", "The call \(id) is decided twice.")
                    }
                }
            default:
                throw .invalid(field, "`\(field)` is unknown here; the fields are turn_id, approvals, user.")
            }
        }
        try reader.end()
        guard let turn else { throw .invalid("turn_id", "`turn_id` must name the turn that waits.") }
        guard !decisions.isEmpty else {
            throw .invalid("approvals", "`approvals` must decide about each call that waits.")
        }
        return ApprovalsRequest(turnID: turn, decisions: decisions, user: user)
    }

    private static func decision(
        _ reader: inout FieldReader, at path: String
    ) throws(APIError) -> (String, ApprovalDecision) {
        var (id, isApproved, reason): (String?, Bool?, String) = (nil, nil, "")
        try reader.beginObject()
        while let field = try reader.nextField() {
            switch field {
            case "call_id": id = try reader.string()
            case "approve": isApproved = try reader.bool()
            case "reason": reason = try reader.string() ?? ""
            default:
                throw .invalid(
                    "\(path).\(field)",
                    "`\(field)` is unknown here; the fields are call_id, approve, reason.")
            }
        }
        guard let id else { throw .invalid(path + ".call_id", "`call_id` must name a call that waits.") }
        return (id, try ApprovalDecision(isApproved, reason: reason, at: path))
    }

    /// - Parameter body: what another worker needs that has to go on with the turn.
    func order(_ body: [UInt8]) -> TurnOrder {
        TurnOrder(new: [], turnID: turnID, request: body, decisions: decisions)
    }
}

extension PublicAPI {
    func approve(
        _ request: ServerRequest, _ caller: Credentials.Caller, _ id: String, _ origin: RequestOrigin
    ) async throws {
        let session = try SessionID(id, param: "session id")
        let body = Array(request.body.readableBytesView)
        let approvals = try ApprovalsRequest.parse(body)
        let scope = try scope(caller, request, user: approvals.user, session: session)
        var order = approvals.order(body)
        order.lastSeen = request.head.headers.first(name: "last-event-id").flatMap { EventID($0) }
        if followRunning(approvals.turnID, scope, request.exchange) { return }
        let writer = NativeTurnWriter(
            answering: .request(request.exchange), session: session, scope: scope, feeds: feeds,
            journal: journal)
        try await place(request, caller, session, turn: approvals.turnID, origin) { [order] others in
            try await run(order, scope, others, writer)
        }
    }
}

extension APIError {
    init(_ fault: DecisionFault) {
        switch fault {
        case .unknownTurn(let turn):
            self.init(
                .notFound, code: "turn_unknown", "The session has no turn \(turn).", param: "turn_id")
        case .unknownCall(let call, let waiting):
            self = .invalid(
                "approvals",
                "No call \(call) waits for approval; "
                    + (waiting.isEmpty ? "none does." : "these do: \(waiting.joined(separator: ", "))."))
        case .undecided(let call):
            self = .invalid("approvals", "The call \(call) is not decided: approve or refuse it too.")
        }
    }
}
